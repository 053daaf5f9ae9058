//! Connections that wait for their next request.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Request;

use super::{
    connection::{Connection, now},
    dial::{authority, is_https},
};
#[cfg(feature = "tls")]
use crate::io::identity::ClientIdentity;
use crate::io::transport::TransportError;

/// Connections at most, and to one server.
const MOST: usize = 8;
const MOST_ALIKE: usize = 4;
/// A connection that waited longer than this is not used again.
const OLDEST: Duration = Duration::from_secs(60);

/// What requests that may share a connection have in common.
pub(super) struct Route {
    https: bool,
    host: String,
    port: u16,
    #[cfg(feature = "tls")]
    identity: Option<ClientIdentity>,
}

impl Route {
    pub(super) fn of(request: &Request<Vec<u8>>) -> Result<Self, TransportError> {
        let (host, port) = authority(request.uri())?;
        Ok(Self {
            https: is_https(request.uri()),
            host: host.to_owned(),
            port,
            #[cfg(feature = "tls")]
            identity: request.extensions().get::<ClientIdentity>().cloned(),
        })
    }

    fn is(&self, other: &Self) -> bool {
        #[cfg(feature = "tls")]
        let alike = match (&self.identity, &other.identity) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        };
        #[cfg(not(feature = "tls"))]
        let alike = true;
        alike && self.https == other.https && self.port == other.port && self.host == other.host
    }
}

struct Kept {
    route: Route,
    connection: Connection,
    since: Duration,
}

/// The connections of one process: after a fork they are the parent's.
#[derive(Default)]
pub(super) struct Pool(Mutex<(u32, Vec<Kept>)>);

/// Connections that are closed, or have waited too long: to be dropped
/// while the server thinks, so that no caller waits until the system has closed
/// them.
pub(super) struct Gone(#[expect(dead_code, reason = "to be dropped")] Vec<Kept>);

impl Pool {
    fn lock(&self) -> MutexGuard<'_, (u32, Vec<Kept>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for `route` that still is one `now`; and those that are not.
    pub(super) fn take(&self, route: &Route, now: Duration) -> (Option<Connection>, Gone) {
        let mut gone = Vec::new();
        {
            let mut held = self.lock();
            let process = std::process::id();
            if held.0 != process {
                // Closing this process's copy of a socket tells the server nothing.
                *held = (process, Vec::new());
            }
            // They stand in the order in which they were kept.
            let oldest = now.saturating_sub(OLDEST);
            let old = held.1.partition_point(|kept| kept.since < oldest);
            gone.extend(held.1.drain(..old));
        }
        loop {
            let last = {
                let mut held = self.lock();
                let last = held.1.iter().rposition(|kept| kept.route.is(route));
                last.map(|last| held.1.remove(last))
            };
            let Some(mut kept) = last else {
                return (None, Gone(gone));
            };
            if kept.connection.is_quiet() {
                return (Some(kept.connection), Gone(gone));
            }
            gone.push(kept);
        }
    }

    /// Keeps a connection for the next request; the oldest ones go. A caller
    /// that has [taken](Self::take) has checked the process.
    pub(super) fn keep(&self, route: Route, connection: Connection) {
        let mut held = self.lock();
        let alike = held.1.iter().filter(|kept| kept.route.is(&route)).count();
        if alike >= MOST_ALIKE {
            if let Some(first) = held.1.iter().position(|kept| kept.route.is(&route)) {
                held.1.remove(first);
            }
        } else if held.1.len() >= MOST {
            held.1.remove(0);
        }
        held.1.push(Kept {
            route,
            connection,
            since: now(),
        });
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
pub(super) mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection to a server that says nothing, and the server's end.
    pub(in crate::io::http) fn quiet(listener: &TcpListener) -> (Connection, TcpStream) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (Connection::plain(stream), server)
    }

    fn route(url: &str) -> Route {
        Route::of(&Request::get(url).body(Vec::new()).unwrap()).unwrap()
    }

    #[test]
    fn a_connection_serves_requests_to_the_same_server_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        let kept = "http://h:81/a";
        let (connection, _server) = quiet(&listener);
        assert!(pool.take(&route(kept), now()).0.is_none());
        pool.keep(route(kept), connection);
        for other in ["http://h:82/a", "http://g:81/a", "https://h:81/a"] {
            assert!(pool.take(&route(other), now()).0.is_none(), "{other}");
        }
        assert!(pool.take(&route("http://h:81/b?c"), now()).0.is_some());
        assert!(pool.take(&route(kept), now()).0.is_none(), "it was taken");
    }

    #[test]
    fn a_few_connections_are_kept_and_the_oldest_go() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken =
            |pool: &Pool, url: &str| std::iter::from_fn(|| pool.take(&route(url), now()).0).count();
        let pool = Pool::default();
        let mut servers = Vec::new();
        let mut keep = |url: &str| {
            let (connection, server) = quiet(&listener);
            pool.keep(route(url), connection);
            servers.push(server);
        };
        assert_eq!(taken(&pool, "http://first/"), 0);
        keep("http://first/");
        for _ in 0..6 {
            keep("http://often/");
        }
        assert_eq!(taken(&pool, "http://often/"), 4);
        assert_eq!(taken(&pool, "http://first/"), 1, "others stay");
        for n in 0..9 {
            keep(&format!("http://server-{n}/"));
        }
        assert_eq!(taken(&pool, "http://server-0/"), 0, "one too many");
        assert_eq!(taken(&pool, "http://server-1/"), 1);
        assert_eq!(taken(&pool, "http://server-8/"), 1);
    }

    #[test]
    fn a_connection_is_used_again_for_a_minute_and_no_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        let url = "http://h/";
        let begin = now();
        assert!(pool.take(&route(url), begin).0.is_none());
        let mut servers = Vec::new();
        for (later, used) in [(Duration::ZERO, true), (Duration::from_nanos(1), false)] {
            let (connection, server) = quiet(&listener);
            servers.push(server);
            pool.keep(route(url), connection);
            let since = pool.lock().1[0].since;
            assert!(since >= begin);
            let (taken, _) = pool.take(&route(url), since + OLDEST + later);
            assert_eq!(taken.is_some(), used, "{later:?}");
        }
    }

    #[test]
    fn a_forked_child_leaves_its_parents_connections_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::default();
        let url = "http://h/";
        let (connection, _server) = quiet(&listener);
        pool.keep(route(url), connection);
        pool.lock().0 = std::process::id() + 1;
        assert!(pool.take(&route(url), now()).0.is_none());
        let (connection, _server) = quiet(&listener);
        pool.keep(route(url), connection);
        assert!(pool.take(&route(url), now()).0.is_some(), "its own it uses");
    }
}
