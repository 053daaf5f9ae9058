//! The heads of requests to a proxy (RFC 9112): pure.

/// What a client asks a proxy for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A tunnel to this host and port.
    Tunnel(String, u16),
    /// An answer of this host and port, and the head to send there.
    Forward(String, u16, Vec<u8>),
}

/// Headers that are for the proxy alone, or about this connection. `host` is made anew.
const DROPPED: [&str; 6] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
];

/// Returns the length of the head at the beginning of `bytes`, with the empty line at its end.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Reads a head. `None` if it is no request to a proxy.
pub(super) fn read(head: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(head).ok()?;
    let (line, headers) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':')?;
        return Some(Asked::Tunnel(plain(host)?, port.parse().ok()?));
    }
    let scheme = target.get(.."http://".len())?;
    let rest = target.get("http://".len()..)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    // One request, and the end: the next one may be for another host.
    let mut forwarded =
        format!("{method} {slash}{path} {version}\r\nHost: {authority}\r\nConnection: close\r\n");
    for header in headers.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, _) = header.split_once(':')?;
        let is = |dropped: &&str| name.trim().eq_ignore_ascii_case(dropped);
        if !DROPPED.iter().any(is) {
            forwarded += header;
            forwarded += "\r\n";
        }
    }
    forwarded += "\r\n";
    Some(Asked::Forward(plain(host)?, port, forwarded.into_bytes()))
}

/// Returns a host in lower case, without the dot at its end.
fn plain(host: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty() && host.bytes().all(fits)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_forwarded_without_what_is_the_proxy_s() {
        let head = b"GET http://Metadata.google.internal./computeMetadata/v1/?a=b HTTP/1.1\r\n\
            Host: evil.test\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n\
            Connection: keep-alive\r\nMetadata-Flavor: Google\r\n\r\n";
        assert_eq!(length(head), Some(head.len()));
        assert_eq!(length(&head[..head.len() - 1]), None);
        let Some(Asked::Forward(host, port, forwarded)) = read(head) else {
            panic!("not forwarded");
        };
        assert_eq!((host.as_str(), port), ("metadata.google.internal", 80));
        assert_eq!(
            String::from_utf8(forwarded).unwrap(),
            "GET /computeMetadata/v1/?a=b HTTP/1.1\r\nHost: Metadata.google.internal.\r\n\
             Connection: close\r\nMetadata-Flavor: Google\r\n\r\n"
        );
    }

    #[test]
    fn targets_are_hosts_with_ports() {
        let target = |line: &str| read(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
        let tunnel = |host: &str, port| Some(Asked::Tunnel(host.to_owned(), port));
        assert_eq!(
            target("CONNECT STS.googleapis.com:443"),
            tunnel("sts.googleapis.com", 443)
        );
        assert_eq!(target("CONNECT [::1]:443"), tunnel("[::1]", 443));
        for (url, host, port, path) in [
            ("http://169.254.169.254", "169.254.169.254", 80, "/ "),
            ("HTTP://a:8080?x", "a", 8080, "/?x "),
            ("http://[::1]:81/x", "[::1]", 81, "/x "),
            ("http://[::1]/x", "[::1]", 80, "/x "),
        ] {
            let Some(Asked::Forward(found, at, head)) = target(&format!("GET {url}")) else {
                panic!("{url}");
            };
            assert_eq!((found.as_str(), at), (host, port));
            let head = String::from_utf8(head).unwrap();
            assert!(
                head.starts_with(&format!("GET {path}HTTP/1.1\r\n")),
                "{head}"
            );
        }
        for line in [
            "GET /",
            "GET https://a/",
            "GET http:///x",
            "GET http://a@b/",
            "GET http://a:b/",
            "CONNECT a",
            "CONNECT :443",
            "CONNECT a:99999",
            "GET http://a b",
            "",
        ] {
            assert_eq!(target(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(head in prop::collection::vec(any::<u8>(), 0..80), url in ".{0,30}") {
            let _ = read(&head);
            let _ = read(format!("GET http://{url} HTTP/1.1\r\n{url}\r\n\r\n").as_bytes());
        }
    }
}
