use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::channel,
    thread,
};

use super::{answer::within, *};

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

/// Reads one request from `stream`; whether there was one.
fn read_request(stream: &TcpStream) -> bool {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        line.clear();
    }
    !line.is_empty()
}

const FIRST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
const SECOND: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

fn get(transport: &HttpTransport, uri: &str) -> Result<Vec<u8>, TransportError> {
    let request = Request::get(uri).body(Vec::new()).unwrap();
    let response = transport.send(request, &Limits::new())?;
    Ok(response.into_body())
}

#[test]
fn what_comes_unasked_is_not_the_answer_to_the_next_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let (go, wait) = channel::<()>();
    let (late, is_late) = channel();
    let server = thread::spawn(move || {
        let (mut kept, _) = listener.accept().unwrap();
        assert!(read_request(&kept));
        kept.write_all(FIRST).unwrap();
        wait.recv().unwrap();
        kept.write_all(FIRST).unwrap();
        late.send(()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        assert!(read_request(&other));
        other.write_all(SECOND).unwrap();
        kept
    });
    let transport = HttpTransport::default();
    assert_eq!(get(&transport, &uri).unwrap(), b"first");
    go.send(()).unwrap();
    is_late.recv().unwrap();
    assert_eq!(get(&transport, &uri).unwrap(), b"second");
    drop(server.join().unwrap());
}

#[test]
fn a_kept_connection_that_closes_under_a_request_is_no_failed_attempt() {
    for method in [http::Method::GET, http::Method::POST] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let repeated = method == http::Method::GET;
        let server = thread::spawn(move || {
            let (mut kept, _) = listener.accept().unwrap();
            assert!(read_request(&kept));
            kept.write_all(FIRST).unwrap();
            // Reads the next one, and goes away without a word.
            assert!(read_request(&kept));
            drop(kept);
            if repeated {
                let (mut other, _) = listener.accept().unwrap();
                assert!(read_request(&other));
                other.write_all(SECOND).unwrap();
            }
        });
        let transport = HttpTransport::default();
        assert_eq!(get(&transport, &uri).unwrap(), b"first");
        let mut request = Request::new(Vec::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap();
        let sent = transport.send(request, &Limits::new());
        match sent {
            Ok(response) => assert!(repeated && response.body() == b"second"),
            Err(error) => assert!(!repeated && error.kind() == Kind::Closed, "{error}"),
        }
        server.join().unwrap();
    }
}

#[test]
fn a_first_connection_that_closes_is_a_failed_attempt() {
    let error = ask("", true).unwrap_err();
    assert_eq!(error.kind(), Kind::Closed);
}

#[test]
fn headers_may_be_as_long_as_the_limit_and_no_longer() {
    for (longer, kind) in [(0, None), (1, Some(Kind::TooLarge))] {
        let limits = Limits {
            header_bytes: 100,
            ..Limits::new()
        };
        assert_eq!(
            within(&limits, 100 + longer).err().map(|it| it.kind()),
            kind
        );
    }
}

#[test]
fn a_pin_that_matches_no_request_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    for authority in [
        "metadata",
        "http://metadata:80",
        "metadata:",
        "metadata:0",
        ":80",
        "user:secret@metadata:80",
        "fd20:ce::254",
        "",
    ] {
        let error = HttpTransport::new().resolve(authority, &*at).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{authority}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for address in ["localhost:1", "127.0.0.1", "127.0.0.1:http", ""] {
        let pinned = HttpTransport::new().resolve("metadata:80", address);
        assert_eq!(pinned.unwrap_err().kind(), ErrorKind::Config, "{address}");
    }
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(read_request(&stream));
        stream.write_all(FIRST).unwrap();
    });
    let transport = HttpTransport::new().resolve("Metadata.example:80", &*at);
    let body = get(&transport.unwrap(), "http://metadata.EXAMPLE/").unwrap();
    assert_eq!(body, b"first");
    server.join().unwrap();
}
