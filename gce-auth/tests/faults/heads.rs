//! Heads of answers in odd forms.

use gce_auth::ErrorKind;

use super::{
    Final, GOOD, Token, access_tokens, repeated,
    server::{HalfClose, answer, google, say},
};

#[test]
fn heads_in_odd_forms() {
    use ErrorKind::{InvalidResponse, NotMetadataServer};
    let json = "Content-Type: application/json\r\n";
    let length = format!("Content-Length: {}\r\n", GOOD.len());
    let raw = |head: &str| vec![vec![say(format!("{head}\r\n{GOOD}")), HalfClose]];
    let flavor = "Metadata-Flavor: Google\r\n";
    access_tokens(&[
        (
            "no reason phrase",
            raw(&format!("HTTP/1.1 200\r\n{flavor}{length}")),
            Token(1),
        ),
        (
            "a reason that is not ASCII",
            raw(&format!("HTTP/1.1 200 d’accord\r\n{flavor}{length}")),
            Token(1),
        ),
        (
            "HTTP/1.0, until the end",
            raw(&format!("HTTP/1.0 200 OK\r\n{flavor}")),
            Token(1),
        ),
        (
            "bare line feeds",
            raw(&format!(
                "HTTP/1.1 200 OK\n{}{}",
                flavor.replace("\r\n", "\n"),
                length.replace("\r\n", "\n")
            )),
            Token(1),
        ),
        (
            "an empty line before",
            raw(&format!("\r\nHTTP/1.1 200 OK\r\n{flavor}{length}")),
            Token(1),
        ),
        (
            "early hints first",
            raw(&format!(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n{flavor}{length}"
            )),
            Token(1),
        ),
        (
            "a hundred continues",
            raw(&format!(
                "{}HTTP/1.1 200 OK\r\n{flavor}{length}",
                repeated("HTTP/1.1 100 Continue\r\n\r\n", 100)
            )),
            Final(InvalidResponse),
        ),
        (
            "switching protocols",
            raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"),
            Final(InvalidResponse),
        ),
        (
            "HTTP/2.0 in the status line",
            raw(&format!("HTTP/2.0 200 OK\r\n{flavor}{length}")),
            Final(InvalidResponse),
        ),
        (
            "status 99",
            raw(&format!("HTTP/1.1 099 OK\r\n{flavor}{length}")),
            Final(InvalidResponse),
        ),
        (
            "status 2000",
            raw(&format!("HTTP/1.1 2000 OK\r\n{flavor}{length}")),
            Final(InvalidResponse),
        ),
        (
            "another protocol",
            vec![vec![say("220 mail.example ESMTP\r\n"), HalfClose]],
            Final(InvalidResponse),
        ),
        (
            "TLS where HTTP is due",
            vec![vec![say(*b"\x15\x03\x01\x00\x02\x02\x28"), HalfClose]],
            Final(InvalidResponse),
        ),
        (
            "a header that goes on",
            raw(&format!(
                "HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\n{flavor}{length}"
            )),
            Final(InvalidResponse),
        ),
        (
            "a space before the colon",
            raw(&format!(
                "HTTP/1.1 200 OK\r\nMetadata-Flavor : Google\r\n{length}"
            )),
            Final(InvalidResponse),
        ),
        (
            "a NUL in a header",
            raw(&format!(
                "HTTP/1.1 200 OK\r\nX-Null: \0\r\n{flavor}{length}"
            )),
            Final(InvalidResponse),
        ),
        (
            "one header of 60 KiB",
            vec![google(
                "200 OK",
                &format!("{json}X-Long: {}\r\n", repeated("x", 60 * 1024)),
                GOOD,
            )],
            Token(1),
        ),
        (
            "one header of 70 KiB",
            vec![google(
                "200 OK",
                &format!("{json}X-Long: {}\r\n", repeated("x", 70 * 1024)),
                GOOD,
            )],
            Final(InvalidResponse),
        ),
        (
            "98 header lines",
            vec![google("200 OK", &repeated("X-Many: 1\r\n", 98), GOOD)],
            Token(1),
        ),
        (
            "99 header lines too many",
            vec![google("200 OK", &repeated("X-Many: 1\r\n", 199), GOOD)],
            Final(InvalidResponse),
        ),
        (
            "300 header lines",
            vec![google("200 OK", &repeated("X-Many: 1\r\n", 300), GOOD)],
            Final(InvalidResponse),
        ),
        (
            "the flavor in another case of letters",
            vec![answer("200 OK", "METADATA-FLAVOR: Google\r\n", GOOD)],
            Token(1),
        ),
        (
            "spaces around the flavor",
            vec![answer("200 OK", "Metadata-Flavor:  \t Google \t\r\n", GOOD)],
            Token(1),
        ),
        (
            "the flavor twice",
            vec![answer(
                "200 OK",
                "Metadata-Flavor: Google\r\nMetadata-Flavor: Google\r\n",
                GOOD,
            )],
            Token(1),
        ),
        (
            "two flavors",
            vec![answer(
                "200 OK",
                "Metadata-Flavor: Google\r\nMetadata-Flavor: Amazon\r\n",
                GOOD,
            )],
            Final(NotMetadataServer),
        ),
        (
            "the flavor in small letters",
            vec![answer("200 OK", "Metadata-Flavor: google\r\n", GOOD)],
            Final(NotMetadataServer),
        ),
        (
            "flavors in a list",
            vec![answer(
                "200 OK",
                "Metadata-Flavor: Google, Amazon\r\n",
                GOOD,
            )],
            Final(NotMetadataServer),
        ),
        (
            "no flavor",
            vec![answer("200 OK", json, GOOD)],
            Final(NotMetadataServer),
        ),
        (
            "an empty flavor",
            vec![answer("200 OK", "Metadata-Flavor:\r\n", GOOD)],
            Final(NotMetadataServer),
        ),
        (
            "another content type",
            vec![google("200 OK", "Content-Type: text/html\r\n", GOOD)],
            Token(1),
        ),
        (
            "no content type",
            vec![google("200 OK", "", GOOD)],
            Token(1),
        ),
        (
            "a content type that is nonsense",
            vec![google("200 OK", "Content-Type: ;;;=\r\n", GOOD)],
            Token(1),
        ),
        (
            "compressed, which nobody asked for",
            vec![google("200 OK", "Content-Encoding: gzip\r\n", "\x1f\u{8b}")],
            Final(InvalidResponse),
        ),
        (
            "cookies",
            vec![google(
                "200 OK",
                "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n",
                GOOD,
            )],
            Token(1),
        ),
    ]);
}
