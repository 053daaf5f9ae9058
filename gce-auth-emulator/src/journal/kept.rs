//! The last requests and their clients, without the secrets that were in them.

use std::{collections::VecDeque, sync::Arc};

use gce_auth_server::{
    protocol::{Request, route::PREFIX},
    service::Sent,
};

use super::{bodies::SharedBodies, entry::Entry, heads::SharedHeads};
use crate::peer_process::Client;

const KEPT: usize = 10_000;
/// How many bytes are kept of all requests together, at most; the oldest make room.
const BYTES: usize = 16 << 20;
/// Beyond this length the memory of a text is not used again: a short one would take it all.
const SMALL: usize = 1024;
/// How many requests are read at once. Meanwhile none can be recorded.
const PAGE: usize = 64;

#[derive(Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    /// The length of their texts, as if none was shared.
    bytes: usize,
    bodies: SharedBodies,
    heads: SharedHeads,
    last_id: u64,
    /// The newest that was forgotten on purpose.
    cleared: u64,
}

impl Journal {
    /// Takes note of a request, and of the fault that hits it; gives its number.
    pub(crate) fn record(
        &mut self,
        request: &Request,
        client: &Arc<Client>,
        fault: Option<(u64, String)>,
    ) -> u64 {
        // The oldest makes room, and leaves its memory to the newest.
        let mut target = None;
        while self.entries.len() >= KEPT || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.length();
            target = Some(oldest.target).filter(|target| target.capacity() <= SMALL);
        }
        let target = target.unwrap_or_else(|| room(request));
        self.last_id += 1;
        let who = (request, client);
        let entry = Entry::new(self.last_id, target, who, fault, &mut self.heads);
        self.bytes += entry.length();
        self.entries.push_back(entry);
        self.last_id
    }

    /// Takes note of a request's answer; gives what is known of it, if it was not forgotten.
    pub(crate) fn answer(&mut self, id: u64, sent: &Sent<'_>) -> Option<&mut Entry> {
        let entry = find(&mut self.entries, id)?;
        self.bytes -= entry.length();
        entry.answer(sent, &mut self.bodies, &mut self.heads);
        self.bytes += entry.length();
        Some(entry)
    }

    /// Takes note of the end of a request that got no answer, or none that is known.
    pub(crate) fn end(&mut self, id: u64, status: Option<u16>) -> Option<&mut Entry> {
        let entry = find(&mut self.entries, id)?;
        entry.end(status);
        Some(entry)
    }

    /// A request, if it was not forgotten.
    pub(crate) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(index(&self.entries, id)?)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        find(&mut self.entries, id)
    }

    /// The number of the oldest that is kept; of the next one, if there is none.
    pub(crate) fn first_id(&self) -> u64 {
        let first = self.entries.front();
        first.map_or(self.last_id + 1, Entry::id)
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// All that are under way.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_pending())
    }

    /// The oldest requests behind one, and at most as many as no other request has to wait for.
    pub(crate) fn page(&self, behind: u64) -> impl Iterator<Item = &Entry> {
        let skipped = behind.saturating_add(1).saturating_sub(self.first_id());
        let rest = self.entries.iter();
        rest.skip(usize::try_from(skipped).unwrap_or(usize::MAX))
            .take(PAGE)
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        let path = full_path(path);
        self.entries
            .iter()
            .filter(|entry| entry.path() == path)
            .count()
    }

    /// The newest that was forgotten on purpose.
    pub(crate) fn cleared(&self) -> u64 {
        self.cleared
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = self.last_id;
        self.entries.clear();
        self.bytes = 0;
    }
}

/// Memory for a request alone: thousands may wait for their answers.
fn room(request: &Request) -> String {
    String::with_capacity((request.path.len() + request.query.len()).min(SMALL))
}

fn index(entries: &VecDeque<Entry>, id: u64) -> Option<usize> {
    let first = entries.front()?.id();
    usize::try_from(id.checked_sub(first)?).ok()
}

fn find(entries: &mut VecDeque<Entry>, id: u64) -> Option<&mut Entry> {
    entries.get_mut(index(entries, id)?)
}

/// A path of the server; one without a leading slash begins in the tree.
pub(crate) fn full_path(path: &str) -> String {
    if path.starts_with('/') {
        path.into()
    } else {
        format!("{PREFIX}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{journal::entry::LONGEST, recorded_request::RecordedRequest};

    fn request(path: &str, query: &str) -> Request {
        Request {
            path: path.into(),
            query: query.into(),
            headers: [
                ("authorization", "Bearer ya29.secret"),
                ("user-agent", "test"),
            ]
            .into_iter()
            .collect(),
            ..Request::default()
        }
    }

    fn record(journal: &mut Journal, request: &Request) -> u64 {
        journal.record(request, &Arc::default(), None)
    }

    fn all(journal: &Journal) -> Vec<RecordedRequest> {
        journal.entries.iter().map(Entry::show).collect()
    }

    #[test]
    fn secrets_are_not_kept() {
        let mut journal = Journal::default();
        record(
            &mut journal,
            &request("/tokeninfo", "access_token=ya29.secret&x=1"),
        );
        let all = all(&journal);
        assert!(!format!("{all:?}").contains("ya29"));
        assert_eq!(all[0].query, "access_token=[redacted]&x=1");
        assert_eq!(all[0].header("authorization"), Some("Bearer [redacted]"));
        assert_eq!(all[0].header("User-Agent"), Some("test"));
    }

    #[test]
    fn requests_are_counted_by_path_and_bounded() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 5 {
            record(
                &mut journal,
                &request("/computeMetadata/v1/instance/id", ""),
            );
        }
        assert_eq!(journal.count("instance/id"), KEPT);
        assert_eq!(journal.count("/computeMetadata/v1/instance/id"), KEPT);
        assert_eq!(journal.count("instance"), 0);
        let ids: Vec<u64> = all(&journal).iter().map(|entry| entry.id).collect();
        assert_eq!(ids, (6..=KEPT as u64 + 5).collect::<Vec<_>>());
        journal.clear();
        assert!(all(&journal).is_empty());
    }

    #[test]
    fn all_are_read_in_pages() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 5 {
            record(&mut journal, &request("/a", ""));
        }
        let page = |behind| -> Vec<u64> { journal.page(behind).map(Entry::id).collect() };
        let end = journal.last_id();
        let oldest = end - KEPT as u64 + 1;
        assert_eq!(page(0), page(oldest - 1));
        assert_eq!(page(0)[0], oldest);
        assert_eq!(page(0).len(), PAGE);
        assert_eq!(page(end - 2), [end - 1, end]);
        assert!(page(end).is_empty() && page(u64::MAX).is_empty());
    }

    #[test]
    fn of_what_is_long_the_beginning_is_kept() {
        let mut journal = Journal::default();
        let long = "\u{e9}".repeat(LONGEST);
        let mut request = request(
            &format!("/{long}"),
            &format!("access_token={long}&a={long}"),
        );
        request.headers = [("user-agent", long.as_str())].into_iter().collect();
        record(&mut journal, &request);
        let recorded = &all(&journal)[0];
        let agent = recorded.header("user-agent").unwrap();
        for kept in [&recorded.path, &recorded.query, agent] {
            let length = kept.len();
            assert!((LONGEST - 1..=LONGEST).contains(&length), "{length}");
        }
        assert!(long.starts_with(agent) && recorded.path.starts_with("/\u{e9}"));
        assert!(
            recorded
                .query
                .starts_with("access_token=[redacted]&a=\u{e9}")
        );
    }

    #[test]
    fn long_requests_make_room_for_each_other() {
        let mut journal = Journal::default();
        let long = "x".repeat(LONGEST);
        for _ in 0..KEPT {
            let mut request = request(&format!("/{long}"), &format!("a={long}"));
            request.headers = [("user-agent", long.as_str())].into_iter().collect();
            record(&mut journal, &request);
        }
        let kept: usize = journal.entries.iter().map(Entry::length).sum();
        assert_eq!(kept, journal.bytes);
        assert!((BYTES / 2..BYTES + 4 * LONGEST).contains(&kept), "{kept}");
        // Short ones that follow do not sit in the memory of long ones.
        for _ in 0..KEPT {
            record(&mut journal, &request("/a", ""));
        }
        let memory: usize = journal
            .entries
            .iter()
            .map(|entry| entry.target.capacity())
            .sum();
        assert!(journal.entries.len() == KEPT && memory < BYTES, "{memory}");
        journal.clear();
        assert_eq!(journal.bytes, 0);
    }

    #[test]
    fn the_end_of_a_request_finds_it_again() {
        let mut journal = Journal::default();
        let first = record(&mut journal, &request("/a", ""));
        journal.clear();
        let second = journal.record(&request("/b", ""), &Arc::default(), Some((1, "503".into())));
        let third = record(&mut journal, &request("/c", ""));
        let mut complete = |id, status| journal.end(id, status).map(|entry| entry.show().path);
        assert_eq!(complete(first, Some(200)), None);
        assert_eq!(complete(third, Some(404)).as_deref(), Some("/c"));
        assert_eq!(complete(second, None).as_deref(), Some("/b"));
        assert_eq!(complete(0, None), None);
        let all = all(&journal);
        assert_eq!((all[0].status, all[1].status), (None, Some(404)));
        assert!(all[0].duration.is_some());
        assert_eq!(all[0].fault.as_deref(), Some("503"));
    }
}
