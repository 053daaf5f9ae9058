use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpListener},
    thread,
};

use super::*;

/// Sends one request to a server that answers with `answer`, and then says
/// nothing more; `closes` is whether it also ends its side.
fn ask(answer: &'static str, closes: bool) -> Result<Response<Vec<u8>>, TransportError> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        stream.write_all(answer.as_bytes()).unwrap();
        if closes {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        // Until the client hangs up.
        let _ = reader.read_line(&mut line);
    });
    let limits = Limits {
        attempt: Duration::from_millis(if closes { 30_000 } else { 200 }),
        ..Limits::new()
    };
    let transport = HttpTransport::default();
    let response = transport.send(Request::get(uri).body(Vec::new()).unwrap(), &limits);
    drop(transport);
    server.join().unwrap();
    response
}

#[test]
fn a_refusal_counts_whatever_becomes_of_its_body() {
    for (answer, closes) in [
        ("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nshort", true),
        ("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nslow", false),
        ("HTTP/1.1 404 X\r\nContent-Length: 99999999\r\n\r\n", false),
        (
            "HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            true,
        ),
    ] {
        let response = ask(answer, closes).unwrap();
        assert_eq!(response.status(), 404, "{answer:?}");
        assert!(response.body().is_empty(), "{answer:?}");
    }
    let whole = ask("HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\nno", true).unwrap();
    assert_eq!(whole.body(), b"no");
}

#[test]
#[cfg(unix)]
fn what_the_system_calls_invalid_is_no_connection() {
    // EINVAL: connecting to a link-local address without its zone.
    let error = classify(
        io::Error::from_raw_os_error(22),
        Phase::Connect,
        &Limits::new(),
    );
    assert_eq!(error.kind(), Kind::Connect);
}

#[test]
fn a_success_counts_only_when_it_is_whole() {
    for (answer, closes, kind) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            true,
            Kind::Closed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow",
            false,
            Kind::Timeout,
        ),
        // Too large, and known at once: nobody waits for what never comes.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
            false,
            Kind::TooLarge,
        ),
    ] {
        assert_eq!(ask(answer, closes).unwrap_err().kind(), kind, "{answer:?}");
    }
}
