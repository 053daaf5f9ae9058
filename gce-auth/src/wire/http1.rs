//! HTTP/1.1 messages (RFC 9112), as far as one request at a time needs them:
//! bytes in, values out. The only file that names httparse.

use std::{fmt, mem::MaybeUninit};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
};
use zeroize::{Zeroize, Zeroizing};

/// Chunk sizes, extensions and trailers may take this much room, in bytes.
const MOST_OVERHEAD: usize = 1024 * 1024;
/// A body that says how long it is gets at most this much room at once, in bytes.
const FIRST_ROOM: usize = 16 * 1024;
/// A chunk's size line is not longer than this, in bytes.
const LONGEST_LINE: usize = 4096;
/// More header lines than anybody allows; beyond them an answer is not read.
const MOST_LINES: usize = 256;

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is not HTTP that makes sense.
    Nonsense,
    /// It has more header lines than the limit.
    TooManyLines,
    /// Its body is longer than the limit.
    TooLong,
}

/// The bytes of a request. Wiped when dropped: they may hold a token.
pub(crate) fn encode(request: &Request<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let headers = request.headers();
    let room: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    // All of it at once, so that no half-grown copy stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        room + path.len() + request.body().len() + 512,
    ));
    let mut put = |part: &[u8]| bytes.extend_from_slice(part);
    put(request.method().as_str().as_bytes());
    put(b" ");
    put(path.as_bytes());
    put(b" HTTP/1.1\r\n");
    if !headers.contains_key(HOST) {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        put(b"host: ");
        put(authority.rsplit('@').next().unwrap_or_default().as_bytes());
        put(b"\r\n");
    }
    for (name, value) in headers {
        // How the body is delimited is said below, and once.
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        put(name.as_str().as_bytes());
        put(b": ");
        put(value.as_bytes());
        put(b"\r\n");
    }
    let expects_body = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    if expects_body || !request.body().is_empty() {
        put(b"content-length: ");
        put(request.body().len().to_string().as_bytes());
        put(b"\r\n");
    }
    put(b"\r\n");
    put(request.body());
    bytes
}

/// The beginning of an answer, and how its body is delimited.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection may carry another request afterwards.
    pub(crate) keeps: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Reads the head of the answer to a `method` from the front of `bytes`: the
/// head and its length, or `None` while it is not whole.
pub(crate) fn head(
    bytes: &[u8],
    method: &Method,
    lines: usize,
) -> Result<Option<(Head, usize)>, Malformed> {
    let mut room = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let strict = httparse::ParserConfig::default();
    let length = match strict.parse_response_with_uninit_headers(&mut parsed, bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooManyLines),
        Err(_) => return Err(Malformed::Nonsense),
    };
    if parsed.headers.len() > lines {
        return Err(Malformed::TooManyLines);
    }
    let status = parsed
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(Malformed::Nonsense)?;
    let version = if parsed.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Malformed::Nonsense);
        };
        headers.append(name, value);
    }
    let framing = framing(status, version, method, &headers)?;
    let closes = |token: &&str| token.eq_ignore_ascii_case("close");
    let closes = tokens(&headers, &CONNECTION).iter().any(closes);
    let both = headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING);
    let keeps = version == Version::HTTP_11 && !closes && !both && framing != Framing::UntilClose;
    let head = Head {
        status,
        headers,
        framing,
        keeps,
    };
    Ok(Some((head, length)))
}

/// RFC 9112, section 6.3.
fn framing(
    status: StatusCode,
    version: Version,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Framing, Malformed> {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if *method == Method::HEAD || bodiless || status.is_informational() {
        return Ok(Framing::Length(0));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return match tokens(headers, &TRANSFER_ENCODING)[..] {
            [coding] if coding.eq_ignore_ascii_case("chunked") && version == Version::HTTP_11 => {
                Ok(Framing::Chunked)
            }
            _ => Err(Malformed::Nonsense),
        };
    }
    let lengths = tokens(headers, &CONTENT_LENGTH);
    let Some(first) = lengths.first() else {
        return Ok(Framing::UntilClose);
    };
    if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Nonsense);
    }
    if lengths.iter().any(|other| other != first) {
        return Err(Malformed::Nonsense);
    }
    // What overflows is longer than anybody allows.
    Ok(Framing::Length(first.parse().unwrap_or(u64::MAX)))
}

/// The comma-separated parts of every header of this name. Bytes that are no
/// text become a part that equals nothing.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .collect()
}

/// A body as it comes in. Wiped when dropped, but for what was taken out.
pub(crate) struct Body {
    bytes: Vec<u8>,
    limit: usize,
    state: State,
    overhead: usize,
}

#[derive(Debug)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// A chunk's size line, as far as it has come.
    Size(Vec<u8>),
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// A line of the trailer; whether anything stands on it so far.
    Trailer(bool),
    UntilClose,
    Done,
}

impl Body {
    /// An empty body of at most `limit` bytes.
    pub(crate) fn new(framing: Framing, limit: usize) -> Result<Self, Malformed> {
        let mut room = 0;
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) if length > limit as u64 => return Err(Malformed::TooLong),
            Framing::Length(length) => {
                room = usize::try_from(length).map_or(FIRST_ROOM, |length| length.min(FIRST_ROOM));
                State::Length(length)
            }
            Framing::Chunked => State::Size(Vec::new()),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self {
            bytes: Vec::with_capacity(room),
            limit,
            state,
            overhead: 0,
        })
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the body is whole now that the connection has ended.
    pub(crate) fn is_whole_at_end(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Takes in what belongs to the body; how many bytes did.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < input.len() && !self.is_done() {
            let rest = &input[used..];
            used += match self.state {
                State::Done => 0,
                State::UntilClose => self.keep(rest)?,
                State::Length(left) => {
                    let taken = self.keep(first(rest, left))?;
                    let left = left - taken as u64;
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length(left)
                    };
                    taken
                }
                State::Chunk(left) => {
                    let taken = self.keep(first(rest, left))?;
                    let left = left - taken as u64;
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    taken
                }
                _ => self.line(rest)?,
            };
        }
        Ok(used)
    }

    /// One byte, or a part of a line, of what stands between chunks.
    fn line(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        let byte = rest[0];
        self.overhead += 1;
        if self.overhead > MOST_OVERHEAD {
            return Err(Malformed::Nonsense);
        }
        match &mut self.state {
            State::Size(line) => {
                if byte == b'\n' {
                    let size = chunk_size(line).ok_or(Malformed::Nonsense)?;
                    if size > self.limit.saturating_sub(self.bytes.len()) as u64 {
                        return Err(Malformed::TooLong);
                    }
                    self.state = if size == 0 {
                        State::Trailer(false)
                    } else {
                        State::Chunk(size)
                    };
                } else if line.len() >= LONGEST_LINE {
                    return Err(Malformed::Nonsense);
                } else {
                    line.push(byte);
                }
            }
            State::ChunkEnd => match byte {
                b'\r' => {}
                b'\n' => self.state = State::Size(Vec::new()),
                _ => return Err(Malformed::Nonsense),
            },
            State::Trailer(written) => match byte {
                b'\n' if *written => *written = false,
                b'\n' => self.state = State::Done,
                b'\r' => {}
                _ => *written = true,
            },
            _ => return Err(Malformed::Nonsense),
        }
        Ok(1)
    }

    /// Keeps bytes of the body; a buffer that is outgrown is wiped.
    fn keep(&mut self, part: &[u8]) -> Result<usize, Malformed> {
        let length = self.bytes.len() + part.len();
        if length > self.limit {
            return Err(Malformed::TooLong);
        }
        if length > self.bytes.capacity() {
            drop(self.outgrow((length * 2).min(self.limit)));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    /// Moves to a buffer with this room; returns the old one, wiped.
    fn outgrow(&mut self, room: usize) -> Vec<u8> {
        let mut larger = Vec::with_capacity(room);
        larger.extend_from_slice(&self.bytes);
        let mut old = std::mem::replace(&mut self.bytes, larger);
        old.as_mut_slice().zeroize();
        old
    }

    pub(crate) fn take(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.bytes.len();
        f.debug_struct("Body")
            .field("length", &length)
            .finish_non_exhaustive()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn first(bytes: &[u8], most: u64) -> &[u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(most)]
}

/// The size of a chunk, from its line without the line feed.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
