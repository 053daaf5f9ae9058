//! The protocol's surface, pure: which requests are let in, what they mean, how a value looks on the wire.

pub(crate) mod cloud;
pub(crate) mod etag;
pub(crate) mod fields;
pub(crate) mod guard;
pub(crate) mod pages;
pub(crate) mod query;
pub(crate) mod render;
pub(crate) mod route;
pub(crate) mod tree;

use std::borrow::Cow;

use bytes::Bytes;

use etag::Etag;
use fields::Fields;

/// A request as it came in, its body included.
#[derive(Clone, Default)]
pub(crate) struct Request {
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// Whether it came from this machine.
    pub(crate) local: bool,
    pub(crate) method: Method,
    /// The path as sent: the metadata server decodes nothing in it.
    pub(crate) path: String,
    /// The query as sent, without the question mark.
    pub(crate) query: String,
    /// Names in lower case, in the order sent.
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The scheme and host that the client believes it speaks to.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = self.header("host").unwrap_or("metadata.google.internal");
        format!("{scheme}://{host}")
    }

    /// The first header of this (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Other(String),
}

impl Method {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            other => Self::Other(other.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Other(name) => name,
        }
    }
}

/// An answer, before it has a date and a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) dialect: Dialect,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) body: Bytes,
    /// Whether more comes after the body, so that its length is not known.
    pub(crate) open_ended: bool,
    etag: Option<Etag>,
    /// Headers that not every answer has.
    more: Vec<(&'static str, String)>,
}

/// Who answers, which decides the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The metadata server.
    Metadata,
    /// The metadata server without the header that identifies it, as an impostor or a broken proxy would answer.
    NoFlavor,
    /// A Google API on the public internet. `max_age` is for how long the answer may be cached, in seconds.
    Cloud { max_age: Option<u32> },
}

impl Reply {
    pub(crate) fn new(
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
            etag: None,
            more: Vec::new(),
        }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Says which state of a place this is.
    pub(crate) fn tagged(mut self, etag: Etag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// A JSON answer of a Google API.
    pub(crate) fn cloud(status: u16, body: &serde_json::Value) -> Self {
        Self {
            dialect: Dialect::Cloud { max_age: None },
            ..Self::new(status, "application/json; charset=UTF-8", body.to_string())
        }
    }

    /// An answer about the emulator itself.
    pub(crate) fn control(status: u16, body: &serde_json::Value) -> Self {
        Self {
            dialect: Dialect::NoFlavor,
            ..Self::new(status, "application/json", body.to_string())
        }
    }

    /// A text about the emulator itself.
    pub(crate) fn own(content_type: &'static str, text: &'static str) -> Self {
        Self {
            dialect: Dialect::NoFlavor,
            ..Self::new(200, content_type, text)
        }
    }

    /// The same answer, with more to come after its body.
    pub(crate) fn open_ended(mut self) -> Self {
        self.open_ended = true;
        self
    }

    /// The same answer, with another flavor or none.
    pub(crate) fn flavored(mut self, flavor: Option<String>) -> Self {
        if self.dialect == Dialect::Metadata {
            self.dialect = Dialect::NoFlavor;
            if let Some(flavor) = flavor {
                self.more.insert(0, ("Metadata-Flavor", flavor));
            }
        }
        self
    }

    /// The header lines in the server's own order. A redirect carries no date, as seen on real machines.
    pub(crate) fn header_lines(&self, date: Bytes) -> Vec<(&'static str, Bytes)> {
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
                lines.push(("Server", "Metadata Server for VM".into()));
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
            .header_lines("Fri, 22 Nov 2019 20:28:02 GMT".into())
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
        let lines = Reply::cloud(200, &serde_json::json!({})).header_lines("now".into());
        assert!(lines.iter().all(|(name, _)| *name != "Metadata-Flavor"));
    }
}
