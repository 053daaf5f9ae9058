//! Answers that are odd, wrong or never whole, byte by byte over real sockets:
//! what becomes a token, what becomes which error, and how often it is asked.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gce_auth::{
    Credentials, Error, ErrorKind, IdTokenCredentials, MetadataClient, RetryPolicy,
    transport::Limits,
};

const GOOD: &str = r#"{"access_token":"ya29.good","expires_in":3599,"token_type":"Bearer"}"#;
const AUDIENCE: &str = "https://service.example";

/// What a server does with a request, in order. Then it waits for the next one,
/// or until the client has gone.
#[derive(Clone, Debug)]
enum Step {
    Say(Vec<u8>),
    /// The same byte by byte, a little later each.
    Drip(Vec<u8>),
    /// No more from this side; the other may go on.
    HalfClose,
    /// The connection is reset.
    Reset,
}

use Step::{Drip, HalfClose, Reset, Say};

fn say(bytes: impl Into<Vec<u8>>) -> Step {
    Say(bytes.into())
}

/// A whole answer: status line, headers as they are, length, body.
fn answer(status: &str, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![say(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ))]
}

/// A whole answer of a metadata server.
fn google(status: &str, headers: &str, body: &str) -> Vec<Step> {
    answer(
        status,
        &format!("Metadata-Flavor: Google\r\n{headers}"),
        body,
    )
}

fn token(json: &str) -> Vec<Step> {
    google("200 OK", "Content-Type: application/json\r\n", json)
}

/// A body without a length, after these headers.
fn framed(headers: &str, body: &str) -> Step {
    say(format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n{headers}\r\n{body}"
    ))
}

/// Answers each request with the steps that `script` has for it; the last ones
/// repeat.
struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(script: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (stopped, requests) = (stopped.clone(), requests.clone());
            move || {
                for stream in listener.incoming() {
                    if stopped.load(SeqCst) {
                        return;
                    }
                    if let Ok(stream) = stream {
                        serve(stream, &script, &requests, &stopped);
                    }
                }
            }
        });
        Self {
            address,
            stopped,
            requests,
            thread: Some(thread),
        }
    }

    fn client(&self) -> MetadataClient {
        let mut limits = Limits::new();
        limits.attempt = Duration::from_secs(2);
        limits.first_byte = Duration::from_secs(2);
        MetadataClient::builder()
            .endpoint(self.address.to_string())
            .limits(limits)
            .retry(RetryPolicy::new().budget(Duration::from_secs(6)))
            .build()
            .unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the client went away within this time.
fn gone_within(stream: &mut TcpStream, time: Duration) -> bool {
    let _ = stream.set_read_timeout(Some(time));
    loop {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                use std::io::ErrorKind::{TimedOut, WouldBlock};
                return !matches!(error.kind(), TimedOut | WouldBlock);
            }
        }
    }
}

/// Serves one connection for as long as the client keeps it.
fn serve(
    mut stream: TcpStream,
    script: &[Vec<Step>],
    requests: &AtomicUsize,
    stopped: &AtomicBool,
) {
    while asked(&mut stream, stopped) {
        let number = requests.fetch_add(1, SeqCst);
        for step in &script[number.min(script.len() - 1)] {
            match step {
                Say(bytes) => {
                    let _ = stream.write_all(bytes);
                }
                Drip(bytes) => {
                    for byte in bytes {
                        let said = stream.write_all(&[*byte]);
                        if said.is_err() || gone_within(&mut stream, Duration::from_millis(5)) {
                            break;
                        }
                    }
                }
                HalfClose => {
                    let _ = stream.shutdown(Shutdown::Write);
                }
                Reset => return,
            }
        }
    }
}

/// Whether there was a request before the client or the test went away. It is
/// read but for its last byte: a connection that is closed with something
/// unread is reset.
fn asked(stream: &mut TcpStream, stopped: &AtomicBool) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return false,
            Ok(_) => request.extend_from_slice(&byte),
            Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => {
                if stopped.load(SeqCst) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A token, after so many requests.
    Token(usize),
    /// An error of this kind, after one request: it is final for the call.
    Final(ErrorKind),
    /// An error of this kind, after several requests.
    Transient(ErrorKind),
    /// No metadata server, after it was also asked for `/`.
    Impostor,
}

use Due::{Final, Impostor, Token, Transient};

/// Asks for what `ask` asks for, and says what is not as it is due.
fn judge<T>(
    name: &str,
    script: Vec<Vec<Step>>,
    due: Due,
    ask: impl FnOnce(&MetadataClient) -> Result<T, Error>,
    expected: impl FnOnce(&T) -> bool,
) -> Option<String> {
    let server = Server::new(script);
    let outcome = ask(&server.client());
    let requests = server.requests();
    let wrong = match (due, &outcome) {
        (Token(times), Ok(value)) => !expected(value) || requests != times,
        (Final(kind), Err(error)) => error.kind() != kind || requests != 1,
        (Transient(kind), Err(error)) => error.kind() != kind || requests < 2,
        (Impostor, Err(error)) => error.kind() != ErrorKind::NotMetadataServer || requests != 2,
        _ => true,
    };
    let outcome = outcome.map(|_| "a value");
    wrong.then(|| format!("{name}: due {due:?}, got {outcome:?} after {requests} requests"))
}

/// Every case at once: most of the time they wait.
fn all<T, C: Send + Sync>(
    cases: &[(&'static str, C, Due)],
    script: impl Fn(&C) -> Vec<Vec<Step>> + Sync,
    ask: impl Fn(&MetadataClient) -> Result<T, Error> + Sync,
    expected: impl Fn(&T) -> bool + Sync,
) {
    let wrong: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|(name, case, due)| {
                let (script, ask, expected) = (&script, &ask, &expected);
                scope.spawn(move || judge(name, script(case), *due, ask, expected))
            })
            .collect();
        running
            .into_iter()
            .filter_map(|case| case.join().unwrap())
            .collect()
    });
    assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
}

/// Unshared, as a port that was free is another case's soon, and an entry lingers.
fn access_token(client: &MetadataClient) -> Result<String, Error> {
    let credentials = Credentials::builder()
        .client(client.clone())
        .shared(false)
        .build()?;
    Ok(credentials.blocking_token()?.secret().to_owned())
}

fn access_tokens(cases: &[(&'static str, Vec<Vec<Step>>, Due)]) {
    all(cases, Clone::clone, access_token, |token| {
        token == "ya29.good"
    });
}

fn repeated(text: &str, times: usize) -> String {
    text.repeat(times)
}

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

#[test]
fn access_tokens_in_odd_forms() {
    use ErrorKind::{Expired, InvalidResponse};
    let lives =
        |expires_in: &str| format!(r#"{{"access_token":"ya29.good","expires_in":{expires_in}}}"#);
    let is = |token: &str| format!(r#"{{"access_token":{token},"expires_in":3599}}"#);
    let cases: Vec<(&str, String, Due)> = vec![
        ("seconds as text", lives("\"3599\""), Token(1)),
        ("seconds as text with spaces", lives("\" 3599 \""), Token(1)),
        ("seconds with a fraction", lives("3599.999"), Token(1)),
        ("seconds with an exponent", lives("3.6e3"), Token(1)),
        (
            "seconds beyond 64 bits",
            lives("36893488147419103232"),
            Token(1),
        ),
        ("seconds for ages", lives("1e300"), Token(1)),
        ("seconds for ages as text", lives("\"1e300\""), Token(1)),
        (
            "more seconds than there are numbers, as text",
            lives("\"1e999\""),
            Final(InvalidResponse),
        ),
        ("half a second", lives("0.5"), Token(1)),
        ("minus zero", lives("-0.0"), Final(Expired)),
        ("a tiny number of seconds", lives("1e-300"), Final(Expired)),
        ("negative seconds as text", lives("\"-1\""), Final(Expired)),
        ("seconds in words", lives("\"inf\""), Final(InvalidResponse)),
        (
            "seconds that are no number",
            lives("\"NaN\""),
            Final(InvalidResponse),
        ),
        (
            "seconds with a unit",
            lives("\"3599s\""),
            Final(InvalidResponse),
        ),
        (
            "seconds in hexadecimal",
            lives("\"0xe0f\""),
            Final(InvalidResponse),
        ),
        ("true seconds", lives("true"), Final(InvalidResponse)),
        ("seconds in a list", lives("[3599]"), Final(InvalidResponse)),
        ("seconds of null", lives("null"), Final(InvalidResponse)),
        (
            "no seconds",
            r#"{"access_token":"ya29.good"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "a date instead of seconds",
            r#"{"access_token":"ya29.good","expires_at":"2199-01-01T00:00:00Z"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "no token",
            r#"{"expires_in":3599}"#.into(),
            Final(InvalidResponse),
        ),
        ("an empty token", is("\"\""), Final(InvalidResponse)),
        ("a token of spaces", is("\"   \""), Final(InvalidResponse)),
        (
            "a token with a space",
            is("\"ya29.a b\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a line end at its end",
            is("\"ya29.good\\n\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a header in it",
            is("\"ya29.good\\r\\nX-Evil: 1\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a NUL",
            is("\"ya29.\\u0000\""),
            Final(InvalidResponse),
        ),
        (
            "a token that is not ASCII",
            is("\"ya29.gööd\""),
            Final(InvalidResponse),
        ),
        (
            "half a character as a token",
            is("\"\\ud800\""),
            Final(InvalidResponse),
        ),
        ("a number as a token", is("12345"), Final(InvalidResponse)),
        ("null as a token", is("null"), Final(InvalidResponse)),
        (
            "a list of tokens",
            is("[\"ya29.good\"]"),
            Final(InvalidResponse),
        ),
        ("an escaped token", is("\"ya29\\u002egood\""), Token(1)),
        ("no type", lives("3599"), Token(1)),
        (
            "a type of null",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":null}"#.into(),
            Token(1),
        ),
        (
            "a type in capitals",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":"BEARER"}"#.into(),
            Token(1),
        ),
        (
            "another type",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":"DPoP"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "an empty type",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":""}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "an error with status 200",
            r#"{"error":"invalid_scope","error_description":"no"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "white space around",
            format!("\r\n\t {GOOD} \n\n"),
            Token(1),
        ),
        (
            "a byte order mark before",
            format!("\u{feff}{GOOD}"),
            Final(InvalidResponse),
        ),
        (
            "something behind",
            format!("{GOOD}}}"),
            Final(InvalidResponse),
        ),
        (
            "two objects",
            format!("{GOOD}{GOOD}"),
            Final(InvalidResponse),
        ),
        ("a list of one", format!("[{GOOD}]"), Final(InvalidResponse)),
        (
            "text of JSON",
            serde_json::to_string(GOOD).unwrap(),
            Final(InvalidResponse),
        ),
        ("JavaScript", GOOD.replace('"', "'"), Final(InvalidResponse)),
        (
            "a comma too many",
            GOOD.replace('}', ",}"),
            Final(InvalidResponse),
        ),
        (
            "a call around it",
            format!("callback({GOOD})"),
            Final(InvalidResponse),
        ),
        (
            "a prefix against scripts",
            format!(")]}}'\n{GOOD}"),
            Final(InvalidResponse),
        ),
        (
            "deep brackets",
            repeated("[", 30_000),
            Final(InvalidResponse),
        ),
        (
            "deep in an unknown field",
            format!(
                r#"{{"x":{}{},"access_token":"ya29.good","expires_in":9}}"#,
                repeated("[", 200),
                repeated("]", 200)
            ),
            Final(InvalidResponse),
        ),
        (
            "unknown fields",
            r#"{"x":{"y":[1,null,"z"]},"access_token":"ya29.good","expires_in":9,"id_token":"no"}"#
                .into(),
            Token(1),
        ),
        (
            "70 KiB of unknown fields",
            format!(
                r#"{{"x":"{}","access_token":"ya29.good","expires_in":9}}"#,
                repeated("x", 70 * 1024)
            ),
            Final(InvalidResponse),
        ),
        (
            "2 MiB",
            repeated(" ", 2 * 1024 * 1024),
            Final(InvalidResponse),
        ),
    ];
    all(
        &cases,
        |json| vec![token(json)],
        access_token,
        |token| token == "ya29.good",
    );
}

fn jwt(payload: &str) -> String {
    let part = |bytes: &str| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        "{}.{}.{}",
        part(r#"{"alg":"RS256"}"#),
        part(payload),
        part("signature")
    )
}

#[test]
fn id_tokens_in_odd_forms() {
    use ErrorKind::{Expired, InvalidResponse};
    const LATER: u64 = 4_000_000_000;
    let claims = |exp: &str, aud: &str| jwt(&format!(r#"{{"exp":{exp},"aud":{aud}}}"#));
    let mine = format!("\"{AUDIENCE}\"");
    let good = claims(&LATER.to_string(), &mine);
    let cases = vec![
        ("well", good.clone(), Token(1)),
        ("with lines around it", format!("\r\n {good}\n\n"), Token(1)),
        (
            "the audience in a list",
            claims("4000000000", &format!("[\"x\",{mine}]")),
            Token(1),
        ),
        (
            "expiry with a fraction",
            claims("4000000000.5", &mine),
            Token(1),
        ),
        ("expiry with an exponent", claims("4e9", &mine), Token(1)),
        ("expiry for ages", claims("1e300", &mine), Token(1)),
        (
            "expiry as text",
            claims("\"4000000000\"", &mine),
            Final(InvalidResponse),
        ),
        (
            "expiry of null",
            claims("null", &mine),
            Final(InvalidResponse),
        ),
        (
            "a negative expiry",
            claims("-4000000000", &mine),
            Final(InvalidResponse),
        ),
        ("expiry of zero", claims("0", &mine), Final(Expired)),
        (
            "no expiry",
            jwt(&format!(r#"{{"aud":{mine}}}"#)),
            Final(InvalidResponse),
        ),
        (
            "another audience",
            claims("4000000000", "\"https://other.example\""),
            Final(InvalidResponse),
        ),
        (
            "the audience with a slash more",
            claims("4000000000", &format!("\"{AUDIENCE}/\"")),
            Final(InvalidResponse),
        ),
        (
            "an empty list of audiences",
            claims("4000000000", "[]"),
            Final(InvalidResponse),
        ),
        (
            "an audience of null",
            claims("4000000000", "null"),
            Final(InvalidResponse),
        ),
        (
            "audiences within audiences",
            claims("4000000000", &format!("[[{mine}]]")),
            Final(InvalidResponse),
        ),
        (
            "two parts",
            good.rsplit_once('.').unwrap().0.into(),
            Final(InvalidResponse),
        ),
        ("four parts", format!("{good}.e30"), Final(InvalidResponse)),
        (
            "five parts, as if encrypted",
            format!("{good}.e30.e30"),
            Final(InvalidResponse),
        ),
        (
            "an empty signature",
            format!("{}.", good.rsplit_once('.').unwrap().0),
            Final(InvalidResponse),
        ),
        (
            "padded parts",
            good.replace('.', "=."),
            Final(InvalidResponse),
        ),
        (
            "the other alphabet",
            format!("{good}+/"),
            Final(InvalidResponse),
        ),
        (
            "a space within",
            good.replacen('.', ". ", 1),
            Final(InvalidResponse),
        ),
        ("quoted", format!("\"{good}\""), Final(InvalidResponse)),
        (
            "in JSON",
            format!(r#"{{"token":"{good}"}}"#),
            Final(InvalidResponse),
        ),
        (
            "with its scheme",
            format!("Bearer {good}"),
            Final(InvalidResponse),
        ),
        ("claims in a list", jwt("[1]"), Final(InvalidResponse)),
        (
            "claims that are not UTF-8",
            format!(
                "e30.{}.c2ln",
                URL_SAFE_NO_PAD.encode(b"{\"exp\":4000000000,\"x\":\"\xff\"}")
            ),
            Final(InvalidResponse),
        ),
        (
            "claims that are no JSON",
            jwt("exp=4000000000"),
            Final(InvalidResponse),
        ),
        (
            "a page",
            "<html>Sign in</html>".into(),
            Final(InvalidResponse),
        ),
        ("nothing", String::new(), Final(InvalidResponse)),
        ("white space", " \n ".into(), Final(InvalidResponse)),
        (
            "a hundred KiB",
            jwt(&format!(
                r#"{{"exp":4000000000,"x":"{}"}}"#,
                repeated("x", 100 * 1024)
            )),
            Final(InvalidResponse),
        ),
    ];
    let ask = |client: &MetadataClient| {
        let credentials = IdTokenCredentials::builder(AUDIENCE)
            .client(client.clone())
            .shared(false);
        Ok(credentials.build()?.blocking_token()?.secret().to_owned())
    };
    all(
        &cases,
        |text| vec![google("200 OK", "Content-Type: text/html\r\n", text)],
        ask,
        |token: &String| token.starts_with("eyJ"),
    );
}

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
