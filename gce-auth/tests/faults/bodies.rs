//! Bodies in odd forms: chunks, lengths and encodings.

use gce_auth::ErrorKind;

use super::{
    Final, GOOD, Token, Transient, access_tokens, repeated,
    server::{HalfClose, framed, google, say},
};

#[test]
fn bodies_in_odd_forms() {
    use ErrorKind::{InvalidResponse, Timeout, Unavailable};
    let chunked = |body: &str| {
        vec![vec![
            framed("Transfer-Encoding: chunked\r\n", body),
            HalfClose,
        ]]
    };
    let size = GOOD.len();
    let (first, second) = GOOD.split_at(20);
    let two = format!("14\r\n{first}\r\n{:x}\r\n{second}\r\n", second.len());
    let length = |text: &str| {
        vec![vec![
            framed(&format!("Content-Length: {text}\r\n"), GOOD),
            HalfClose,
        ]]
    };
    access_tokens(&[
        ("two chunks", chunked(&format!("{two}0\r\n\r\n")), Token(1)),
        (
            "chunks with extensions",
            chunked(&format!(
                "{size:x};name=\"a;b\"\r\n{GOOD}\r\n0;last\r\n\r\n"
            )),
            Token(1),
        ),
        (
            "sizes in capitals with zeros before them",
            chunked(&format!("0000{size:X}\r\n{GOOD}\r\n000\r\n\r\n")),
            Token(1),
        ),
        (
            "a trailer",
            chunked(&format!(
                "{two}0\r\nX-Trailer: 1\r\nMetadata-Flavor: Evil\r\n\r\n"
            )),
            Token(1),
        ),
        (
            "chunks with bare line feeds",
            chunked(&format!("{size:x}\n{GOOD}\n0\n\n")),
            Token(1),
        ),
        (
            "one byte a chunk",
            chunked(&format!(
                "{}0\r\n\r\n",
                GOOD.chars()
                    .map(|c| format!("1\r\n{c}\r\n"))
                    .collect::<String>()
            )),
            Token(1),
        ),
        ("no last chunk", chunked(&two), Transient(Unavailable)),
        (
            "no end of the trailer",
            chunked(&format!("{two}0\r\nX-Trailer: 1\r\n")),
            Transient(Unavailable),
        ),
        (
            "a size that is no number",
            chunked(&format!("xyz\r\n{GOOD}\r\n0\r\n\r\n")),
            Final(InvalidResponse),
        ),
        (
            "a negative size",
            chunked(&format!("-1\r\n{GOOD}\r\n0\r\n\r\n")),
            Final(InvalidResponse),
        ),
        (
            "a size with a sign",
            chunked(&format!("+{size:x}\r\n{GOOD}\r\n0\r\n\r\n")),
            Final(InvalidResponse),
        ),
        (
            "no size",
            chunked(&format!("\r\n{GOOD}\r\n0\r\n\r\n")),
            Final(InvalidResponse),
        ),
        (
            "a size beyond all numbers",
            chunked(&format!("{}\r\n{GOOD}", repeated("f", 40))),
            Final(InvalidResponse),
        ),
        (
            "a size of almost all numbers",
            chunked(&format!("ffffffffffffffff\r\n{GOOD}")),
            Final(InvalidResponse),
        ),
        (
            "a size line without an end",
            chunked(&repeated("0", 100_000)),
            Final(InvalidResponse),
        ),
        (
            "a chunk longer than its size",
            chunked(&format!("5\r\n{GOOD}\r\n0\r\n\r\n")),
            Final(InvalidResponse),
        ),
        (
            "a trailer without an end",
            chunked(&format!(
                "{two}0\r\n{}",
                repeated("X-Trailer: 1\r\n", 150_000)
            )),
            Final(InvalidResponse),
        ),
        (
            "chunked twice",
            vec![vec![framed(
                "Transfer-Encoding: chunked, chunked\r\n",
                &two,
            )]],
            Final(InvalidResponse),
        ),
        (
            "gzip in chunks",
            vec![vec![framed("Transfer-Encoding: gzip, chunked\r\n", &two)]],
            Final(InvalidResponse),
        ),
        (
            "another coding",
            vec![vec![framed("Transfer-Encoding: identity\r\n", GOOD)]],
            Final(InvalidResponse),
        ),
        (
            "chunked and a length",
            vec![vec![framed(
                "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                &format!("{two}0\r\n\r\n"),
            )]],
            Token(1),
        ),
        (
            "the length twice",
            length(&format!("{size}\r\nContent-Length: {size}")),
            Token(1),
        ),
        (
            "the length in a list",
            length(&format!("{size}, {size}")),
            Token(1),
        ),
        (
            "two lengths",
            length(&format!("{size}\r\nContent-Length: 3")),
            Final(InvalidResponse),
        ),
        (
            "a length with a sign",
            length(&format!("+{size}")),
            Final(InvalidResponse),
        ),
        ("a negative length", length("-5"), Final(InvalidResponse)),
        (
            "a length in hexadecimal",
            length("0x45"),
            Final(InvalidResponse),
        ),
        ("an empty length", length(""), Final(InvalidResponse)),
        (
            "a length beyond all numbers",
            length(&repeated("9", 30)),
            Final(InvalidResponse),
        ),
        (
            "a length that is too short",
            length("30"),
            Final(InvalidResponse),
        ),
        (
            "a length that is too long, then the end",
            length("5000"),
            Transient(Unavailable),
        ),
        (
            "a length that is too long, then nothing",
            vec![vec![framed("Content-Length: 5000\r\n", GOOD)]],
            Transient(Timeout),
        ),
        (
            "no length, until the end",
            vec![vec![framed("", GOOD), HalfClose]],
            Token(1),
        ),
        (
            "no length and no end",
            vec![vec![framed("", GOOD)]],
            Transient(Timeout),
        ),
        (
            "more than the length",
            length(&format!("{size}\r\nX: y")),
            Token(1),
        ),
        (
            "an empty body",
            vec![google("200 OK", "", "")],
            Final(InvalidResponse),
        ),
        (
            "204 and no body",
            vec![vec![say(
                "HTTP/1.1 204 No Content\r\nMetadata-Flavor: Google\r\n\r\n",
            )]],
            Final(InvalidResponse),
        ),
    ]);
}
