//! Statuses, and when a client asks again.

use gce_auth::ErrorKind;

use super::{
    Final, GOOD, Impostor, Token, Transient, access_tokens,
    server::{answer, google, say, token},
};

#[test]
fn statuses_and_when_to_come_again() {
    use ErrorKind::{
        Forbidden, InvalidResponse, NotFound, NotMetadataServer, RateLimited, Unavailable,
    };
    let with = |status: &str, headers: &str| vec![google(status, headers, "")];
    let then = |status: &str, headers: &str| vec![google(status, headers, ""), token(GOOD)];
    let date = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
    access_tokens(&[
        (
            "201",
            vec![google("201 Created", "", GOOD)],
            Final(InvalidResponse),
        ),
        (
            "203",
            vec![google("203 Non-Authoritative", "", GOOD)],
            Final(InvalidResponse),
        ),
        (
            "206",
            vec![google("206 Partial Content", "", GOOD)],
            Final(InvalidResponse),
        ),
        (
            "299",
            vec![google("299 Fine", "", GOOD)],
            Final(InvalidResponse),
        ),
        ("300", with("300 Choices", ""), Final(NotMetadataServer)),
        (
            "301 to another place",
            with("301 Moved", "Location: http://169.254.169.254/other/\r\n"),
            Final(NotMetadataServer),
        ),
        (
            "301 without a place",
            with("301 Moved", ""),
            Final(NotMetadataServer),
        ),
        (
            "304",
            with("304 Not Modified", ""),
            Final(NotMetadataServer),
        ),
        (
            "307 to itself",
            with(
                "307 Again",
                "Location: /computeMetadata/v1/instance/service-accounts/default/token\r\n",
            ),
            Final(NotMetadataServer),
        ),
        (
            "308",
            with("308 Permanent", "Location: https://portal.example/\r\n"),
            Final(NotMetadataServer),
        ),
        ("400", with("400 Bad Request", ""), Final(InvalidResponse)),
        ("401", with("401 Unauthorized", ""), Final(InvalidResponse)),
        ("403", with("403 Forbidden", ""), Final(Forbidden)),
        ("404", with("404 Not Found", ""), Final(NotFound)),
        (
            "404 without flavor",
            vec![answer("404 Not Found", "", "")],
            Impostor,
        ),
        (
            "404 of Google's server without flavor",
            vec![answer(
                "404 Not Found",
                "Server: GKE Metadata Server\r\n",
                "",
            )],
            Final(NotFound),
        ),
        ("407", with("407 Proxy", ""), Final(InvalidResponse)),
        ("408", with("408 Timeout", ""), Transient(Unavailable)),
        ("410", with("410 Gone", ""), Final(InvalidResponse)),
        ("418", with("418 Teapot", ""), Final(InvalidResponse)),
        ("429", with("429 Slow", ""), Transient(RateLimited)),
        ("500", with("500 Error", ""), Transient(Unavailable)),
        ("501", with("501 No", ""), Final(InvalidResponse)),
        (
            "502 without flavor",
            vec![answer("502 Bad Gateway", "", "<html>")],
            Transient(Unavailable),
        ),
        ("504", with("504 Late", ""), Transient(Unavailable)),
        ("507", with("507 Full", ""), Transient(Unavailable)),
        ("599", with("599 What", ""), Transient(Unavailable)),
        ("600", with("600 What", ""), Final(InvalidResponse)),
        ("999", with("999 What", ""), Final(InvalidResponse)),
        (
            "503 and 1 s",
            then("503 Wait", "Retry-After: 1\r\n"),
            Token(2),
        ),
        (
            "503 and 0 s",
            then("503 Wait", "Retry-After: 0\r\n"),
            Token(2),
        ),
        (
            "503 and 1.5 s, which is no number of seconds",
            then("503 Wait", "Retry-After: 1.5\r\n"),
            Token(2),
        ),
        (
            "503 and nonsense",
            then("503 Wait", "Retry-After: soon\r\n"),
            Token(2),
        ),
        (
            "503 and a negative time",
            then("503 Wait", "Retry-After: -10\r\n"),
            Token(2),
        ),
        (
            "503 and bytes that are no text",
            vec![
                vec![say(
                    b"HTTP/1.1 503 Wait\r\nRetry-After: \xff\xfe\r\nContent-Length: 0\r\n\r\n"
                        .to_vec(),
                )],
                token(GOOD),
            ],
            Token(2),
        ),
        (
            "503 and an hour",
            with("503 Wait", "Retry-After: 3600\r\n"),
            Final(Unavailable),
        ),
        (
            "429 and ages",
            with("429 Wait", "Retry-After: 99999999999999999999999\r\n"),
            Final(RateLimited),
        ),
        (
            "503 and a date a second away",
            then(
                "503 Wait",
                &format!("{date}Retry-After: Tue, 14 Nov 2023 22:13:21 GMT\r\n"),
            ),
            Token(2),
        ),
        (
            "503 and a date that is over",
            then(
                "503 Wait",
                &format!("{date}Retry-After: Tue, 14 Nov 2023 22:00:00 GMT\r\n"),
            ),
            Token(2),
        ),
        (
            "503 and a date an hour away",
            with(
                "503 Wait",
                &format!("{date}Retry-After: Tuesday, 14-Nov-23 23:13:20 GMT\r\n"),
            ),
            Final(Unavailable),
        ),
        (
            "503 and a date of another century, without the server's own",
            with("503 Wait", "Retry-After: Fri, 31 Dec 2199 23:59:59 GMT\r\n"),
            Final(Unavailable),
        ),
    ]);
}
