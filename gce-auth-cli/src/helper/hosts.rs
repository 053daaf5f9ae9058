//! Which hosts get a token: https only, parsed, and matched by whole labels.

/// Google's registries: Container Registry and Artifact Registry.
pub(crate) const REGISTRIES: &[&str] = &["gcr.io", "*.gcr.io", "*.pkg.dev"];

/// Google's Git servers.
pub(crate) const GIT: &[&str] = &[
    "source.developers.google.com",
    "googlesource.com",
    "*.googlesource.com",
    "*.sourcemanager.dev",
    "*.blueoryx.dev",
    "*.developerconnect.dev",
];

/// What Bazel fetches from Google: registries, Cloud Storage, and remote execution.
pub(crate) const BUILD: &[&str] = &[
    "gcr.io",
    "*.gcr.io",
    "*.pkg.dev",
    "storage.googleapis.com",
    "remotebuildexecution.googleapis.com",
];

/// Services on Cloud Run. They belong to anyone, so they get ID tokens for themselves alone.
pub(crate) const SERVICES: &[&str] = &["*.run.app"];

/// A place that a tool asks credentials for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    host: String,
    /// `None` is 443.
    port: Option<u16>,
    path: String,
}

impl Place {
    /// Reads a URL with https, and without user and password.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let scheme = url.get(..8)?;
        if !scheme.eq_ignore_ascii_case("https://") {
            return None;
        }
        Self::after_scheme(url.get(8..)?)
    }

    /// Reads `HOST` or `HOST:PORT`, or a URL with https.
    pub(crate) fn of_host(text: &str) -> Option<Self> {
        if text.contains("://") {
            return Self::of_url(text);
        }
        Self::after_scheme(text)
    }

    fn after_scheme(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if !text.bytes().all(plain) {
            return None;
        }
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        let (host, port) = authority_parts(authority)?;
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        Some(Self {
            host,
            port,
            path: path.to_owned(),
        })
    }

    /// Returns the host in lower case.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns `HOST`, or `HOST:PORT` for another port than 443.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Returns the path, which is empty or begins with a slash.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Reads `HOST` or `HOST:PORT`.
fn authority_parts(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port > 0)?;
            (host, (port != 443).then_some(port))
        }
    };
    is_name(host).then(|| (host.to_ascii_lowercase(), port))
}

/// Returns whether this is the name of a host: labels of letters, digits and hyphens.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// A host that is named beside Google's: `HOST`, `HOST:PORT`, or `*.DOMAIN` for all names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    below: bool,
    host: String,
    port: Option<u16>,
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        match authority_parts(rest) {
            // No registry owns a whole top-level domain.
            Some((host, port)) if !below || host.contains('.') => Ok(Self { below, host, port }),
            _ => Err("write HOST, HOST:PORT, or *.DOMAIN".to_owned()),
        }
    }

    fn covers(&self, place: &Place) -> bool {
        self.port == place.port && names(&self.host, self.below, &place.host)
    }
}

/// Returns whether `host` is this name, or a name below it.
fn names(name: &str, below: bool, host: &str) -> bool {
    if !below {
        return host == name;
    }
    host.strip_suffix(name)
        .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

/// The hosts of a helper: Google's for its tool, and those that the user named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(pub(crate) Vec<Pattern>);

impl Hosts {
    /// Returns whether the place is Google's, or one that the user named.
    pub(crate) fn cover(&self, google: &[&str], place: &Place) -> bool {
        self.named(place) || is_among(google, place)
    }

    /// Returns whether the user named the place.
    pub(crate) fn named(&self, place: &Place) -> bool {
        self.0.iter().any(|pattern| pattern.covers(place))
    }

    /// Returns the hosts that were named without a pattern.
    pub(crate) fn single(&self) -> impl Iterator<Item = String> {
        let single = self.0.iter().filter(|pattern| !pattern.below);
        single.map(|pattern| match pattern.port {
            Some(port) => format!("{}:{port}", pattern.host),
            None => pattern.host.clone(),
        })
    }
}

/// Returns what may be shown of a URL: what stands before an `@` may be a password, wherever it is.
pub(crate) fn shown(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, rest)) => format!("[redacted]@{rest}"),
        None => url.to_owned(),
    }
}

/// Returns whether the place is one of these of Google, at the port of https.
pub(crate) fn is_among(google: &[&str], place: &Place) -> bool {
    place.port.is_none()
        && google
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                Some(name) => names(name, true, &place.host),
                None => names(pattern, false, &place.host),
            })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_registry(text: &str) -> bool {
        Place::of_host(text).is_some_and(|place| is_among(REGISTRIES, &place))
    }

    #[test]
    fn registries_are_matched_by_whole_labels() {
        for text in [
            "gcr.io",
            "eu.gcr.io",
            "US-docker.PKG.dev",
            "docker.us-east1.rep.pkg.dev",
            "https://us-docker.pkg.dev",
            "HTTPS://us-python.pkg.dev/p/r/simple/",
            "us-docker.pkg.dev:443",
            "https://us-docker.pkg.dev?x",
        ] {
            assert!(is_registry(text), "{text}");
        }
        for text in [
            "",
            ".",
            "pkg.dev",
            ".pkg.dev",
            "evilgcr.io",
            "evilpkg.dev",
            "us-docker.pkg.dev.evil.example",
            "evil.example/us-docker.pkg.dev",
            "us-docker.pkg.dev@evil.example",
            "https://us-docker.pkg.dev@evil.example/",
            "https://user:password@us-docker.pkg.dev/",
            "https://evil.example#.pkg.dev",
            "https://evil.example?.pkg.dev",
            "https://evil.example\\.pkg.dev",
            "http://us-docker.pkg.dev",
            "ftp://us-docker.pkg.dev",
            "//us-docker.pkg.dev",
            "https:/us-docker.pkg.dev",
            "https://https://us-docker.pkg.dev",
            "us-docker.pkg.dev:80",
            "us-docker.pkg.dev:",
            "us-docker.pkg.dev:0",
            "us-docker.pkg.dev:+443",
            "us-docker.pkg.dev:443:443",
            "us-docker.pkg.dev.",
            "us-docker..pkg.dev",
            "-a.pkg.dev",
            "a_b.pkg.dev",
            "us-docker.pkg.dev\n",
            "us-docker.pkg.dev\0",
            "us-docker.pkg.dev evil.example",
            "us-docker.pkg.d\u{435}v",
            "[::1]",
        ] {
            assert!(!is_registry(text), "{text:?}");
        }
    }

    #[test]
    fn hosts_are_named_whole_or_below_a_domain() {
        let covers = |pattern: &str, host: &str| {
            let hosts = Hosts(vec![Pattern::parse(pattern).unwrap()]);
            Place::of_host(host).is_some_and(|place| hosts.named(&place))
        };
        assert!(covers("a.example", "https://A.example/x"));
        assert!(covers("a.example:8443", "a.example:8443"));
        assert!(covers("*.a.example", "b.c.a.example"));
        for (pattern, host) in [
            ("a.example", "b.a.example"),
            ("a.example", "a.example:8443"),
            ("a.example:8443", "a.example"),
            ("*.a.example", "a.example"),
            ("*.a.example", "ba.example"),
            ("a.example", "http://a.example"),
        ] {
            assert!(!covers(pattern, host), "{pattern} {host}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "a/b",
            "https://a",
            "a@b",
            "a:b",
            "a b",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_before_an_at_sign_is_shown() {
        for (url, expected) in [
            ("https://a.example/", "https://a.example/"),
            ("https://user:ya29.x@a.example/b", "[redacted]@a.example/b"),
            ("ya29.x@a.example", "[redacted]@a.example"),
            // A password that was not encoded.
            ("https://user:ya29/x@y@a.example", "[redacted]@a.example"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    proptest! {
        /// Another parser of URLs reads the same host of everything that gets a token.
        #[test]
        fn a_url_that_is_googles_is_googles_for_others(
            url in r"(https?://)?[a-z@:.\-/\\#?%*0-9A-Z ]{0,12}(us-docker)?(\.pkg\.dev|gcr\.io)[a-z@:.\-/\\#?%0-9]{0,12}"
        ) {
            let Some(place) = Place::of_url(&url) else { return Ok(()) };
            let other: http::Uri = url.parse().unwrap();
            prop_assert_eq!(other.scheme_str(), Some("https"));
            let host = other.host().unwrap_or_default().to_ascii_lowercase();
            prop_assert_eq!(&host, place.host());
            prop_assert_eq!(other.port_u16().filter(|port| *port != 443), place.port);
            prop_assert!(!url.contains('@') || url.find('@') > url[8..].find('/').map(|at| at + 8)
                || url.find('@') > url[8..].find(['?', '#']).map(|at| at + 8));
            if is_among(REGISTRIES, &place) {
                let labels: Vec<_> = host.rsplit('.').collect();
                prop_assert!(labels.starts_with(&["io", "gcr"])
                    || (labels.starts_with(&["dev", "pkg"]) && labels.len() > 2));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            if let Some(place) = Place::of_host(&text) {
                prop_assert!(is_name(place.host()));
                prop_assert!(place.path().is_empty() || place.path().starts_with('/'));
            }
            let _ = Pattern::parse(&text);
        }
    }
}
