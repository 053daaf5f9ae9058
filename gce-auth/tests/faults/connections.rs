//! Connections that end, stall or drip.

use gce_auth::ErrorKind;

use super::{
    Due::{Final, Token, Transient},
    GOOD, access_tokens, repeated,
    server::{Drip, HalfClose, Reset, say, token},
};

#[test]
fn connections_that_end_stall_or_drip() {
    use ErrorKind::{Timeout, Unavailable};
    let head = format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: {}\r\n\r\n",
        GOOD.len()
    );
    let whole = format!("{head}{GOOD}");
    let half = &whole[..whole.len() - 20];
    let good = || token(GOOD);
    access_tokens(&[
        ("reset at once", vec![vec![Reset]], Transient(Unavailable)),
        (
            "reset within the head",
            vec![vec![say(&head[..30]), Reset]],
            Transient(Unavailable),
        ),
        (
            "reset within the body",
            vec![vec![say(half), Reset]],
            Transient(Unavailable),
        ),
        (
            "closed at once",
            vec![vec![HalfClose]],
            Transient(Unavailable),
        ),
        (
            "closed within the head",
            vec![vec![say(&head[..30]), HalfClose]],
            Transient(Unavailable),
        ),
        (
            "closed within the body",
            vec![vec![say(half), HalfClose]],
            Transient(Unavailable),
        ),
        ("silent", vec![vec![]], Transient(Timeout)),
        (
            "silent within the head",
            vec![vec![say(&head[..30])]],
            Transient(Timeout),
        ),
        (
            "silent within the body",
            vec![vec![say(half)]],
            Transient(Timeout),
        ),
        (
            "interim answers and then silence",
            vec![vec![say("HTTP/1.1 100 Continue\r\n\r\n")]],
            Transient(Timeout),
        ),
        (
            "a head that drips for ever",
            vec![vec![Drip(
                format!("HTTP/1.1 200 OK\r\n{}", repeated("X: y\r\n", 90)).into_bytes(),
            )]],
            Transient(Timeout),
        ),
        (
            "a body that drips for too long",
            vec![vec![
                say("HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\
                         Content-Length: 9999\r\n\r\n"),
                Drip(repeated(" ", 600).into_bytes()),
            ]],
            Transient(Timeout),
        ),
        (
            "a refusal whose body drips",
            vec![vec![
                say(
                    "HTTP/1.1 404 Not Found\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\n",
                ),
                Drip(repeated(" ", 600).into_bytes()),
            ]],
            Final(ErrorKind::NotFound),
        ),
        (
            "a refusal whose body is reset",
            vec![vec![
                say(
                    "HTTP/1.1 403 Forbidden\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\nno",
                ),
                Reset,
            ]],
            Final(ErrorKind::Forbidden),
        ),
        (
            "an answer that drips, but is whole in time",
            vec![vec![
                say(&whole[..whole.len() - 10]),
                Drip(whole[whole.len() - 10..].into()),
            ]],
            Token(1),
        ),
        ("reset, then well", vec![vec![Reset], good()], Token(2)),
        (
            "closed thrice, then well",
            vec![vec![HalfClose], vec![HalfClose], vec![HalfClose], good()],
            Token(4),
        ),
        ("silent, then well", vec![vec![], good()], Token(2)),
        (
            "cut short, then well",
            vec![vec![say(half), HalfClose], good()],
            Token(2),
        ),
        (
            "a whole answer and a reset",
            vec![vec![say(whole.clone()), Reset]],
            Token(1),
        ),
        (
            "a second answer that nobody asked for",
            vec![vec![say(format!("{whole}{whole}"))]],
            Token(1),
        ),
    ]);
}
