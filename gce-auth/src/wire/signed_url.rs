//! Signed URLs of Cloud Storage, version 4 (Google, "V4 signing process with
//! your own program" and "Canonical requests"). Pure: time and hash are
//! arguments.

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    values::error::{Error, ErrorKind},
    wire::date,
};

const ALGORITHM: &str = "GOOG4-RSA-SHA256";
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Header whose value, where it is signed, stands for the body.
const CONTENT_HASH: &str = "x-goog-content-sha256";

/// Bytes that stay as they are in a query (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The same in a path, whose slashes stay as well.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What a URL is to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) method: Method,
    pub(crate) bucket: String,
    pub(crate) object: Option<String>,
    pub(crate) lifetime: Duration,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    /// `https://host` or `http://host:port`, default: the API's.
    pub(crate) origin: Option<String>,
    pub(crate) style: Style,
}

/// How a URL names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `https://host/bucket/object`.
    Path,
    /// `https://bucket.host/object`.
    VirtualHosted,
    /// `https://host/object`, at a host that is the bucket's own.
    Bound,
}

/// A URL that lacks nothing but its signature.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    url: String,
    timestamp: String,
    scope: String,
    /// What is hashed, and the hash signed.
    pub(crate) canonical: String,
}

impl Wish {
    /// Checks the wish, so that it fails before anybody is asked.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::new(ErrorKind::Config, why));
        let name = &self.bucket;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return refuse(format!("{name:?} is not the name of a bucket"));
        }
        if self.object.as_deref() == Some("") {
            return refuse("the name of the object is empty".to_owned());
        }
        if self.lifetime < Duration::from_secs(1) || self.lifetime > LONGEST {
            return refuse("a signed URL holds from one second to seven days".to_owned());
        }
        if let Some(origin) = &self.origin {
            split(origin)?;
        }
        for (name, value) in &self.headers {
            let name = name.trim();
            // A token (RFC 9110, 5.1); with slashes, as Google's own vectors have one.
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-./^_`|~".contains(&byte);
            let is_name = !name.is_empty() && name.bytes().all(plain);
            if !is_name || name.eq_ignore_ascii_case("host") {
                return refuse(format!("{name:?} is not a header that can be signed"));
            }
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return refuse(format!("the value of the header {name} makes no sense"));
            }
        }
        let reserved = [
            "algorithm",
            "credential",
            "date",
            "expires",
            "signedheaders",
            "signature",
        ];
        for (name, _) in &self.query {
            let lower = name.to_ascii_lowercase();
            let known = lower.strip_prefix("x-goog-");
            if name.is_empty() || known.is_some_and(|known| reserved.contains(&known)) {
                return refuse(format!("{name:?} is not a parameter that can be added"));
            }
        }
        Ok(())
    }

    /// The URL of this wish, from `universe` (the domain), for the account
    /// `email`, made at `now` since the Unix epoch.
    pub(crate) fn plan(
        &self,
        universe: &str,
        email: &str,
        now: Duration,
    ) -> Result<Unsigned, Error> {
        self.check()?;
        let api = format!("https://storage.{universe}");
        let (scheme, host) = split(self.origin.as_deref().unwrap_or(&api))?;
        let object = self.object.as_deref().unwrap_or_default();
        let object = utf8_percent_encode(object, PATH).to_string();
        let bucket = &self.bucket;
        let (host, path) = match (self.style, self.object.is_some()) {
            (Style::Path, true) => (host.to_owned(), format!("/{bucket}/{object}")),
            (Style::Path, false) => (host.to_owned(), format!("/{bucket}")),
            (Style::VirtualHosted, _) => (format!("{bucket}.{host}"), format!("/{object}")),
            (Style::Bound, _) => (host.to_owned(), format!("/{object}")),
        };

        let mut headers = BTreeMap::from([("host".to_owned(), without_port(&host))]);
        for (name, value) in &self.headers {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            headers
                .entry(name.trim().to_ascii_lowercase())
                .and_modify(|held| *held = format!("{held},{value}"))
                .or_insert(value);
        }
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        let signed_headers = names.join(";");

        let timestamp = date::basic_utc(now);
        let scope = format!("{}/auto/storage/goog4_request", &timestamp[..8]);
        let mut query: Vec<(String, String)> = [
            ("X-Goog-Algorithm", ALGORITHM),
            ("X-Goog-Credential", &format!("{email}/{scope}")),
            ("X-Goog-Date", &timestamp),
            ("X-Goog-Expires", &self.lifetime.as_secs().to_string()),
            ("X-Goog-SignedHeaders", &signed_headers),
        ]
        .into_iter()
        .chain(
            self.query
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
        query.sort();
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let query = query.join("&");

        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let payload = headers
            .get(CONTENT_HASH)
            .map_or("UNSIGNED-PAYLOAD", |hash| hash);
        let method = &self.method;
        Ok(Unsigned {
            canonical: format!("{method}\n{path}\n{query}\n{lines}\n{signed_headers}\n{payload}"),
            url: format!("{scheme}://{host}{path}?{query}"),
            timestamp,
            scope,
        })
    }
}

impl Unsigned {
    /// What is signed; `hash` is the SHA-256 of the canonical request.
    pub(crate) fn string_to_sign(&self, hash: &[u8]) -> String {
        let (timestamp, scope) = (&self.timestamp, &self.scope);
        format!("{ALGORITHM}\n{timestamp}\n{scope}\n{}", hex(hash))
    }

    /// The whole URL.
    pub(crate) fn signed(&self, signature: &[u8]) -> String {
        format!("{}&X-Goog-Signature={}", self.url, hex(signature))
    }
}

/// Scheme, and host with its port.
fn split(origin: &str) -> Result<(&str, &str), Error> {
    let refuse = || {
        Error::new(
            ErrorKind::Config,
            format!("{origin:?} is not where Cloud Storage can be"),
        )
        .with_hint("write https://host, or http://host:port for an emulator")
    };
    let (scheme, host) = origin.split_once("://").ok_or_else(refuse)?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let is_host = host.parse::<http::uri::Authority>().is_ok() && !host.contains('@');
    if matches!(scheme, "https" | "http") && is_host {
        Ok((scheme, host))
    } else {
        Err(refuse())
    }
}

/// The host that is signed: Google's clients leave the port out.
fn without_port(host: &str) -> String {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    };
    bare.to_ascii_lowercase()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

    use super::*;

    const NOON: Duration = Duration::from_secs(1_549_022_400);

    fn wish() -> Wish {
        Wish {
            method: Method::GET,
            bucket: "bucket".to_owned(),
            object: Some("a dir/ö+&.txt".to_owned()),
            lifetime: Duration::from_secs(600),
            headers: Vec::new(),
            query: Vec::new(),
            origin: None,
            style: Style::Path,
        }
    }

    fn plan(wish: &Wish) -> Unsigned {
        wish.plan("googleapis.com", "e@x", NOON).unwrap()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        owned.collect()
    }

    #[test]
    fn a_canonical_request_has_its_seven_parts() {
        let mut wish = wish();
        wish.headers = pairs(&[("X-Goog-Meta", " a \t b "), ("Content-Type", "text/plain")]);
        wish.query = pairs(&[("prefix", "/x y"), ("é", "=~")]);
        let unsigned = plan(&wish);
        let query = "X-Goog-Algorithm=GOOG4-RSA-SHA256\
             &X-Goog-Credential=e%40x%2F20190201%2Fauto%2Fstorage%2Fgoog4_request\
             &X-Goog-Date=20190201T120000Z&X-Goog-Expires=600\
             &X-Goog-SignedHeaders=content-type%3Bhost%3Bx-goog-meta\
             &prefix=%2Fx%20y";
        // A name that is encoded sorts by its encoded form.
        let query = format!("%C3%A9=%3D~&{query}");
        assert_eq!(
            unsigned.canonical,
            format!(
                "GET\n/bucket/a%20dir/%C3%B6%2B%26.txt\n{query}\ncontent-type:text/plain\n\
                 host:storage.googleapis.com\nx-goog-meta:a b\n\n\
                 content-type;host;x-goog-meta\nUNSIGNED-PAYLOAD"
            )
        );
        assert_eq!(
            unsigned.string_to_sign(&[0, 255]),
            "GOOG4-RSA-SHA256\n20190201T120000Z\n20190201/auto/storage/goog4_request\n00ff"
        );
        assert_eq!(
            unsigned.signed(&[1, 0xab]),
            format!(
                "https://storage.googleapis.com/bucket/a%20dir/%C3%B6%2B%26.txt?{query}\
                 &X-Goog-Signature=01ab"
            )
        );
    }

    #[test]
    fn a_bucket_is_named_by_path_or_by_host() {
        for (style, origin, object, url) in [
            (
                Style::Path,
                None,
                None,
                "https://storage.googleapis.com/bucket?",
            ),
            (
                Style::VirtualHosted,
                None,
                Some("o"),
                "https://bucket.storage.googleapis.com/o?",
            ),
            (
                Style::VirtualHosted,
                None,
                None,
                "https://bucket.storage.googleapis.com/?",
            ),
            (
                Style::Bound,
                Some("http://Mine.example/"),
                Some("o"),
                "http://Mine.example/o?",
            ),
            (
                Style::Path,
                Some("http://[::1]:9023"),
                Some("o"),
                "http://[::1]:9023/bucket/o?",
            ),
        ] {
            let wish = Wish {
                object: object.map(str::to_owned),
                origin: origin.map(str::to_owned),
                style,
                ..wish()
            };
            assert!(plan(&wish).signed(&[]).starts_with(url), "{url}");
        }
    }

    #[test]
    fn the_port_is_in_the_url_and_not_in_the_host_that_is_signed() {
        for (origin, host) in [
            ("http://LOCALHOST:8080", "localhost"),
            ("https://storage.example:443/", "storage.example"),
            ("http://[::1]:9023", "[::1]"),
            ("http://[::1]", "[::1]"),
        ] {
            let mut wish = wish();
            wish.origin = Some(origin.to_owned());
            let unsigned = plan(&wish);
            assert!(unsigned.canonical.contains(&format!("\nhost:{host}\n")));
            assert!(
                unsigned
                    .signed(&[])
                    .starts_with(origin.trim_end_matches('/'))
            );
        }
    }

    #[test]
    fn the_hash_of_the_body_is_signed_where_it_is_given() {
        let mut wish = wish();
        wish.headers = pairs(&[("X-Goog-Content-SHA256", "abc"), ("foo", "1"), ("Foo", "2")]);
        let canonical = plan(&wish).canonical;
        assert!(canonical.ends_with("\nfoo;host;x-goog-content-sha256\nabc"));
        assert!(canonical.contains("\nfoo:1,2\n"));
    }

    #[test]
    fn wishes_that_make_no_sense_are_refused() {
        let changes: [fn(&mut Wish); 12] = [
            |wish| wish.bucket = String::new(),
            |wish| wish.bucket = "a/b".to_owned(),
            |wish| wish.object = Some(String::new()),
            |wish| wish.lifetime = Duration::ZERO,
            |wish| wish.lifetime = LONGEST + Duration::from_secs(1),
            |wish| wish.headers = pairs(&[("Host", "evil")]),
            |wish| wish.headers = pairs(&[("a b", "c")]),
            |wish| wish.headers = pairs(&[("a", "b\nhost:evil")]),
            |wish| wish.query = pairs(&[("x-goog-expires", "1")]),
            |wish| wish.query = pairs(&[("", "1")]),
            |wish| wish.origin = Some("storage".to_owned()),
            |wish| wish.origin = Some("https://host/path".to_owned()),
        ];
        for lifetime in [Duration::from_secs(1), LONGEST] {
            let mut wish = wish();
            wish.lifetime = lifetime;
            assert!(wish.check().is_ok(), "{lifetime:?}");
        }
        for change in changes {
            let mut wish = wish();
            change(&mut wish);
            let error = wish.plan("googleapis.com", "e@x", NOON).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{wish:?}");
        }
    }
}
