//! The caller of an open connection, and the rule that decides for it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use gce_auth_server::service::{Connection, Peer};

use crate::caller;
use crate::metrics::Entered;
use crate::policy::Fit;
use crate::state::{Rules, State};

/// The caller of a connection, as long as it is open.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) found: Arc<caller::Caller>,
    /// The address that it connected to, which it may name the agent by.
    pub(crate) local: Option<IpAddr>,
    /// The rule that decides, and the generation of the rules it is of.
    fit: Mutex<Option<(u64, Fit)>>,
    _open: Entered,
}

impl Caller {
    /// Looks the caller up. May block for some milliseconds where processes are looked for.
    pub(crate) fn of(connection: &Connection, state: &State) -> Self {
        let lookup = state.lookup();
        let identify = || caller::identify(connection, &lookup);
        let tcp = matches!(connection.peer, Peer::Tcp { .. });
        let found = if tcp && lookup.processes {
            tokio::task::block_in_place(identify)
        } else {
            identify()
        };
        if found.unreadable {
            state.unreadable();
        }
        Self {
            found: Arc::new(found),
            local: match connection.peer {
                Peer::Tcp { local, .. } => Some(local.ip().to_canonical()),
                Peer::Unix { .. } => None,
            },
            fit: Mutex::default(),
            _open: state.metrics.connections.enter(),
        }
    }

    /// Returns what decides for this caller.
    pub(crate) fn fit(&self, rules: &Rules) -> Fit {
        let mut known = self.fit.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((generation, fit)) if generation == rules.generation => fit,
            _ => {
                let fit = rules.policy.fit(&self.found);
                *known = Some((rules.generation, fit));
                fit
            }
        }
    }
}
