//! A request that was received, as programs, control requests and the page see it.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// A request that an emulator received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path as sent; like the query and each header, its first 4,096 bytes.
    pub path: String,
    /// The query as sent, without the question mark; empty when there was none. Values that are
    /// secrets are replaced.
    pub query: String,
    /// The headers that say who asked, names in lower case: `host`, `metadata-flavor`,
    /// `user-agent`, `x-goog-api-client`, `x-goog-user-project`, `x-forwarded-for`, `origin`,
    /// `sec-fetch-site`, `content-type`.
    pub headers: Vec<(String, String)>,
    /// The length of the body in bytes.
    pub body_length: usize,
    /// Its number: 1 for the first request that this emulator received.
    pub id: u64,
    /// The status of the answer. `None` while there is none, and when the connection ended without
    /// one.
    pub status: Option<u16>,
    /// How long it took until the answer began, or until the connection ended without one. `None`
    /// while it is under way.
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

    /// As control requests and the page show it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "bodyLength": self.body_length,
            "id": self.id,
            "status": self.status,
            "milliseconds": self.duration.map(|time| time.as_secs_f64() * 1000.0),
            "fault": self.fault,
            "hint": self.hint,
        })
    }
}

/// `GET /computeMetadata/v1/instance/id 200 in 0.1 ms (curl/8.5.0)`, with what went wrong on
/// purpose.
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
