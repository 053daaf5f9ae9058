//! The first check of a request: a program that means a metadata server, from here. Stricter than a
//! metadata server's own guard, and in one line of text.

use std::net::IpAddr;

use gce_auth_server::protocol::{
    guard,
    hosts::AllowedHosts,
    reply::Reply,
    request::{Method, Request},
};

use crate::{policy::request::is_home, source::failure::line};

/// A request that is not let in: the status of its answer, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    status: u16,
    pub(crate) why: &'static str,
}

const fn forbidden(why: &'static str) -> Stopped {
    Stopped { status: 403, why }
}

impl Stopped {
    pub(crate) fn reply(self) -> Reply {
        let reply = line(self.status, self.why);
        if self.status == 405 {
            return reply.with("Allow", "GET, HEAD");
        }
        reply
    }
}

/// Lets a request in that names the agent by one of a metadata server's names, by the address it
/// came to, or by another `own` address, and that neither a browser nor a proxy sent.
pub(crate) fn check(
    request: &Request,
    local: Option<IpAddr>,
    own: impl FnOnce() -> Vec<IpAddr>,
) -> Result<(), Stopped> {
    for proxy in ["x-forwarded-for", "forwarded", "via"] {
        if request.header(proxy).is_some() {
            return Err(forbidden(
                "a request that came through a proxy is refused (X-Forwarded-For, Forwarded or Via)",
            ));
        }
    }
    check_host(request, &with(local.into_iter())).or_else(|stopped| match stopped {
        // Not looked for before: hardly any request does so.
        HOST => check_host(request, &with(local.into_iter().chain(own()))),
        other => Err(other),
    })?;
    for browser in ["origin", "sec-fetch-site"] {
        if request.header(browser).is_some() {
            return Err(forbidden(
                "a request of a web page is refused (Origin or Sec-Fetch-Site)",
            ));
        }
    }
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Stopped {
            status: 405,
            why: "only GET and HEAD are served",
        });
    }
    if !is_home(&request.path) && !has_flavor(request) {
        return Err(forbidden(
            "Missing required header \"Metadata-Flavor\": \"Google\"",
        ));
    }
    Ok(())
}

fn with(addresses: impl Iterator<Item = IpAddr>) -> AllowedHosts {
    let hosts = AllowedHosts::default();
    addresses.fold(hosts, |hosts, own| hosts.with(&own.to_string()))
}

fn check_host(request: &Request, hosts: &AllowedHosts) -> Result<(), Stopped> {
    let header = request.header("host");
    let elsewhere = |host: &str| {
        let name = host.split(':').next().unwrap_or_default();
        name.trim_end_matches('.')
            .eq_ignore_ascii_case("metadata.goog")
    };
    match guard::check_host(request, hosts) {
        Ok(()) if header.is_none() => Err(Stopped {
            status: 400,
            why: "a request needs a Host header",
        }),
        Ok(())
            if [header, request.authority.as_deref()]
                .into_iter()
                .flatten()
                .any(elsewhere) =>
        {
            Err(HOST)
        }
        Ok(()) => Ok(()),
        Err(guard::Refusal::TwoHosts) => Err(Stopped {
            status: 400,
            why: "there must be one Host header",
        }),
        Err(_) => Err(HOST),
    }
}

const HOST: Stopped = forbidden(
    "the Host header names another server: use metadata.google.internal, or the agent's address",
);

/// Whether each `Metadata-Flavor` says Google, and there is one. What came before it does not do.
fn has_flavor(request: &Request) -> bool {
    let flavors = request.headers.iter();
    let mut flavors = flavors
        .filter(|(name, _)| *name == "metadata-flavor")
        .peekable();
    flavors.peek().is_some() && flavors.all(|(_, flavor)| flavor == "Google")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::CALLER;

    const HOST: (&str, &str) = ("host", "metadata.google.internal");
    const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");

    fn status(path: &str, headers: &[(&str, &str)]) -> u16 {
        let request = Request {
            path: path.into(),
            headers: headers.iter().copied().collect(),
            ..Request::default()
        };
        let address = |text: &str| text.parse().unwrap();
        check(&request, Some(address("10.8.0.1")), || {
            vec![address("fd07::1")]
        })
        .err()
        .map_or(200, |stopped| stopped.status)
    }

    #[test]
    fn a_client_of_a_metadata_server_is_let_in() {
        let zone = "/computeMetadata/v1/instance/zone";
        assert_eq!(status(zone, &[HOST, FLAVOR]), 200);
        assert_eq!(status("/", &[HOST]), 200);
        assert_eq!(status("/computeMetadata/", &[HOST]), 200);
        for path in [CALLER, "/gce-auth/x", "//"] {
            assert_eq!(status(path, &[HOST]), 403, "{path}");
            assert_eq!(status(path, &[HOST, FLAVOR]), 200, "{path}");
        }
        for own in ["10.8.0.1:80", "10.8.0.1", "[fd07::1]:80", "[fd07::1]"] {
            assert_eq!(status(zone, &[("host", own), FLAVOR]), 200, "{own}");
        }
        for (headers, expected) in [
            (&[FLAVOR][..], 400),
            (&[HOST, HOST, FLAVOR], 400),
            (&[HOST], 403),
            (&[HOST, FLAVOR, ("metadata-flavor", "x")], 403),
            (&[HOST, ("x-google-metadata-request", "True")], 403),
            (&[("host", "10.8.0.2"), FLAVOR], 403),
            (&[("host", "metadata.goog:80"), FLAVOR], 403),
            (&[HOST, FLAVOR, ("via", "")], 403),
            (&[HOST, FLAVOR, ("forwarded", "for=x")], 403),
            (&[HOST, FLAVOR, ("origin", "null")], 403),
        ] {
            assert_eq!(status(zone, headers), expected, "{headers:?}");
        }
        assert_eq!(status("/", &[HOST, ("x-forwarded-for", "")]), 403);
    }

    #[test]
    fn nothing_is_written() {
        for method in [Method::Post, Method::Put, Method::Other("BREW".into())] {
            let request = Request {
                method,
                path: "/computeMetadata/v1/instance/zone".into(),
                headers: [HOST, FLAVOR].into_iter().collect(),
                ..Request::default()
            };
            let stopped = check(&request, None, Vec::new).unwrap_err();
            assert_eq!(stopped.status, 405);
            let reply = line(405, stopped.why).with("Allow", "GET, HEAD");
            assert_eq!(stopped.reply(), reply);
        }
        let refused = super::HOST;
        assert_eq!(refused.reply(), line(403, refused.why));
    }
}
