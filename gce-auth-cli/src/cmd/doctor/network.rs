//! Names, connections and the first answer, without the library, which does not show them.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use crate::{clock::Timer, cmd::doctor::report::Finding, exit::Exit, sdk_environment::host, text};

const WELL_KNOWN: &str = "169.254.169.254";
const NAME: &str = "metadata.google.internal";
/// The longest header section of a metadata server.
const LONGEST: usize = 16 * 1024;

/// Looks up the addresses of the server.
pub(crate) fn resolve(endpoint: &str, patience: Duration) -> (Finding, Vec<SocketAddr>) {
    let with_port = if endpoint.parse::<IpAddr>().is_ok() || !has_port(endpoint) {
        format!("{endpoint}:80")
    } else {
        endpoint.to_owned()
    };
    match look_up(with_port, patience) {
        Ok(addresses) => {
            let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let found = format!("the metadata server is {}", shown.join(", "));
            (Finding::good(found), addresses)
        }
        Err(why) => {
            let advice = format!("name the server by its address, like {WELL_KNOWN}");
            let found = format!("cannot resolve {}: {why}", host(endpoint));
            (Finding::failed(Exit::NoServer, found, advice), Vec::new())
        }
    }
}

/// Looks up the name that other clients use.
pub(crate) fn well_known_name(patience: Duration) -> Finding {
    let advice =
        "clients that use the name cannot find the server; check the resolver of this machine";
    match look_up(format!("{NAME}:80"), patience) {
        Ok(found) if found.iter().any(|at| at.ip().to_string() == WELL_KNOWN) => {
            Finding::good(format!("{NAME} is {WELL_KNOWN}"))
        }
        Ok(found) => {
            let shown: Vec<_> = found.iter().map(|at| at.ip().to_string()).collect();
            Finding::warning(
                format!("{NAME} is {}, not {WELL_KNOWN}", shown.join(", ")),
                "the server at that address gets requests for tokens; check the resolver",
            )
        }
        Err(why) => Finding::warning(format!("cannot resolve {NAME}: {why}"), advice),
    }
}

/// A connection to the first address that takes one.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    patience: Duration,
) -> (Finding, Option<TcpStream>) {
    let advice = "is the metadata server running, and does no firewall or network policy keep \
                  this machine from it?";
    let mut last = (
        Exit::NoServer,
        "there is no address to connect to".to_owned(),
    );
    for address in addresses {
        match TcpStream::connect_timeout(address, patience) {
            Ok(stream) => return (Finding::good(format!("{address} is open")), Some(stream)),
            Err(error) => last = (exit_of(&error), format!("{address}: {}", reason(&error))),
        }
    }
    (Finding::failed(last.0, last.1, advice), None)
}

/// The first answer of an HTTP server.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The time in its `Date` header.
    pub(crate) date: Option<SystemTime>,
}

/// Requests the root of the tree, and judges the headers.
pub(crate) fn ask(
    stream: TcpStream,
    endpoint: &str,
    patience: Duration,
) -> (Finding, Option<Answer>) {
    match headers(stream, endpoint, patience) {
        Ok(head) => judge(&head),
        Err(error) => {
            let advice = "something listens there that is not a web server";
            let found = format!("no answer: {}", reason(&error));
            (Finding::failed(exit_of(&error), found, advice), None)
        }
    }
}

fn judge(head: &str) -> (Finding, Option<Answer>) {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let status = status.split(' ').nth(1).unwrap_or_default();
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let answer = Answer {
        date: header("date").and_then(text::http_date),
    };
    let server = header("server").unwrap_or("no name");
    let finding = if header("metadata-flavor") != Some("Google") {
        Finding::failed(
            Exit::NoServer,
            format!("status {status} without Metadata-Flavor: Google (server: {server})"),
            "this is not a metadata server, but a proxy, a captive portal or another program",
        )
    } else if status == "200" {
        Finding::good(format!("Metadata-Flavor: Google (server: {server})"))
    } else {
        Finding::warning(
            format!("Metadata-Flavor: Google, but status {status} (server: {server})"),
            "the server, or a proxy before it, refuses the root of the tree",
        )
    };
    (finding, Some(answer))
}

/// Returns status line and headers of the answer.
fn headers(mut stream: TcpStream, endpoint: &str, patience: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!(
        "GET /computeMetadata/v1/ HTTP/1.1\r\nHost: {endpoint}\r\nMetadata-Flavor: Google\r\n\
         User-Agent: gce-auth-doctor\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let timer = Timer::start();
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..read]);
        if read == 0 || head.len() > LONGEST {
            break;
        }
        if timer.elapsed() > patience {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    if !head.starts_with(b"HTTP/") {
        return Err(io::Error::other("it does not speak HTTP"));
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    Ok(head.split("\r\n\r\n").next().unwrap_or_default().to_owned())
}

/// Looks a name up on a thread of its own, as the system's resolver has no timeout.
fn look_up(name: String, patience: Duration) -> Result<Vec<SocketAddr>, String> {
    let (found, answer) = mpsc::channel();
    let work = move || {
        // The receiver is gone if this came too late.
        let _ = found.send(name.to_socket_addrs().map(Iterator::collect));
    };
    thread::Builder::new()
        .name("look-up".to_owned())
        .spawn(work)
        .map_err(|error| error.to_string())?;
    match answer.recv_timeout(patience) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {}", text::lasting(patience))),
    }
}

fn has_port(endpoint: &str) -> bool {
    let after = endpoint.rsplit(']').next().unwrap_or(endpoint);
    after.contains(':')
}

fn exit_of(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Exit::Timeout,
        _ => Exit::NoServer,
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer".to_owned(),
        _ => error.to_string(),
    }
}
