//! The last requests and their clients, without the secrets that were in them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Clock, Lap};
use crate::recorded_request::RecordedRequest;
use gce_auth_server::protocol::fields::Fields;
use gce_auth_server::protocol::route::PREFIX;
use gce_auth_server::protocol::{Method, Request};

const KEPT: usize = 10_000;
/// What is kept of a path, a query or a header, at most.
const LONGEST: usize = 4096;
/// How many bytes are kept of all requests together, at most; the oldest make room.
const BYTES: usize = 8 << 20;
/// Beyond this length the memory of a text is not used again: a short one would take it all.
const SMALL: usize = 1024;
/// How many requests are read at once. Meanwhile none can be recorded.
const PAGE: usize = 64;
const HEADERS: [&str; 9] = [
    "host",
    "metadata-flavor",
    "user-agent",
    "x-goog-api-client",
    "x-goog-user-project",
    "x-forwarded-for",
    "origin",
    "sec-fetch-site",
    "content-type",
];
const SECRET: [&str; 4] = ["access_token", "assertion", "id_token", "token"];

#[derive(Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    /// The length of their texts.
    bytes: usize,
    last_id: u64,
}

/// A request as it is kept: thousands of them, so in little memory.
pub(crate) struct Entry {
    id: u64,
    method: Method,
    /// The path, the query, and then the headers.
    what: Fields,
    body_length: usize,
    began: Lap,
    status: Option<u16>,
    duration: Option<Duration>,
    fault: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Entry {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn path(&self) -> &str {
        self.what.get("path").unwrap_or_default()
    }

    fn query(&self) -> &str {
        self.what.get("query").unwrap_or_default()
    }

    /// The request as the API shows it.
    pub(crate) fn show(&self) -> RecordedRequest {
        let headers = self.what.iter().skip(2);
        RecordedRequest {
            method: self.method.as_str().into(),
            path: self.path().into(),
            query: self.query().into(),
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            body_length: self.body_length,
            id: self.id,
            status: self.status,
            duration: self.duration,
            fault: self.fault.clone(),
            hint: self.hint.clone(),
        }
    }
}

impl Journal {
    /// Takes note of a request, and of its fault, if any; gives its number.
    pub(crate) fn record(&mut self, request: &Request, fault: Option<String>) -> u64 {
        // The oldest makes room, and leaves its memory to the newest.
        let mut what = Fields::default();
        while self.entries.len() >= KEPT || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.what.length();
            what = oldest.what;
        }
        what.clear();
        if what.capacity() > SMALL {
            what = Fields::default();
        }
        what.push("path", beginning(&request.path));
        what.push("query", beginning(&without_secrets(&request.query)));
        for (name, value) in request.headers.iter() {
            if HEADERS.contains(&name) {
                what.push(name, beginning(value));
            }
        }
        self.last_id += 1;
        self.bytes += what.length();
        self.entries.push_back(Entry {
            id: self.last_id,
            method: request.method.clone(),
            what,
            body_length: request.body.len(),
            began: Clock::lap(),
            status: None,
            duration: None,
            fault,
            hint: None,
        });
        self.last_id
    }

    /// Takes note of a request's end; gives what is known of it, if it was not forgotten.
    pub(crate) fn complete(&mut self, id: u64, status: Option<u16>) -> Option<&mut Entry> {
        let first = self.entries.front()?.id;
        let index = usize::try_from(id.checked_sub(first)?).ok()?;
        let entry = self.entries.get_mut(index)?;
        entry.status = status;
        entry.duration = Some(entry.began.elapsed());
        Some(entry)
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(crate) fn last(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The oldest requests behind one, and at most as many as no other request has to wait for.
    pub(crate) fn page(&self, behind: u64) -> impl Iterator<Item = &Entry> {
        let first = self.entries.front().map_or(0, |entry| entry.id);
        let skipped = behind.saturating_add(1).saturating_sub(first);
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

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// A path of the server; one without a leading slash begins in the tree.
pub(crate) fn full_path(path: &str) -> String {
    if path.starts_with('/') {
        path.into()
    } else {
        format!("{PREFIX}{path}")
    }
}

/// What is kept of a text.
fn beginning(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

fn without_secrets(query: &str) -> Cow<'_, str> {
    if query.is_empty() {
        return Cow::Borrowed(query);
    }
    query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET.contains(&name) => format!("{name}=[redacted]"),
            _ => pair.into(),
        })
        .collect::<Vec<_>>()
        .join("&")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn all(journal: &Journal) -> Vec<RecordedRequest> {
        journal.entries.iter().map(Entry::show).collect()
    }

    #[test]
    fn secrets_are_not_kept() {
        let mut journal = Journal::default();
        journal.record(&request("/tokeninfo", "access_token=ya29.secret&x=1"), None);
        let all = all(&journal);
        assert!(!format!("{all:?}").contains("ya29"));
        assert_eq!(all[0].query, "access_token=[redacted]&x=1");
        assert_eq!(all[0].header("User-Agent"), Some("test"));
    }

    #[test]
    fn requests_are_counted_by_path_and_bounded() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 5 {
            journal.record(&request("/computeMetadata/v1/instance/id", ""), None);
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
            journal.record(&request("/a", ""), None);
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
        journal.record(&request, None);
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
            journal.record(&request, None);
        }
        let kept: usize = journal
            .entries
            .iter()
            .map(|entry| entry.what.length())
            .sum();
        assert_eq!(kept, journal.bytes);
        assert!((BYTES / 2..BYTES + 4 * LONGEST).contains(&kept), "{kept}");
        // Short ones that follow do not sit in the memory of long ones.
        for _ in 0..KEPT {
            journal.record(&request("/a", ""), None);
        }
        let memory: usize = journal
            .entries
            .iter()
            .map(|entry| entry.what.capacity())
            .sum();
        assert!(journal.entries.len() == KEPT && memory < BYTES, "{memory}");
        journal.clear();
        assert_eq!(journal.bytes, 0);
    }

    #[test]
    fn the_end_of_a_request_finds_it_again() {
        let mut journal = Journal::default();
        let first = journal.record(&request("/a", ""), None);
        journal.clear();
        let second = journal.record(&request("/b", ""), Some("503".into()));
        let third = journal.record(&request("/c", ""), None);
        let mut complete = |id, status| journal.complete(id, status).map(|entry| entry.show().path);
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
