//! A server that says bytes as it is told.

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

use gce_auth::{MetadataClient, RetryPolicy, transport::Limits};

/// What a server does with a request, in order. Then it waits for the next one,
/// or until the client has gone.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Say(Vec<u8>),
    /// The same byte by byte, a little later each.
    Drip(Vec<u8>),
    /// No more from this side; the other may go on.
    HalfClose,
    /// The connection is reset.
    Reset,
}

pub(crate) use Step::{Drip, HalfClose, Reset, Say};

pub(crate) fn say(bytes: impl Into<Vec<u8>>) -> Step {
    Say(bytes.into())
}

/// A whole answer: status line, headers as they are, length, body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![say(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ))]
}

/// A whole answer of a metadata server.
pub(crate) fn google(status: &str, headers: &str, body: &str) -> Vec<Step> {
    answer(
        status,
        &format!("Metadata-Flavor: Google\r\n{headers}"),
        body,
    )
}

pub(crate) fn token(json: &str) -> Vec<Step> {
    google("200 OK", "Content-Type: application/json\r\n", json)
}

/// A body without a length, after these headers.
pub(crate) fn framed(headers: &str, body: &str) -> Step {
    say(format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n{headers}\r\n{body}"
    ))
}

/// Answers each request with the steps that `script` has for it; the last ones
/// repeat.
pub(crate) struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(script: Vec<Vec<Step>>) -> Self {
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

    pub(crate) fn client(&self) -> MetadataClient {
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

    pub(crate) fn requests(&self) -> usize {
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
