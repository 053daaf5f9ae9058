//! A metadata server that knows one answer: as light as can be, so that what
//! is measured is who asks.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// Digits of a token that differ from answer to answer: one that is rejected
/// and comes again is not asked for again soon.
const DIGITS: usize = 16;
/// What follows a token.
const BEHIND: &[u8] = b"\",\"expires_in\"";
/// Connections at a time; the threads that serve them wait for the next.
const CONNECTIONS: usize = 8;

/// Where it listens, and how many requests it has answered.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) answered: Arc<AtomicUsize>,
}

/// Starts a server that lives as long as the process.
pub(crate) fn start() -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    for _ in 0..CONNECTIONS {
        let (listener, answered) = (listener.try_clone().unwrap(), Arc::clone(&answered));
        thread::spawn(move || {
            let mut answer = answer();
            while let Ok((stream, _)) = listener.accept() {
                serve(stream, &mut answer, &answered);
            }
        });
    }
    Stub { address, answered }
}

/// What Google's server answers, with a token of a usual length, which ends in
/// a number.
fn answer() -> Vec<u8> {
    let token = "ya29.c.".to_owned() + &"c".repeat(1024 - DIGITS) + &"0".repeat(DIGITS);
    let body =
        format!("{{\"access_token\":\"{token}\",\"expires_in\":3599,\"token_type\":\"Bearer\"}}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Type: application/json\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: Metadata Server for VM\r\n\
         Content-Length: {}\r\nX-XSS-Protection: 0\r\nX-Frame-Options: SAMEORIGIN\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn serve(mut stream: TcpStream, answer: &mut [u8], answered: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    let mut windows = answer.windows(BEHIND.len());
    let end = windows.position(|window| window == BEHIND).unwrap();
    let (mut buffer, mut held) = ([0; 2048], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer[held..]) {
        held += read;
        if buffer[..held].ends_with(b"\r\n\r\n") {
            held = 0;
            let number = answered.fetch_add(1, Relaxed);
            write!(&mut answer[end - DIGITS..end], "{number:0DIGITS$}").unwrap();
            if stream.write_all(answer).is_err() {
                break;
            }
        }
    }
}
