//! The requests that are new to a client that knows those before.

use serde_json::{Value, json};

use super::overview::overview;
use crate::{journal::Entry, recorded_request::RecordedRequest, state::State};

/// What a listener knows.
pub(crate) struct Since {
    /// The newest request.
    pub(crate) after: u64,
    /// Those that were under way.
    pub(crate) pending: Vec<u64>,
}

/// What is new.
pub(crate) struct News {
    /// Those that ended, and then the newest, the oldest first.
    pub(crate) requests: Vec<RecordedRequest>,
    /// How many came, too, and are left out as there were more than were asked for.
    pub(crate) left_out: u64,
}

impl Since {
    /// Takes the news, at most so many requests that came; knows them from then on.
    pub(crate) fn take(&mut self, state: &State, limit: u64) -> News {
        let journal = state.journal();
        let mut ended = Vec::new();
        self.pending.retain(|id| match journal.get(*id) {
            Some(entry) if entry.is_pending() => true,
            Some(entry) => {
                ended.push(entry.show());
                false
            }
            None => false,
        });
        let last = journal.last_id();
        let came = last.saturating_sub(self.after.max(journal.cleared()));
        let first = (last + 1).saturating_sub(limit.min(came));
        let shown = (first..=last).filter_map(|id| journal.get(id));
        let new: Vec<RecordedRequest> = shown.map(Entry::show).collect();
        drop(journal);
        let under_way = new.iter().filter(|request| request.duration.is_none());
        self.pending.extend(under_way.map(|request| request.id));
        let left_out = came.saturating_sub(new.len() as u64);
        self.after = last;
        ended.extend(new);
        News {
            requests: ended,
            left_out,
        }
    }
}

/// Returns the news for a page: requests in short, and the state.
pub(crate) fn news(state: &State, mut since: Since, limit: u64) -> Value {
    let News { requests, left_out } = since.take(state, limit);
    let requests: Vec<Value> = requests.iter().map(RecordedRequest::summary).collect();
    let journal = state.journal();
    let (first, last) = (journal.first_id(), journal.last_id());
    drop(journal);
    json!({
        "emulator": state.started,
        "requests": requests,
        "leftOut": left_out,
        "firstId": first,
        "lastId": last,
        "state": overview(state),
    })
}
