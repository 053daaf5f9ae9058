//! The least that fetching a token can cost: the standard library, one
//! connection, no time limit, and no check that is not needed to find the token.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A connection to the metadata server.
#[derive(Debug)]
pub(crate) struct Floor {
    stream: TcpStream,
    request: String,
}

impl Floor {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let request =
            format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\nMetadata-Flavor: Google\r\n\r\n");
        Ok(Self { stream, request })
    }

    /// The `authorization` value of a new token, and its lifetime in seconds.
    pub(crate) fn token(&mut self) -> io::Result<(String, u64)> {
        self.stream.write_all(self.request.as_bytes())?;
        let (mut buffer, mut held) = ([0; 8192], 0);
        loop {
            let read = self.stream.read(&mut buffer[held..])?;
            held += read;
            let text = std::str::from_utf8(&buffer[..held]).map_err(io::Error::other)?;
            if let Some(token) = token_in(text) {
                return Ok(token);
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The token of an answer, once all of the answer is there.
fn token_in(text: &str) -> Option<(String, u64)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = between(text, "Content-Length: ", "\r\n")?;
    if !head.starts_with("HTTP/1.1 200 ") || body.len() < length.parse().ok()? {
        return None;
    }
    let token = between(body, "\"access_token\":\"", "\"")?;
    let seconds = between(body, "\"expires_in\":", ",")?;
    Some((format!("Bearer {token}"), seconds.parse().ok()?))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
