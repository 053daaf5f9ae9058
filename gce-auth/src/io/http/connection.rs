//! One connection, and reading and writing until a moment.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::io::clock::{Clock as _, SystemClock};
#[cfg(feature = "tls")]
use crate::io::tls::{Session, Trusted};

/// Boot time: what the limits of this transport are measured with.
pub(super) fn now() -> Duration {
    SystemClock::new().now().boot
}

/// A connection to one server.
pub(super) struct Connection {
    stream: TcpStream,
    /// The limits that the system knows.
    reading: Limit,
    writing: Limit,
    #[cfg(feature = "tls")]
    session: Option<Session>,
}

impl Connection {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self {
            stream,
            reading: Limit::default(),
            writing: Limit::default(),
            #[cfg(feature = "tls")]
            session: None,
        }
    }

    /// Shakes hands with a peer that proves to be `host`, within `end`.
    #[cfg(feature = "tls")]
    pub(super) fn secured(
        stream: TcpStream,
        trust: &Trusted,
        host: &str,
        end: Duration,
    ) -> io::Result<Self> {
        let mut connection = Self::plain(stream);
        let session = Session::open(trust, host, &mut connection.until(end).socket)?;
        connection.session = Some(session);
        Ok(connection)
    }

    /// What hangs up, from any thread: reading and writing then end at once.
    pub(super) fn hang_up(&self) -> io::Result<impl FnOnce() + Send + use<>> {
        let stream = self.stream.try_clone()?;
        Ok(move || drop(stream.shutdown(Shutdown::Both)))
    }

    /// The connection, for reading and writing until `end`.
    pub(super) fn until(&mut self, end: Duration) -> Timed<'_> {
        Timed {
            socket: Socket {
                stream: &self.stream,
                reading: &mut self.reading,
                writing: &mut self.writing,
                end,
            },
            #[cfg(feature = "tls")]
            session: self.session.as_mut(),
        }
    }

    /// Whether the other side has neither hung up nor said anything unasked.
    pub(super) fn is_quiet(&mut self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let quiet = self.peek();
        self.stream.set_nonblocking(false).is_ok() && quiet
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::needless_pass_by_ref_mut, reason = "a session changes")
    )]
    fn peek(&mut self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut self.session {
            return session.is_quiet(&self.stream);
        }
        let peeked = self.stream.peek(&mut [0]);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A socket that blocks until a moment and no longer.
struct Socket<'a> {
    stream: &'a TcpStream,
    reading: &'a mut Limit,
    writing: &'a mut Limit,
    end: Duration,
}

/// The time limit that the socket has.
#[derive(Default)]
struct Limit(Option<Duration>);

impl Limit {
    /// The limit to set so that the socket waits for `left`, and at most a
    /// 64th longer; `None` where it is set already.
    fn news(&mut self, left: Duration) -> Option<Duration> {
        let most = left.saturating_add(left / 64);
        if self.0.is_some_and(|told| left <= told && told <= most) {
            return None;
        }
        // A little more, so that it still does for the next request.
        self.0 = Some(left.saturating_add(left / 128));
        self.0
    }
}

impl Socket<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_sub(now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.left()?;
            if let Some(limit) = self.reading.news(left) {
                self.stream.set_read_timeout(Some(limit))?;
            }
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        if let Some(limit) = self.writing.news(left) {
            self.stream.set_write_timeout(Some(limit))?;
        }
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection, secured or not, until a moment.
pub(super) struct Timed<'a> {
    socket: Socket<'a>,
    #[cfg(feature = "tls")]
    session: Option<&'a mut Session>,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(session) = self.session.as_deref_mut() {
            return session.over(&mut self.socket).read(buffer);
        }
        self.socket.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(session) = self.session.as_deref_mut() {
            return session.over(&mut self.socket).write(buffer);
        }
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(session) = self.session.as_deref_mut() {
            return session.over(&mut self.socket).flush();
        }
        self.socket.flush()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_told_of_a_limit_that_it_does_not_know() {
        let mut limit = Limit::default();
        let seconds = Duration::from_secs;
        let told = limit.news(seconds(3)).unwrap();
        assert!(told >= seconds(3) && told <= seconds(3) + seconds(3) / 64);
        assert_eq!(limit.news(seconds(3)), None, "the next request");
        assert_eq!(limit.news(Duration::from_millis(2990)), None);
        let told = limit.news(Duration::from_millis(2900)).unwrap();
        assert!(told < Duration::from_millis(2946), "{told:?} is too late");
        assert!(limit.news(seconds(3)).is_some(), "never earlier than asked");
    }
}
