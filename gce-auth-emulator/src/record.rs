//! Takes note of requests as they come and end, and injects their faults.

use std::{net::SocketAddr, sync::Arc};

use gce_auth_server::{
    protocol::{Method, Request},
    service::{Arrival, Connection, Hooks, Sent},
};

use crate::{
    explain::{self, Facts},
    journal::{Entry, Journal},
    observers::Event,
    page,
    peer_process::Client,
    recorded_request::{Explanation, RecordedRequest},
    state::State,
};

impl Hooks for State {
    type Client = Arc<Client>;

    fn refused(&self, peer: SocketAddr) {
        self.tell(&Event::Refused { peer });
    }

    fn connected(&self, connection: &Connection) -> Arc<Client> {
        self.search.begin(connection)
    }

    fn arrived(&self, request: &Request, client: &Arc<Client>) -> Arrival {
        if page::is_at(&request.path) || request.path.starts_with(page::PATH) {
            return Arrival::default();
        }
        let now = || self.clock.now();
        let (fault, name) = self.rules().next(request, now).unzip();
        let id = self.journal().record(request, client, name);
        self.news.notify_waiters();
        if id == 1 {
            self.asked.notify_one();
        }
        Arrival { id, fault }
    }

    fn unreadable(&self, client: &Arc<Client>, status: u16, why: &str) {
        let request = Request {
            method: Method::Other("-".into()),
            path: "-".into(),
            ..Request::default()
        };
        let mut journal = self.journal();
        let id = journal.record(&request, client, None);
        let ended = journal.end(id, Some(status)).map(|entry| {
            entry.explanation = Some(Box::new(explain::unreadable(status, why)));
            entry.show()
        });
        drop(journal);
        self.ended(ended);
    }

    fn answered(&self, id: u64, answer: &Sent<'_>) {
        let keep = |journal: &mut Journal| journal.answer(id, answer).map(|entry| self.seen(entry));
        let Some(mut seen) = keep(&mut self.journal()) else {
            return;
        };
        // Outside of the journal's lock: it may take a while.
        if let Some(request) = &mut seen
            && let Some(explanation) = self.explained(request)
        {
            if let Some(entry) = self.journal().get_mut(id) {
                entry.explanation = Some(Box::new(explanation.clone()));
            }
            request.hint = Some(explanation.to_string());
            request.explanation = Some(explanation);
        }
        self.ended(seen);
    }

    fn departed(&self, id: u64) {
        let mut journal = self.journal();
        let seen = journal.end(id, None).and_then(|entry| self.seen(entry));
        drop(journal);
        self.ended(seen);
    }
}

impl State {
    /// The request with its answer, if anything is to be done with it.
    fn seen(&self, entry: &Entry) -> Option<RecordedRequest> {
        let status = entry.status().unwrap_or(200);
        let refused = status == 301 || (400..500).contains(&status);
        (refused || !self.observers.is_empty()).then(|| entry.show())
    }

    fn explained(&self, request: &RecordedRequest) -> Option<Explanation> {
        let settings = self.cloud.settings();
        self.document.read(|document| {
            let facts = Facts {
                document,
                hosts: &self.access.hosts,
                settings: &settings,
            };
            explain::explain(request, &facts)
        })
    }

    fn ended(&self, request: Option<RecordedRequest>) {
        self.news.notify_waiters();
        if let Some(request) = request.filter(|_| !self.observers.is_empty()) {
            let request = Box::new(request);
            self.tell(&Event::Answered { request });
        }
    }
}
