//! A request that was received, as programs, control requests and the page see it.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{client_library::ClientLibrary, clock::Instant, peer_process::Process};

/// A request that an emulator received, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path as sent; like the query, each header and both bodies, its first 4,096 bytes.
    pub path: String,
    /// The query as sent, without the question mark; empty when there was none. Like everywhere
    /// here, values that are secrets are replaced.
    pub query: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The length of the body in bytes.
    pub body_length: usize,
    /// The body. `None` if there is none, or if it is no text.
    pub body: Option<String>,
    /// The body in Base64, if it is no text and no secret was seen in it.
    pub body_base64: Option<String>,
    /// Its number: 1 for the first request that this emulator received.
    pub id: u64,
    /// When it came, by the clock of the machine.
    pub time: SystemTime,
    /// Where it came from. `None` for a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The process that sent it, if it is one of this machine and the kernel tells. It is found a
    /// moment after the request came.
    pub process: Option<Process>,
    /// The status of the answer. `None` while there is none, and when the connection ended without
    /// one.
    pub status: Option<u16>,
    /// The answer, once it is there.
    pub answer: Option<RecordedAnswer>,
    /// How long it took until the answer began, or until the connection ended without one. `None`
    /// while it is under way.
    pub duration: Option<Duration>,
    /// What went wrong on purpose.
    pub fault: Option<String>,
    /// Why it was refused or led nowhere.
    pub explanation: Option<Explanation>,
    /// What its client may have meant, if it was refused or led nowhere: the explanation in one
    /// line.
    pub hint: Option<String>,
    pub(crate) fault_id: Option<u64>,
    /// What the JSON Web Tokens in it say, as JSON: `[JWT 1]` is the first.
    pub(crate) web_tokens: String,
}

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedAnswer {
    /// The headers, spelled as they were sent.
    pub headers: Vec<(String, String)>,
    /// The length of the body in bytes, before a fault cut it off.
    pub body_length: usize,
    /// The body. `None` if it is no text.
    pub body: Option<String>,
    /// Whether the [upstream](crate::EmulatorBuilder::upstream) gave it.
    pub relayed: bool,
}

/// Why a request was refused or led nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The cause.
    pub why: String,
    /// The nearest thing that would have worked.
    pub instead: Option<String>,
}

impl Explanation {
    pub(crate) fn new(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: Some(instead.into()),
        }
    }

    pub(crate) fn only(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: None,
        }
    }
}

/// `the machine has no account x: ask for default`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        match &self.instead {
            Some(instead) => write!(f, ": {instead}"),
            None => Ok(()),
        }
    }
}

impl RecordedRequest {
    /// Returns the value of one of the headers; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns what decided the answer.
    fn answered_by(&self) -> Option<String> {
        let answer = self.answer.as_ref();
        Some(match (self.fault_id, &self.fault, answer) {
            (Some(id), Some(fault), _) => format!("fault {id}: {fault}"),
            (_, _, None) => return None,
            (_, _, Some(answer)) if answer.relayed => "upstream".into(),
            _ => "emulator".into(),
        })
    }

    /// As lists show it.
    pub(crate) fn summary(&self) -> Value {
        let client =
            ClientLibrary::read(self.header("user-agent"), self.header("x-goog-api-client"));
        let explanation = self.explanation.as_ref();
        json!({
            "id": self.id,
            "time": Instant::from_system(self.time).rfc3339_millis(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "peer": self.peer,
            "process": self.process.as_ref().map(Process::to_json),
            "client": client.to_json(),
            "status": self.status,
            "milliseconds": self.duration.map(|time| time.as_secs_f64() * 1000.0),
            "fault": self.fault,
            "faultId": self.fault_id,
            "answeredBy": self.answered_by(),
            "why": explanation.map(|it| &it.why),
            "instead": explanation.and_then(|it| it.instead.as_ref()),
            "hint": self.hint,
        })
    }

    /// With everything that is known.
    pub(crate) fn to_json(&self) -> Value {
        let mut all = self.summary();
        all["headers"] = json!(self.headers);
        all["bodyLength"] = self.body_length.into();
        all["body"] = self.body.clone().into();
        all["bodyBase64"] = self.body_base64.clone().into();
        all["webTokens"] = serde_json::from_str(&self.web_tokens).unwrap_or_else(|_| json!([]));
        all["answer"] = self.answer.as_ref().map_or(Value::Null, |answer| {
            json!({
                "headers": answer.headers,
                "bodyLength": answer.body_length,
                "body": answer.body,
                "relayed": answer.relayed,
            })
        });
        all
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
