//! Requests as they came in.

use std::fmt;

use crate::protocol::fields::Fields;

/// A request as it came in, its body included.
#[derive(Clone, Default)]
pub struct Request {
    /// Whether it came over TLS.
    pub secure: bool,
    /// The method.
    pub method: Method,
    /// The host in the request line, if it stands there as for a proxy.
    pub authority: Option<String>,
    /// The path as sent: the metadata server decodes nothing in it.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// Names in lower case, in the order sent.
    pub headers: Fields,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Without what may be secret: query, headers and body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Returns the scheme and host that the client believes it speaks to.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = self.header("host").unwrap_or("metadata.google.internal");
        format!("{scheme}://{host}")
    }

    /// Returns the first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
/// A method of HTTP.
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// Any other.
    Other(String),
}

impl Method {
    /// Reads a name, which is case-sensitive.
    pub fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
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
