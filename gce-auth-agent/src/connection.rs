//! The caller of an open connection, and the rule that decides for it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use gce_auth_server::service::{Connection, Peer};

use crate::{
    caller::{self, Lookup},
    metrics::Entered,
    policy::Fit,
    state::{Rules, State},
};

/// The caller of a connection, as long as it is open.
#[derive(Debug)]
pub(crate) struct Caller {
    known: Mutex<Known>,
    /// A TCP connection: its processes can be looked for later, too.
    tcp: Option<Connection>,
    /// The address that it connected to, which it may name the agent by.
    pub(crate) local: Option<IpAddr>,
    _open: Entered,
}

#[derive(Debug)]
struct Known {
    found: Arc<caller::Caller>,
    lookup: Lookup,
    /// The rule that decides, and the generation of the rules it is of.
    fit: Option<(u64, Fit)>,
}

impl Caller {
    /// Looks the caller up. May take some milliseconds where processes are looked for.
    pub(crate) async fn of(connection: &Connection, state: &State) -> Self {
        let lookup = state.lookup();
        let found = find(connection, &lookup, state).await;
        let local = match connection.peer {
            Peer::Tcp { local, .. } => Some(local.ip().to_canonical()),
            Peer::Unix { .. } => None,
        };
        Self {
            known: Mutex::new(Known {
                found: Arc::new(found),
                lookup,
                fit: None,
            }),
            tcp: local.map(|_| connection.clone()),
            local,
            _open: state.metrics.connections.enter(),
        }
    }

    /// Returns what was found out about the caller.
    pub(crate) fn found(&self) -> Arc<caller::Caller> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.found)
    }

    /// Returns what decides for this caller. `None` if its processes have to be looked for before:
    /// the rules need them since a reload.
    pub(crate) fn fit(&self, rules: &Rules) -> Option<Fit> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.fit {
            Some((generation, fit)) if generation == rules.generation => Some(fit),
            _ if self.tcp.is_some() && lacks_processes(&known, rules) => None,
            _ => {
                let fit = rules.policy.fit(&known.found);
                known.fit = Some((rules.generation, fit));
                Some(fit)
            }
        }
    }

    /// Looks for the processes of the caller, as the rules need them, and returns what decides. A
    /// socket that is another user's by now has no caller.
    pub(crate) async fn look_again(&self, rules: &Rules, state: &State) -> Fit {
        let lookup = rules.policy.lookup();
        let found = match &self.tcp {
            Some(connection) => Some(find(connection, &lookup, state).await),
            None => None,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = found {
            let same = found.uid == known.found.uid;
            known.found = Arc::new(if same { found } else { found.unknown() });
            known.lookup = lookup;
        }
        let fit = rules.policy.fit(&known.found);
        known.fit = Some((rules.generation, fit));
        fit
    }
}

fn lacks_processes(known: &Known, rules: &Rules) -> bool {
    known.found.local && rules.policy.lookup().processes && !known.lookup.processes
}

async fn find(connection: &Connection, lookup: &Lookup, state: &State) -> caller::Caller {
    let tcp = matches!(connection.peer, Peer::Tcp { .. });
    let found = if tcp && lookup.processes && connection.is_local() {
        // Each of them takes a thread, and reads what the others read.
        let _turn = state.searches.acquire().await;
        tokio::task::block_in_place(|| caller::identify(connection, lookup))
    } else {
        caller::identify(connection, lookup)
    };
    if found.unreadable {
        state.unreadable();
    }
    found
}
