//! Clients that ask as fast as they are answered, with the standard library
//! alone.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::contestant::Failure;

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Requests in a second.
    pub rate: f64,
    /// Milliseconds from each request to its answer, sorted.
    pub waits: Vec<f64>,
}

impl Load {
    /// Below this are 99 of 100 waits, in milliseconds.
    #[must_use]
    pub fn late(&self) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        self.waits.get(last * 99 / 100).copied().unwrap_or(0.0)
    }

    fn of(done: usize, took: Duration, mut waits: Vec<f64>) -> Self {
        waits.sort_by(f64::total_cmp);
        Self {
            rate: done as f64 / took.as_secs_f64(),
            waits,
        }
    }
}

/// A request for a token, with these scopes if any.
#[must_use]
pub fn request(scopes: &str, close: bool) -> Vec<u8> {
    let query = if scopes.is_empty() {
        String::new()
    } else {
        format!("?scopes={scopes}")
    };
    let connection = if close { "Connection: close\r\n" } else { "" };
    format!(
        "GET /computeMetadata/v1/instance/service-accounts/default/token{query} HTTP/1.1\r\n\
         Host: metadata.google.internal\r\nMetadata-Flavor: Google\r\n{connection}\r\n"
    )
    .into_bytes()
}

/// A connection, without delay.
///
/// # Errors
/// If nothing answers there.
pub fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// Reads an answer, which has to be 200; gives its length.
///
/// # Errors
/// If it is another.
pub fn answer(stream: &mut TcpStream) -> Result<usize, Failure> {
    let mut buffer = [0; 4096];
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..])?;
        if read == 0 {
            return Err("the connection was closed".into());
        }
        length += read;
        let head = buffer[..length]
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let Some(head) = head else { continue };
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&buffer[..length]).into());
        }
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let body = text
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.lines().next()?.parse::<usize>().ok())
            .ok_or("an answer without a length")?;
        if length >= head + 4 + body {
            return Ok(head + 4 + body);
        }
    }
}

/// Asks over connections that stay open, of which each always has a request
/// under way, from one thread.
///
/// # Errors
/// If an answer is not 200.
pub fn kept(address: SocketAddr, connections: usize, time: Duration) -> Result<Load, Failure> {
    let request = request("", false);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = connect(address)?;
        stream.write_all(&request)?;
        let length = answer(&mut stream)?;
        streams.push((stream, length, Instant::now()));
    }
    for (stream, _, sent) in &mut streams {
        *sent = Instant::now();
        stream.write_all(&request)?;
    }
    let (mut buffer, mut waits) = ([0; 4096], Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < time {
        for (stream, length, sent) in &mut streams {
            stream.read_exact(&mut buffer[..*length])?;
            waits.push(sent.elapsed().as_secs_f64() * 1e3);
            if !buffer.starts_with(b"HTTP/1.1 200 ") {
                return Err("an answer was refused".into());
            }
            *sent = Instant::now();
            stream.write_all(&request)?;
        }
    }
    Ok(Load::of(waits.len(), begun.elapsed(), waits))
}

/// Asks with a new connection for each request, from so many threads.
///
/// # Errors
/// If an answer is not 200.
pub fn fresh(address: SocketAddr, threads: usize, time: Duration) -> Result<Load, Failure> {
    let request = request("", true);
    let begun = Instant::now();
    let ask = || {
        let mut waits = Vec::new();
        let mut rest = Vec::new();
        while begun.elapsed() < time {
            let sent = Instant::now();
            let mut stream = connect(address)?;
            stream.write_all(&request)?;
            rest.clear();
            // The server closes, so that no port of this side waits after the end.
            stream.read_to_end(&mut rest)?;
            if !rest.starts_with(b"HTTP/1.1 200 ") {
                return Err(Failure::from(String::from_utf8_lossy(&rest)));
            }
            waits.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        Ok(waits)
    };
    let all: Result<Vec<Vec<f64>>, Failure> = thread::scope(|scope| {
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        let asked = asking.into_iter().map(|it| it.join());
        asked
            .map(|it| it.unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    let waits = all?.concat();
    Ok(Load::of(waits.len(), begun.elapsed(), waits))
}

/// Has so many connections ask at once, with scopes that begin so and tell
/// their keys, of which there are so many; gives how long each waited.
///
/// # Errors
/// If an answer is not 200.
pub fn at_once(streams: &mut [TcpStream], scopes: &str, keys: usize) -> Result<Load, Failure> {
    let requests: Vec<_> = (0..keys)
        .map(|key| request(&format!("{scopes}{key}"), false))
        .collect();
    let begun = Instant::now();
    let mut sent = Vec::with_capacity(streams.len());
    for (number, stream) in streams.iter_mut().enumerate() {
        sent.push(Instant::now());
        stream.write_all(&requests[number % keys])?;
    }
    let mut waits = Vec::with_capacity(streams.len());
    let mut buffer = [0; 4096];
    for (stream, sent) in streams.iter_mut().zip(sent) {
        let read = stream.read(&mut buffer)?;
        waits.push(sent.elapsed().as_secs_f64() * 1e3);
        if !buffer[..read].starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(&buffer[..read]).into());
        }
    }
    Ok(Load::of(waits.len(), begun.elapsed(), waits))
}
