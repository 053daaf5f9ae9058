//! Who asked what: the last requests, without the secrets that were in them.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::clock::{Clock, Lap};
use crate::surface::Request;
use crate::surface::query::Query;
use crate::surface::route::PREFIX;

const KEPT: usize = 10_000;
const HEADERS: [&str; 7] = [
    "host",
    "metadata-flavor",
    "user-agent",
    "x-goog-api-client",
    "x-goog-user-project",
    "x-forwarded-for",
    "content-type",
];
const SECRET: [&str; 4] = ["access_token", "assertion", "id_token", "token"];

/// A request that an emulator received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query as sent, without the question mark; empty when there was none. Values that are secrets are replaced.
    pub query: String,
    /// The headers that say who asked, names in lower case: `host`, `metadata-flavor`, `user-agent`, `x-goog-api-client`,
    /// `x-goog-user-project`, `x-forwarded-for`, `content-type`.
    pub headers: Vec<(String, String)>,
    /// The length of the body in bytes.
    pub body_length: usize,
    /// Its number: 1 for the first request that this emulator received.
    pub id: u64,
    /// The status of the answer. `None` while there is none, and when the connection ended without one.
    pub status: Option<u16>,
    /// How long it took until the answer began, or until the connection ended without one. `None` while it is under way.
    pub duration: Option<Duration>,
    /// What went wrong on purpose.
    pub fault: Option<String>,
    /// What its client may have meant, if it was refused or led nowhere.
    pub hint: Option<String>,
}

impl RecordedRequest {
    /// The value of one of the recorded headers; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// `GET /computeMetadata/v1/instance/id 200 in 0.1 ms (curl/8.5.0)`, with what went wrong on purpose.
impl fmt::Display for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.query.is_empty() { "" } else { "?" };
        write!(f, "{} {}{mark}{}", self.method, self.path, self.query)?;
        match (self.status, self.duration) {
            (Some(status), _) => write!(f, " {status}")?,
            (None, Some(_)) => f.write_str(" unanswered")?,
            (None, None) => f.write_str(" pending")?,
        }
        if let Some(duration) = self.duration {
            write!(f, " in {:.1} ms", duration.as_secs_f64() * 1000.0)?;
        }
        if let Some(client) = self.header("user-agent") {
            write!(f, " ({})", client.escape_debug())?;
        }
        if let Some(fault) = &self.fault {
            write!(f, " [fault: {fault}]")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Journal {
    requests: VecDeque<RecordedRequest>,
    /// When each of them began.
    laps: VecDeque<Lap>,
    last_id: u64,
}

impl Journal {
    /// Takes note of a request, and of what shall go wrong with it; gives its number.
    pub(crate) fn record(&mut self, request: &Request, fault: Option<String>) -> u64 {
        if self.requests.len() >= KEPT {
            self.requests.pop_front();
            self.laps.pop_front();
        }
        self.last_id += 1;
        self.laps.push_back(Clock::lap());
        self.requests.push_back(RecordedRequest {
            id: self.last_id,
            status: None,
            duration: None,
            fault,
            hint: None,
            method: request.method.as_str().into(),
            path: request.path.clone(),
            query: without_secrets(&request.query),
            headers: request
                .headers
                .iter()
                .filter(|(name, _)| HEADERS.contains(&name.as_str()))
                .cloned()
                .collect(),
            body_length: request.body.len(),
        });
        self.last_id
    }

    /// Takes note of a request's end; gives what is known of it, if it was not forgotten.
    pub(crate) fn complete(
        &mut self,
        id: u64,
        status: Option<u16>,
        hint: impl FnOnce(&RecordedRequest, u16) -> Option<String>,
    ) -> Option<&RecordedRequest> {
        let first = self.requests.front()?.id;
        let index = usize::try_from(id.checked_sub(first)?).ok()?;
        let elapsed = self.laps.get(index)?.elapsed();
        let request = self.requests.get_mut(index)?;
        request.status = status;
        request.duration = Some(elapsed);
        request.hint = status.and_then(|status| hint(request, status));
        Some(request)
    }

    pub(crate) fn last(&self) -> Option<&RecordedRequest> {
        self.requests.back()
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }

    /// The requests for this path that had each of these parameters.
    pub(crate) fn matching(&self, path: &str, parameters: &[(String, String)]) -> usize {
        let path = full_path(path);
        self.requests
            .iter()
            .filter(|request| request.path == path)
            .filter(|request| {
                let query = Query::parse(&request.query);
                parameters
                    .iter()
                    .all(|(name, value)| query.get(name) == Some(value))
            })
            .count()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        let path = full_path(path);
        self.requests
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
        self.laps.clear();
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

fn without_secrets(query: &str) -> String {
    query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET.contains(&name) => format!("{name}=[redacted]"),
            _ => pair.into(),
        })
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::Method;

    fn request(path: &str, query: &str) -> Request {
        Request {
            secure: false,
            local: true,
            method: Method::Get,
            path: path.into(),
            query: query.into(),
            headers: vec![
                ("authorization".into(), "Bearer ya29.secret".into()),
                ("user-agent".into(), "test".into()),
            ],
            body: Vec::new(),
        }
    }

    #[test]
    fn secrets_are_not_kept() {
        let mut journal = Journal::default();
        journal.record(&request("/tokeninfo", "access_token=ya29.secret&x=1"), None);
        let all = journal.all();
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
        journal.clear();
        assert!(journal.all().is_empty());
    }

    #[test]
    fn the_end_of_a_request_finds_it_again() {
        let mut journal = Journal::default();
        let first = journal.record(&request("/a", ""), None);
        journal.clear();
        let second = journal.record(&request("/b", ""), Some("503".into()));
        let third = journal.record(&request("/c", ""), None);
        assert!(journal.complete(first, Some(200), |_, _| None).is_none());
        assert_eq!(
            journal
                .complete(third, Some(404), |_, _| None)
                .unwrap()
                .path,
            "/c"
        );
        assert_eq!(
            journal.complete(second, None, |_, _| None).unwrap().path,
            "/b"
        );
        assert!(journal.complete(0, None, |_, _| None).is_none());
        let all = journal.all();
        assert_eq!((all[0].status, all[1].status), (None, Some(404)));
        assert!(all[0].duration.is_some());
        assert_eq!(all[0].fault.as_deref(), Some("503"));
    }
}
