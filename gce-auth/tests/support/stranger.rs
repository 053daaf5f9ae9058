//! Servers that answer, and are no metadata server.

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

/// Answers every request with the same bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    pub(crate) fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self::on(listener, answer)
    }

    pub(crate) fn on(listener: TcpListener, answer: impl Into<Vec<u8>>) -> Self {
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let (stopped, requests, answer) = (stopped.clone(), requests.clone(), answer.into());
            move || {
                for stream in listener.incoming() {
                    if stopped.load(SeqCst) {
                        return;
                    }
                    if let Ok(stream) = stream {
                        serve(stream, &answer, &requests);
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

    /// An answer over HTTP: its first line and headers, and the length of its
    /// body, are taken care of.
    pub(crate) fn saying(status: u16, headers: &[&str], body: &str) -> Self {
        Self::new(answer(status, headers, body))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

pub(crate) fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let mut lines = format!("HTTP/1.1 {status} Whatever\r\n");
    for header in headers {
        lines.push_str(header);
        lines.push_str("\r\n");
    }
    let length = body.len();
    format!("{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Reads one request, counts it, answers it and closes.
fn serve(mut stream: TcpStream, answer: &[u8], requests: &AtomicUsize) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&bytes[..count]),
        }
    }
    requests.fetch_add(1, SeqCst);
    let _ = stream.write_all(answer);
    let _ = stream.shutdown(Shutdown::Write);
    // Until the client has gone, so that nothing of the answer is lost.
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
