//! Universe domains in odd forms.

use gce_auth::{Credentials, ErrorKind, MetadataClient};

use super::{
    Due::{Final, Token, Transient},
    judge, repeated,
    server::{answer, google, say},
};

#[test]
fn universes_in_odd_forms() {
    use ErrorKind::{InvalidResponse, NotMetadataServer, Unavailable};
    let text = |body: &str| vec![google("200 OK", "", body)];
    let label = repeated("a", 63);
    let cases = vec![
        (
            "another",
            text("example-universe.goog"),
            "example-universe.goog",
            Token(1),
        ),
        (
            "with white space",
            text(" \texample.goog\r\n"),
            "example.goog",
            Token(1),
        ),
        ("one label", text("goog"), "goog", Token(1)),
        (
            "the longest label",
            text(&format!("{label}.goog")),
            "",
            Token(1),
        ),
        ("empty", text(""), "googleapis.com", Token(1)),
        ("a line end", text("\n"), "googleapis.com", Token(1)),
        (
            "not there",
            vec![google("404 Not Found", "", "")],
            "googleapis.com",
            Token(1),
        ),
        (
            "503 and then well",
            vec![
                google("503 Wait", "", ""),
                google("200 OK", "", "example.goog"),
            ],
            "example.goog",
            Token(2),
        ),
        (
            "503 and then not there",
            vec![google("503 Wait", "", ""), google("404 Not Found", "", "")],
            "googleapis.com",
            Token(2),
        ),
        (
            "503 forever",
            vec![google("503 Wait", "", "")],
            "",
            Transient(Unavailable),
        ),
        (
            "a stranger",
            vec![answer("200 OK", "", "evil.example")],
            "",
            Final(NotMetadataServer),
        ),
        (
            "a label that is too long",
            text(&format!("a{label}.goog")),
            "",
            Final(InvalidResponse),
        ),
        (
            "a name that is too long",
            text(&vec![label; 5].join(".")),
            "",
            Final(InvalidResponse),
        ),
        (
            "two dots",
            text("example..goog"),
            "",
            Final(InvalidResponse),
        ),
        (
            "a URL",
            text("https://example.goog"),
            "",
            Final(InvalidResponse),
        ),
        (
            "a port",
            text("example.goog:443"),
            "",
            Final(InvalidResponse),
        ),
        (
            "a user",
            text("user@example.goog"),
            "",
            Final(InvalidResponse),
        ),
        ("a path", text("example.goog/x"), "", Final(InvalidResponse)),
        (
            "two lines",
            text("example.goog\nevil.example"),
            "",
            Final(InvalidResponse),
        ),
        (
            "letters of elsewhere",
            text("exаmple.goog"),
            "",
            Final(InvalidResponse),
        ),
        (
            "bytes that are no text",
            vec![vec![say(
                b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 2\r\n\r\n\xff\xfe"
                    .to_vec(),
            )]],
            "",
            Final(InvalidResponse),
        ),
        (
            "a page",
            text("<!DOCTYPE html><title>Sign in</title>"),
            "",
            Final(InvalidResponse),
        ),
    ];
    let ask = |client: &MetadataClient| {
        let credentials = Credentials::builder()
            .client(client.clone())
            .shared(false)
            .build()?;
        credentials.blocking_universe_domain()
    };
    for (name, script, expected, due) in cases {
        let wrong = judge(name, script, due, ask, |domain: &String| {
            expected.is_empty() || domain == expected
        });
        assert_eq!(wrong, None);
    }
}
