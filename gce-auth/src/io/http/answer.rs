//! Reads an answer from a connection, within its limits; buffers are wiped.

use std::io::{self, Read as _};

use http::{Request, StatusCode};
use zeroize::Zeroizing;

use crate::{
    io::{
        http::{
            connection::Timed,
            failure::{Phase, classify, closed, malformed},
        },
        transport::{Limits, TransportError, TransportErrorKind as Kind},
    },
    wire::http1::{self, Body, Head, Malformed},
};

/// Room for an answer before it is known how long it is, in bytes: a token's
/// fits. Every buffer is wiped to its last byte, so that room costs time.
const FIRST_ROOM: usize = 2048;
/// Interim answers (1xx) before the one that counts, at most.
const MOST_INTERIM: u32 = 32;

/// Reads up to the end of the head that counts; and what came after it.
pub(super) fn read_head(
    stream: &mut Timed<'_>,
    request: &Request<Vec<u8>>,
    limits: &Limits,
    heard: &mut bool,
) -> Result<(Head, Zeroizing<Vec<u8>>), TransportError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FIRST_ROOM));
    let (mut seen, mut interim) = (0usize, 0);
    loop {
        while let Some((head, length)) =
            http1::head(&bytes, request.method(), limits.header_lines).map_err(malformed)?
        {
            seen += length;
            within(limits, seen)?;
            bytes.drain(..length);
            if !head.status.is_informational() {
                return Ok((head, bytes));
            }
            interim += 1;
            if interim > MOST_INTERIM || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(malformed(Malformed::Nonsense));
            }
        }
        within(limits, seen + bytes.len())?;
        match read_more(stream, &mut bytes) {
            Ok(0) => return Err(closed()),
            Ok(_) => *heard = true,
            Err(error) => return Err(classify(error, Phase::Head, limits)),
        }
    }
}

/// Whether headers of so many bytes may be.
pub(super) fn within(limits: &Limits, bytes: usize) -> Result<(), TransportError> {
    if bytes > limits.header_bytes {
        return Err(TransportError::new(
            Kind::TooLarge,
            "the answer's headers are too large",
        ));
    }
    Ok(())
}

/// Appends what comes to `bytes`; what was outgrown is wiped.
fn read_more(stream: &mut Timed<'_>, bytes: &mut Zeroizing<Vec<u8>>) -> io::Result<usize> {
    let held = bytes.len();
    if bytes.capacity() - held < FIRST_ROOM / 4 {
        let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    let room = bytes.capacity();
    bytes.resize(room, 0);
    let read = stream.read(&mut bytes[held..]);
    bytes.truncate(held + read.as_ref().copied().unwrap_or(0));
    read
}

/// Reads the body; and whether nothing came after it.
pub(super) fn read_body(
    stream: &mut Timed<'_>,
    head: &Head,
    rest: &[u8],
    limits: &Limits,
) -> Result<(Vec<u8>, bool), TransportError> {
    let mut body = Body::new(head.framing, limits.body_bytes).map_err(malformed)?;
    let mut clean = body.feed(rest).map_err(malformed)? == rest.len();
    if !body.is_done() {
        clean = read_rest(stream, &mut body, limits)?;
    }
    Ok((body.take(), clean))
}

/// Reads what did not come with the head; and whether nothing came after it.
/// A token does: the stack of most requests, touched for the first time by a
/// thread that has just begun, is small without this.
#[inline(never)]
fn read_rest(
    stream: &mut Timed<'_>,
    body: &mut Body,
    limits: &Limits,
) -> Result<bool, TransportError> {
    let mut clean = true;
    let mut piece = Zeroizing::new([0; 8192]);
    while !body.is_done() {
        match stream.read(&mut piece[..]) {
            Ok(0) if body.is_whole_at_end() => break,
            Ok(0) => return Err(closed()),
            Ok(read) => clean = body.feed(&piece[..read]).map_err(malformed)? == read,
            Err(error) => return Err(classify(error, Phase::Body, limits)),
        }
    }
    Ok(clean)
}
