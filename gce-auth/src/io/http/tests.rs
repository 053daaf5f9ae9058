use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::channel,
    thread,
};

use super::{answer::within, dial::share, failure::closed, pool::tests::quiet, *};
use crate::io::clock::{Clock as _, SystemClock};

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

#[test]
fn what_comes_along_with_an_answer_is_not_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        assert!(read_request(&first));
        first.write_all(&[FIRST, SECOND].concat()).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        assert!(read_request(&other));
        other.write_all(SECOND).unwrap();
        first
    });
    let transport = HttpTransport::default();
    assert_eq!(get(&transport, &uri).unwrap(), b"first");
    assert_eq!(get(&transport, &uri).unwrap(), b"second");
    drop(server.join().unwrap());
}

#[test]
fn a_body_that_comes_later_says_whether_more_came() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (framing, rest, alone) in [
        ("Content-Length: 5", "first", true),
        ("Content-Length: 5", "firstHTTP/1.1 404 X\r\n", false),
        (
            "Transfer-Encoding: chunked",
            "5\r\nfirst\r\n0\r\n\r\n",
            true,
        ),
        (
            "Transfer-Encoding: chunked",
            "5\r\nfirst\r\n0\r\n\r\nX",
            false,
        ),
    ] {
        let (mut connection, mut server) = quiet(&listener);
        let (limits, request) = (Limits::new(), Request::new(Vec::new()));
        let end = now() + Duration::from_secs(60);
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        server.write_all(head.as_bytes()).unwrap();
        let read = read_head(&mut connection.until(end), &request, &limits, &mut false);
        let (head, none) = read.unwrap();
        assert!(none.is_empty());
        server.write_all(rest.as_bytes()).unwrap();
        let body = read_body(&mut connection.until(end), &head, &none, &limits).unwrap();
        assert_eq!(body, (b"first".to_vec(), alone), "{rest}");
    }
}

#[test]
fn an_interim_answer_is_passed_over_and_a_body_may_end_with_the_connection() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let of = |interims: usize, last: &str| interim.repeat(interims) + last;
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let answer = leak(of(32, "HTTP/1.1 200 OK\r\n\r\nto the end"));
    assert_eq!(ask(answer, true).unwrap().body(), b"to the end");
    for refused in [
        of(33, "HTTP/1.1 200 OK\r\n\r\nx"),
        of(0, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ] {
        let error = ask(leak(refused), true).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
    }
}

#[test]
fn what_the_system_says_becomes_a_kind() {
    use io::ErrorKind as K;
    let of = |kind: K, phase| classify(kind.into(), phase, &Limits::new());
    for (kind, connecting, reading) in [
        (K::ConnectionRefused, Kind::Connect, Kind::Connect),
        (K::HostUnreachable, Kind::Connect, Kind::Connect),
        (K::PermissionDenied, Kind::Connect, Kind::Connect),
        (K::InvalidInput, Kind::Connect, Kind::Closed),
        (K::ConnectionReset, Kind::Closed, Kind::Closed),
        (K::BrokenPipe, Kind::Closed, Kind::Closed),
        (K::UnexpectedEof, Kind::Closed, Kind::Closed),
        (K::Other, Kind::Connect, Kind::Closed),
        (K::TimedOut, Kind::Timeout, Kind::Timeout),
        (K::WouldBlock, Kind::Timeout, Kind::Timeout),
    ] {
        assert_eq!(of(kind, Phase::Connect).kind(), connecting, "{kind:?}");
        assert_eq!(of(kind, Phase::Body).kind(), reading, "{kind:?}");
    }
    let said = |kind: K, phase| of(kind, phase).to_string();
    for (kind, phase, what) in [
        (K::ConnectionRefused, Phase::Connect, "refused"),
        (K::NetworkDown, Phase::Connect, "cannot be reached"),
        (K::PermissionDenied, Phase::Connect, "forbids"),
        (K::InvalidInput, Phase::Connect, "cannot be reached"),
        (K::InvalidInput, Phase::Head, "the connection failed"),
        (K::Other, Phase::Connect, "no connection could be made"),
        (K::ConnectionAborted, Phase::Head, "was reset"),
        (K::TimedOut, Phase::Connect, "no connection within 2.0 s"),
        (K::TimedOut, Phase::Head, "no answer within 3.0 s"),
        (K::TimedOut, Phase::Body, "no whole answer within 3.0 s"),
    ] {
        assert!(said(kind, phase).contains(what), "{}", said(kind, phase));
    }
    assert_eq!(
        said(K::UnexpectedEof, Phase::Body),
        closed().to_string(),
        "as where nothing more came"
    );
    for (kind, broken) in [
        (K::BrokenPipe, true),
        (K::ConnectionReset, true),
        (K::TimedOut, false),
    ] {
        assert_eq!(is_broken(&kind.into()), broken, "{kind:?}");
    }
}

#[test]
fn a_url_says_where_to_go_and_how() {
    for (url, host, port, https) in [
        ("http://h/x", "h", 80, false),
        ("https://h/x", "h", 443, true),
        ("https://h:80/x", "h", 80, true),
        ("http://[::1]:8/x", "[::1]", 8, false),
    ] {
        let uri = url.parse().unwrap();
        assert_eq!(authority(&uri).unwrap(), (host, port), "{url}");
        assert_eq!(is_https(&uri), https, "{url}");
    }
    assert!(authority(&"/x".parse().unwrap()).is_err());
    assert_eq!(format!("{:?}", HttpTransport::new()), "HttpTransport");
}

#[test]
fn a_head_may_come_in_pieces_and_be_longer_than_its_first_room() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let of = |filling: usize, end: &str| {
        let interim = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
            "x".repeat(1500)
        );
        format!(
            "{interim}HTTP/1.1 200 OK\r\nX-Long: {}{end}",
            "y".repeat(filling)
        )
    };
    let read = |answer: String| {
        let (mut connection, mut server) = quiet(&listener);
        let limits = Limits {
            header_bytes: 6000,
            ..Limits::new()
        };
        server.write_all(answer.as_bytes()).unwrap();
        let end = now() + Duration::from_secs(60);
        let request = Request::new(Vec::new());
        let read = read_head(&mut connection.until(end), &request, &limits, &mut false);
        read.map(|(head, _)| head.headers["x-long"].len())
            .map_err(|error| error.kind())
    };
    assert_eq!(read(of(4000, "\r\n\r\n")), Ok(4000));
    // Known before it ends: what was passed over counts as well.
    assert_eq!(read(of(4500, "")), Err(Kind::TooLarge));
}

#[test]
fn what_has_come_is_not_read_after_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut connection, mut server) = quiet(&listener);
    server.write_all(FIRST).unwrap();
    let moment = SystemClock::new().now().boot;
    let mut byte = [0];
    let late = connection.until(moment).read(&mut byte).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    let in_time = connection.until(moment + Duration::from_secs(60));
    assert_eq!({ in_time }.read(&mut byte).unwrap(), 1);
}

#[test]
fn an_answer_counts_where_the_request_could_not_be_sent_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(FIRST).unwrap();
    // From here on, writing fails as it does once a server has hung up.
    stream.shutdown(Shutdown::Write).unwrap();
    let (head, body, _) = HttpTransport::exchange(
        &mut Connection::plain(stream),
        &Request::new(Vec::new()),
        b"GET / HTTP/1.1\r\n\r\n",
        &Limits::new(),
        now() + Duration::from_secs(60),
        None,
        &mut false,
    )
    .unwrap();
    assert_eq!((head.status.as_u16(), &body[..]), (200, &b"first"[..]));
}

#[test]
fn each_address_gets_a_fair_share_of_the_time() {
    let second = Duration::from_secs(1);
    assert_eq!(share(second, 1), second);
    assert_eq!(share(second, 4), second / 4);
    assert_eq!(share(second, 2000), Duration::from_millis(1), "at least");
    assert_eq!(share(second, 0), second);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (open, refusing) = (
        listener.local_addr().unwrap(),
        "127.0.0.1:1".parse().unwrap(),
    );
    let end = now() + Duration::from_secs(60);
    let found = dial(&[refusing, open], end, &Limits::new()).unwrap();
    assert_eq!(found.peer_addr().unwrap(), open);
}
