//! A value as the source sent it.

use bytes::Bytes;
use gce_auth_server::protocol::Reply;
use serde_json::Value;

/// A value, or a directory as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) body: Bytes,
    pub(crate) json: bool,
    pub(crate) etag: Option<String>,
}

impl Found {
    /// Returns the answer: the bytes as the source sent them.
    pub(crate) fn reply(&self) -> Reply {
        let kind = if self.json {
            "application/json"
        } else {
            "application/text"
        };
        tagged(
            Reply::new(200, kind, self.body.clone()),
            self.etag.as_deref(),
        )
    }

    /// Reads the document of a directory.
    pub(crate) fn document(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Adds the source's version of a value to an answer.
pub(crate) fn tagged(reply: Reply, etag: Option<&str>) -> Reply {
    match etag {
        Some(etag) => reply.with("ETag", etag),
        None => reply,
    }
}

/// The path of a directory, with its slash; that of the root is empty.
pub(super) fn slashed(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}/")
    }
}
