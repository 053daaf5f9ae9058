//! Takes note of requests as they come and end, and injects their faults.

use std::net::SocketAddr;

use gce_auth_server::protocol::{Method, Request};
use gce_auth_server::service::{Arrival, Hooks, Peer};
use serde_json::Value;

use crate::observers::Event;
use crate::state::State;
use crate::{hints, page};

impl Hooks for State {
    fn refused(&self, peer: SocketAddr) {
        self.tell(&Event::Refused { peer });
    }

    fn arrived(&self, request: &Request) -> Arrival {
        if page::is_at(&request.path) || request.path.starts_with(page::PATH) {
            return Arrival::default();
        }
        let now = || self.clock.now();
        let (fault, name) = self.rules().next(request, now).unzip();
        let mut journal = self.journal();
        let id = journal.record(request, name);
        if self.told.receiver_count() > 0
            && let Some(request) = journal.last()
        {
            let _ = self.told.send(request.show());
        }
        drop(journal);
        if id == 1 {
            self.asked.notify_one();
        }
        Arrival { id, fault }
    }

    fn unreadable(&self, _: &Peer, status: u16, why: &str) {
        let request = Request {
            method: Method::Other("-".into()),
            path: "-".into(),
            ..Request::default()
        };
        let id = self.journal().record(&request, None);
        if let Some(entry) = self.journal().complete(id, Some(status)) {
            entry.hint = Some(format!("not HTTP: {why}"));
        }
        self.departed(id, Some(status));
    }

    fn departed(&self, id: u64, status: Option<u16>) {
        let mut journal = self.journal();
        let Some(entry) = journal.complete(id, status) else {
            return;
        };
        if let Some(status @ (301 | 403 | 404)) = status
            && self.upstream.is_none()
        {
            let request = entry.show();
            let hint =
                |document: &Value| hints::hint(&request, status, document, &self.access.hosts);
            entry.hint = self.document.read(hint);
        }
        let listeners = self.told.receiver_count() > 0;
        if !listeners && self.observers.is_empty() {
            return;
        }
        let request = entry.show();
        drop(journal);
        if listeners {
            let _ = self.told.send(request.clone());
        }
        self.tell(&Event::Answered { request });
    }
}
