//! Who may drive the emulator by request.

use std::net::{IpAddr, SocketAddr};

use gce_auth_server::protocol::{Reply, Request};
use serde_json::json;

/// Lets a request that drives the emulator in: from this machine, addressed to it, and not sent by a web page of another origin.
pub(crate) fn check_control(request: &Request, local: bool) -> Result<(), Reply> {
    let here = request.header("host").is_some_and(is_loopback);
    let foreign = request
        .header("origin")
        .is_some_and(|origin| origin != request.origin());
    let forwarded = request.header("x-forwarded-for").is_some();
    if local && here && !foreign && !forwarded {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            path: path.into(),
            headers: headers.iter().copied().collect(),
            ..Request::default()
        }
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
                check_control(&request(path, &[("host", host)]), true).is_ok(),
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
                check_control(&request(path, &[("host", host)]), true).is_err(),
                "{host}"
            );
        }
        let page = [("host", "localhost:1"), ("origin", "http://evil.example")];
        assert!(check_control(&request(path, &page), true).is_err());
        let own = [("host", "localhost:1"), ("origin", "http://localhost:1")];
        assert!(check_control(&request(path, &own), true).is_ok());
        let afar = request(path, &[("host", "localhost")]);
        assert!(check_control(&afar, false).is_err());
    }
}
