//! Answers, before they have a date and a length.

use std::borrow::Cow;

use bytes::Bytes;

use crate::protocol::etag::Etag;

/// An answer, before it has a date and a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The server that answers.
    pub dialect: Dialect,
    /// The `Content-Type` header.
    pub content_type: Cow<'static, str>,
    /// The body.
    pub body: Bytes,
    /// Whether more comes after the body, so that its length is not known.
    pub open_ended: bool,
    /// Whether another server gave it.
    pub relayed: bool,
    etag: Option<Etag>,
    /// Headers that not every answer has.
    more: Vec<(&'static str, String)>,
}

/// The server that answers, which decides the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The metadata server.
    Metadata,
    /// The metadata server without the header that identifies it, as an impostor or a broken proxy
    /// would answer.
    NoFlavor,
    /// A Google API on the public internet.
    Cloud {
        /// For how many seconds the answer may be cached.
        max_age: Option<u32>,
    },
}

impl Reply {
    /// Returns an answer of the metadata server.
    pub fn new(
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            status,
            dialect: Dialect::Metadata,
            content_type: content_type.into(),
            body: body.into(),
            open_ended: false,
            relayed: false,
            etag: None,
            more: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Says which state of a place this is.
    #[must_use]
    pub fn tagged(mut self, etag: Etag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Returns a JSON answer of a Google API.
    pub fn cloud(status: u16, body: &serde_json::Value) -> Self {
        Self {
            dialect: Dialect::Cloud { max_age: None },
            ..Self::new(status, "application/json; charset=UTF-8", body.to_string())
        }
    }

    /// Returns an answer about the emulator itself.
    pub fn control(status: u16, body: &serde_json::Value) -> Self {
        Self {
            dialect: Dialect::NoFlavor,
            ..Self::new(status, "application/json", body.to_string())
        }
    }

    /// Returns a text about the emulator itself.
    pub fn own(content_type: &'static str, text: &'static str) -> Self {
        Self {
            dialect: Dialect::NoFlavor,
            ..Self::new(200, content_type, text)
        }
    }

    /// Returns the same answer, with more to come after its body.
    #[must_use]
    pub fn open_ended(mut self) -> Self {
        self.open_ended = true;
        self
    }

    /// Returns the same answer, given by another server.
    #[must_use]
    pub fn relayed(mut self) -> Self {
        self.relayed = true;
        self
    }

    /// Returns the same answer, with another flavor or none.
    #[must_use]
    pub fn flavored(mut self, flavor: Option<String>) -> Self {
        if self.dialect == Dialect::Metadata {
            self.dialect = Dialect::NoFlavor;
            if let Some(flavor) = flavor {
                self.more.insert(0, ("Metadata-Flavor", flavor));
            }
        }
        self
    }

    /// Returns the header lines in the server's own order, with the `Server` that a metadata server
    /// has. A redirect carries no date, as seen on real machines.
    pub fn header_lines(&self, date: Bytes, server: &'static str) -> Vec<(&'static str, Bytes)> {
        let more = || {
            let shared = |(name, value): &(&'static str, String)| (*name, value.clone().into());
            self.more.iter().map(shared)
        };
        let redirect = self.more.iter().any(|(name, _)| *name == "Location");
        let mut lines = Vec::with_capacity(10);
        if self.dialect == Dialect::Metadata {
            lines.push(("Metadata-Flavor", "Google".into()));
        }
        if redirect {
            lines.extend(more());
        }
        let content_type = match &self.content_type {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => text.clone().into(),
        };
        lines.push(("Content-Type", content_type));
        if let Some(etag) = self.etag {
            lines.push(("ETag", etag.to_string().into()));
        }
        if !redirect {
            lines.extend(more());
            lines.push(("Date", date));
        }
        match self.dialect {
            Dialect::Metadata | Dialect::NoFlavor => {
                lines.push(("Server", server.into()));
            }
            Dialect::Cloud { max_age } => {
                lines.push((
                    "Cache-Control",
                    max_age.map_or_else(
                        || "private".into(),
                        |age| {
                            format!("public, max-age={age}, must-revalidate, no-transform").into()
                        },
                    ),
                ));
                lines.push(("Server", "ESF".into()));
            }
        }
        if !self.open_ended {
            lines.push(("Content-Length", self.body.len().to_string().into()));
        }
        lines.push(("X-XSS-Protection", "0".into()));
        lines.push(("X-Frame-Options", "SAMEORIGIN".into()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stand_in_the_order_seen_on_a_real_machine() {
        let reply =
            Reply::new(200, "application/text", "12345").tagged(Etag(0xb283_0b5c_8134_3278));
        let names: Vec<_> = reply
            .header_lines("Fri, 22 Nov 2019 20:28:02 GMT".into(), "s")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "Metadata-Flavor",
                "Content-Type",
                "ETag",
                "Date",
                "Server",
                "Content-Length",
                "X-XSS-Protection",
                "X-Frame-Options"
            ]
        );
    }

    #[test]
    fn a_google_api_does_not_pose_as_the_metadata_server() {
        let lines = Reply::cloud(200, &serde_json::json!({})).header_lines("now".into(), "s");
        assert!(lines.iter().all(|(name, _)| *name != "Metadata-Flavor"));
    }
}
