//! Who may ask: requests that passed through a proxy are refused, and everything below `/` needs the header that a browser or a
//! tricked server would not send.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::{Reply, Request, pages};

/// Lets a request for the metadata server in, or says why not.
pub(crate) fn check(request: &Request) -> Result<(), Reply> {
    if request.header("x-forwarded-for").is_some() {
        return Err(pages::forwarded());
    }
    if request.path == "/" || is_legacy(&request.path) || has_flavor(request) {
        return Ok(());
    }
    Err(pages::flavor_missing())
}

/// Lets a request that drives the emulator in: from this machine, addressed to it, and not sent by a web page of another origin.
pub(crate) fn check_control(request: &Request) -> Result<(), Reply> {
    let here = request.header("host").is_some_and(is_loopback);
    let foreign = request
        .header("origin")
        .is_some_and(|origin| origin != request.origin());
    let forwarded = request.header("x-forwarded-for").is_some();
    if request.local && here && !foreign && !forwarded {
        return Ok(());
    }
    Err(Reply::control(
        403,
        &json!({"error": "control requests come from this machine, to a loopback address, and from no other origin"}),
    ))
}

/// Whether a `Host` header names this machine's loopback interface.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
}

/// Whether a path is one of the versions before v1, which asked for no header. What they answer is [`pages::legacy`].
pub(crate) fn is_legacy(path: &str) -> bool {
    ["/computeMetadata/v1beta1", "/0.1"].iter().any(|version| {
        path.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn has_flavor(request: &Request) -> bool {
    request.header("metadata-flavor") == Some("Google")
        || request
            .header("x-google-metadata-request")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            secure: false,
            local: true,
            method: Method::Get,
            path: path.into(),
            query: String::new(),
            headers: headers.iter().copied().collect(),
            body: Vec::new(),
        }
    }

    #[test]
    fn the_root_is_free() {
        assert!(check(&request("/", &[])).is_ok());
    }

    #[test]
    fn everything_below_needs_the_flavor_exactly() {
        let path = "/computeMetadata/v1/";
        assert_eq!(check(&request(path, &[])).unwrap_err().status, 403);
        let wrong = [("metadata-flavor", "google")];
        assert_eq!(check(&request(path, &wrong)).unwrap_err().status, 403);
        assert!(check(&request(path, &[("metadata-flavor", "Google")])).is_ok());
        assert!(check(&request(path, &[("x-google-metadata-request", "True")])).is_ok());
    }

    #[test]
    fn the_versions_before_v1_are_told_so_without_the_flavor() {
        for path in [
            "/0.1/meta-data/attributes/",
            "/0.1",
            "/computeMetadata/v1beta1/x",
        ] {
            assert!(check(&request(path, &[])).is_ok(), "{path}");
            let forwarded = [("x-forwarded-for", "10.0.0.1")];
            assert!(check(&request(path, &forwarded)).is_err(), "{path}");
        }
        assert!(check(&request("/computeMetadata/v1beta12/x", &[])).is_err());
    }

    #[test]
    fn a_forwarded_request_is_refused_even_at_the_root() {
        let headers = [("metadata-flavor", "Google"), ("x-forwarded-for", "")];
        assert_eq!(check(&request("/", &headers)).unwrap_err().status, 403);
    }

    #[test]
    fn only_this_machine_drives_the_emulator() {
        let path = "/emulator/v1/requests";
        for host in [
            "127.0.0.1:80",
            "localhost",
            "LOCALHOST:1",
            "[::1]:80",
            "[::1]",
            "127.9.9.9",
        ] {
            assert!(
                check_control(&request(path, &[("host", host)])).is_ok(),
                "{host}"
            );
        }
        for host in [
            "",
            "example.com",
            "10.0.0.1:80",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
        ] {
            assert!(
                check_control(&request(path, &[("host", host)])).is_err(),
                "{host}"
            );
        }
        let page = [("host", "localhost:1"), ("origin", "http://evil.example")];
        assert!(check_control(&request(path, &page)).is_err());
        let own = [("host", "localhost:1"), ("origin", "http://localhost:1")];
        assert!(check_control(&request(path, &own)).is_ok());
        let mut afar = request(path, &[("host", "localhost")]);
        afar.local = false;
        assert!(check_control(&afar).is_err());
    }
}
