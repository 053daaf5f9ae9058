//! The first check of a request: a program that means the metadata server. Not a web page, nor a
//! server that was tricked into asking, nor a client behind a proxy.

use crate::protocol::{hosts::AllowedHosts, pages, reply::Reply, request::Request};

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has more than one `Host` header (RFC 9112, section 3.2).
    TwoHosts,
    /// It went through a proxy: there is an `X-Forwarded-For` header.
    Forwarded,
    /// Its `Host` header, or the host in its request line, is no name of this server.
    Host(String),
    /// A browser sent it for a web page: there is an `Origin` or `Sec-Fetch-Site` header.
    Browser,
    /// It lacks `Metadata-Flavor: Google`.
    NoFlavor,
}

impl Refusal {
    /// Returns the answer.
    pub fn reply(&self) -> Reply {
        match self {
            Self::TwoHosts => pages::bad_request("there must be one Host header"),
            Self::Forwarded => pages::forwarded(),
            Self::Host(host) => pages::host_refused(host),
            Self::Browser => pages::browser_refused(),
            Self::NoFlavor => pages::flavor_missing(),
        }
    }
}

/// Lets a request for the metadata server in.
///
/// # Errors
///
/// The reason why not. Names and proxies come first: a client that fails there learns nothing else.
pub fn check(request: &Request, hosts: &AllowedHosts) -> Result<(), Refusal> {
    check_origin(request, hosts)?;
    check_flavor(request)
}

/// Lets a request in that names this server and does not come from a web page or a proxy.
///
/// # Errors
///
/// The reason why not.
pub fn check_origin(request: &Request, hosts: &AllowedHosts) -> Result<(), Refusal> {
    let told = Told::by(request);
    told.check_host(request, hosts)?;
    if told.by_browser {
        return Err(Refusal::Browser);
    }
    Ok(())
}

/// Lets a request in that names this server and does not come through a proxy.
///
/// # Errors
///
/// The reason why not.
pub fn check_host(request: &Request, hosts: &AllowedHosts) -> Result<(), Refusal> {
    Told::by(request).check_host(request, hosts)
}

/// What the headers of a request tell of its sender, read in one pass.
#[derive(Default)]
struct Told<'a> {
    host: Option<&'a str>,
    two_hosts: bool,
    is_forwarded: bool,
    by_browser: bool,
}

impl<'a> Told<'a> {
    fn by(request: &'a Request) -> Self {
        let mut told = Self::default();
        for (name, value) in request.headers.iter() {
            match name {
                "host" => told.two_hosts |= told.host.replace(value).is_some(),
                "x-forwarded-for" => told.is_forwarded = true,
                "origin" | "sec-fetch-site" => told.by_browser = true,
                _ => {}
            }
        }
        told
    }

    fn check_host(&self, request: &Request, hosts: &AllowedHosts) -> Result<(), Refusal> {
        if self.two_hosts {
            return Err(Refusal::TwoHosts);
        }
        if self.is_forwarded {
            return Err(Refusal::Forwarded);
        }
        // A client of HTTP/1.0 may send none; a browser always does.
        for host in [self.host, request.authority.as_deref()]
            .into_iter()
            .flatten()
        {
            if !hosts.admit(host) {
                return Err(Refusal::Host(host.to_owned()));
            }
        }
        Ok(())
    }
}

/// Lets a request in that has the header which a browser or a tricked server would not send, or is
/// for a path that needs none: `/`, the versions before v1, and what lies outside
/// `/computeMetadata`, where a real machine answers 404 to all.
///
/// # Errors
///
/// [`Refusal::NoFlavor`].
pub fn check_flavor(request: &Request) -> Result<(), Refusal> {
    if !has_flavor(request) && is_tree(&request.path) && !is_legacy(&request.path) {
        return Err(Refusal::NoFlavor);
    }
    Ok(())
}

fn is_tree(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.next() == Some("computeMetadata")
}

/// Returns whether a path is one of the versions before v1, which asked for no header. What they
/// answer is [`pages::legacy`].
pub(crate) fn is_legacy(path: &str) -> bool {
    ["/computeMetadata/v1beta1", "/0.1"].iter().any(|version| {
        path.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Returns whether a request has `Metadata-Flavor: Google`, or the header that came before it.
pub fn has_flavor(request: &Request) -> bool {
    request.header("metadata-flavor") == Some("Google")
        || request
            .header("x-google-metadata-request")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "/computeMetadata/v1/";
    const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
    const HOST: (&str, &str) = ("host", "metadata.google.internal");

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            path: path.into(),
            headers: headers.iter().copied().collect(),
            ..Request::default()
        }
    }

    fn check(path: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        super::check(&request(path, headers), &AllowedHosts::default())
    }

    #[test]
    fn a_flavor_is_google_or_the_header_before_it_is_true() {
        for flavor in [FLAVOR, ("x-google-metadata-request", "True")] {
            assert!(has_flavor(&request(TREE, &[flavor])), "{flavor:?}");
        }
        for other in [
            ("metadata-flavor", "google"),
            ("metadata-flavor", ""),
            ("x-google-metadata-request", "False"),
            ("x-google-metadata-request", ""),
        ] {
            assert!(!has_flavor(&request(TREE, &[other])), "{other:?}");
        }
    }

    #[test]
    fn a_host_is_checked_without_a_flavor_and_for_browsers_too() {
        let check =
            |headers: &[(&str, &str)]| check_host(&request("/", headers), &AllowedHosts::default());
        assert_eq!(check(&[HOST, ("origin", "http://evil.example")]), Ok(()));
        let evil = ("host", "evil.example");
        let refused = Refusal::Host("evil.example".to_owned());
        assert_eq!(check(&[evil]), Err(refused));
        assert_eq!(check(&[HOST, evil]), Err(Refusal::TwoHosts));
        let forwarded = ("x-forwarded-for", "10.0.0.1");
        assert_eq!(check(&[HOST, forwarded]), Err(Refusal::Forwarded));
    }

    #[test]
    fn the_tree_needs_the_flavor_exactly() {
        assert_eq!(check(TREE, &[HOST]), Err(Refusal::NoFlavor));
        assert_eq!(
            check("//computeMetadata//v1/", &[HOST]),
            Err(Refusal::NoFlavor)
        );
        let wrong = [HOST, ("metadata-flavor", "google")];
        assert_eq!(check(TREE, &wrong), Err(Refusal::NoFlavor));
        assert_eq!(check(TREE, &[HOST, FLAVOR]), Ok(()));
        assert_eq!(
            check(TREE, &[HOST, ("x-google-metadata-request", "True")]),
            Ok(())
        );
    }

    #[test]
    fn the_root_old_versions_and_what_is_elsewhere_need_none() {
        for path in [
            "/",
            "/latest/api/token",
            "/0.1/meta-data/attributes/",
            "/0.1",
            "/computeMetadata/v1beta1/x",
        ] {
            assert_eq!(check(path, &[HOST]), Ok(()), "{path}");
            let forwarded = [HOST, ("x-forwarded-for", "10.0.0.1")];
            assert_eq!(check(path, &forwarded), Err(Refusal::Forwarded), "{path}");
        }
        assert_eq!(
            check("/computeMetadata/v1beta12/x", &[HOST]),
            Err(Refusal::NoFlavor)
        );
    }

    #[test]
    fn a_page_of_another_origin_is_refused_by_the_name_it_came_with() {
        let rebound = [("host", "rebind.test:8173"), FLAVOR];
        let why = Err(Refusal::Host("rebind.test:8173".into()));
        assert_eq!(check(TREE, &rebound), why);
        assert_eq!(check("/", &rebound), why);
        let mut in_line = request(TREE, &[HOST, FLAVOR]);
        in_line.authority = Some("rebind.test:8173".into());
        assert_eq!(super::check(&in_line, &AllowedHosts::default()), why);
    }

    #[test]
    fn a_browser_is_refused_by_what_it_sends() {
        for header in [
            ("origin", "http://localhost"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(check(TREE, &[HOST, FLAVOR, header]), Err(Refusal::Browser));
            assert_eq!(check("/", &[HOST, header]), Err(Refusal::Browser));
        }
    }

    #[test]
    fn two_hosts_are_a_bad_request() {
        let two = [HOST, HOST, FLAVOR];
        assert_eq!(check(TREE, &two), Err(Refusal::TwoHosts));
        assert_eq!(Refusal::TwoHosts.reply().status, 400);
    }
}
