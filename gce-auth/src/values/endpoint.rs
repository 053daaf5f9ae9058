//! Where the metadata server is.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use http::{Uri, uri::Authority};

use crate::values::error::{Error, ErrorKind};

/// The address of every metadata server on Google Cloud, whatever DNS says
/// (Google, "View and query VM metadata").
pub(crate) const METADATA_ADDRESS: &str = "169.254.169.254";

/// The authority of a metadata server: host, and port where it is not 80.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    authority: Authority,
}

impl Endpoint {
    /// The link-local address that Google serves metadata on.
    pub(crate) fn well_known() -> Self {
        Self {
            authority: Authority::from_static(METADATA_ADDRESS),
        }
    }

    /// Reads `host`, `host:port`, `[v6]:port` or the same after `http://`.
    ///
    /// Errors are of kind `Config` and quote `text`, but no name or password; callers add who set
    /// it.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            let text = without_user(text);
            Error::new(
                ErrorKind::Config,
                format!("{text:?} is not the address of a metadata server: {why}"),
            )
            .with_hint("write host, host:port or [v6-address]:port")
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(refuse("it is empty"));
        }
        let rest = match trimmed.split_once("://") {
            None => trimmed,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(refuse("only http is spoken to it")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(refuse("it has a path"));
        }
        if rest.contains('@') {
            return Err(refuse("it has a user name"));
        }
        if let Ok(IpAddr::V6(address)) = rest.parse::<IpAddr>() {
            return Self::parse(&format!("[{address}]"));
        }
        let authority = Authority::from_str(rest).map_err(|_| refuse("it has bad characters"))?;
        let host = authority.host();
        if host.is_empty() {
            return Err(refuse("it has no host"));
        }
        if let Some(bracketed) = host.strip_prefix('[') {
            let literal = bracketed.strip_suffix(']').unwrap_or(bracketed);
            if !matches!(literal.parse::<IpAddr>(), Ok(IpAddr::V6(_))) {
                return Err(refuse("what stands in the brackets is not an IPv6 address"));
            }
        }
        let after_host = &authority.as_str()[host.len()..];
        if !after_host.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(refuse("its port is not a number from 1 to 65535"));
        }
        Ok(Self { authority })
    }

    /// The URI of an absolute path, with its query.
    pub(crate) fn uri(&self, path_and_query: &str) -> Result<Uri, Error> {
        let uri = format!("http://{self}{path_and_query}");
        uri.try_into().map_err(|_| {
            // The query may be long, and holds the audience.
            let path = path_and_query.split('?').next().unwrap_or_default();
            let path: String = path.chars().take(200).collect();
            Error::new(
                ErrorKind::Config,
                format!("{path:?} with its query cannot be asked for: bad characters, or too long"),
            )
        })
    }
}

/// An address as it may be quoted: what stands before the host may hold a password.
pub(crate) fn without_user(text: &str) -> Cow<'_, str> {
    match text.rsplit_once('@') {
        None => text.into(),
        Some((_, host)) => format!("[redacted]@{host}").into(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.authority.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_people_write() {
        for (text, authority) in [
            ("metadata", "metadata"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            (
                "HTTP://metadata.google.internal",
                "metadata.google.internal",
            ),
            ("[::1]:80", "[::1]:80"),
            ("::1", "[::1]"),
            ("fd20:ce::254", "[fd20:ce::254]"),
            (" localhost:1 ", "localhost:1"),
            ("metadata.google.internal.", "metadata.google.internal."),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap().to_string(),
                authority,
                "{text}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, why) in [
            ("", "empty"),
            ("   ", "empty"),
            ("https://metadata", "only http"),
            ("host/path", "path"),
            ("host?x", "path"),
            ("user@host", "user name"),
            ("not a host", "bad characters"),
            ("host:", "port"),
            ("host:0", "port"),
            ("host:99999", "port"),
            ("host:http", "port"),
            (":80", "no host"),
            ("[nonsense]:80", "brackets"),
            ("[127.0.0.1]:80", "brackets"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_quoted() {
        for text in [
            "user:secret@host",
            "http://user:secret@host/",
            "https://user:secret@host",
            "user:s/ecret@host",
            "user:secret@more:secret@host",
            "http://user:secret@not a host",
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains("[redacted]@"), "{text}: {error}");
            assert!(
                !error.contains("ecret") && !error.contains("user:"),
                "{error}"
            );
        }
    }

    #[test]
    fn uris_are_built_whole() {
        let endpoint = Endpoint::parse("[::1]:8080").unwrap();
        assert_eq!(endpoint.uri("/a?b=c").unwrap(), "http://[::1]:8080/a?b=c");
        let long = format!("/a?b={}", "c".repeat(70_000));
        for bad in ["/a b?c=d", &long] {
            let error = endpoint.uri(bad).unwrap_err().to_string();
            assert!(error.len() < 300 && !error.contains("c="), "{error}");
        }
        assert_eq!(Endpoint::well_known().to_string(), METADATA_ADDRESS);
    }
}
