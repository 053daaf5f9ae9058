//! Who asked what: the last requests, without the secrets that were in them.

use std::collections::VecDeque;

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

#[derive(Default)]
pub(crate) struct Journal {
    requests: VecDeque<RecordedRequest>,
}

impl Journal {
    pub(crate) fn record(&mut self, request: &Request) {
        if self.requests.len() >= KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(RecordedRequest {
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
        journal.record(&request("/tokeninfo", "access_token=ya29.secret&x=1"));
        let all = journal.all();
        assert!(!format!("{all:?}").contains("ya29"));
        assert_eq!(all[0].query, "access_token=[redacted]&x=1");
        assert_eq!(all[0].header("User-Agent"), Some("test"));
    }

    #[test]
    fn requests_are_counted_by_path_and_bounded() {
        let mut journal = Journal::default();
        for _ in 0..KEPT + 5 {
            journal.record(&request("/computeMetadata/v1/instance/id", ""));
        }
        assert_eq!(journal.count("instance/id"), KEPT);
        assert_eq!(journal.count("/computeMetadata/v1/instance/id"), KEPT);
        assert_eq!(journal.count("instance"), 0);
        journal.clear();
        assert!(journal.all().is_empty());
    }
}
