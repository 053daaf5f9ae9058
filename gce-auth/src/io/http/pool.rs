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

    /// A connection for `route` that still is one; and those that are not.
    pub(super) fn take(&self, route: &Route) -> (Option<Connection>, Gone) {
        let mut gone = Vec::new();
        {
            let mut held = self.lock();
            let process = std::process::id();
            if held.0 != process {
                // Closing this process's copy of a socket tells the server nothing.
                *held = (process, Vec::new());
            }
            // They stand in the order in which they were kept.
            let oldest = now().saturating_sub(OLDEST);
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
