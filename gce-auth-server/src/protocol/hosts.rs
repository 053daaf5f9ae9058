//! Names of a server in a `Host` header. A web page that leads a name of its own to this machine
//! (DNS rebinding) is of one origin with what answers here, and may send any header; the name is
//! all that gives it away.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The names of the metadata server on every machine.
const OWN: [&str; 4] = [
    "localhost",
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
];

/// The addresses of the metadata server on every machine.
const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Which names a server answers to: those of the metadata server, `localhost` and loopback
/// addresses, and what is added.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
    suffixes: Vec<String>,
    addresses: Vec<IpAddr>,
    any_address: bool,
    single_label: bool,
}

impl AllowedHosts {
    /// Adds a name or an address, in the spelling of a `Host` header without a port.
    #[must_use]
    pub fn with(mut self, host: &str) -> Self {
        match Host::parse(host) {
            Some(Host::Address(address)) => self.addresses.push(address),
            Some(Host::Name(name)) => self.names.push(name.into_owned()),
            None => {}
        }
        self
    }

    /// Adds all names below this one.
    #[must_use]
    pub fn with_below(mut self, name: &str) -> Self {
        self.suffixes
            .push(format!(".{}", name.to_ascii_lowercase()));
        self
    }

    /// Adds a name or an address as [`with`](Self::with), or for `*.example.com` all names below
    /// `example.com`. Returns `None` if the text is none of these.
    #[must_use]
    pub fn with_pattern(self, pattern: &str) -> Option<Self> {
        let above = pattern.strip_prefix("*.");
        match (Host::parse(above.unwrap_or(pattern))?, above) {
            (Host::Name(name), Some(_)) => Some(self.with_below(&name)),
            (Host::Address(_), Some(_)) => None,
            (_, None) => Some(self.with(pattern)),
        }
    }

    /// Adds all addresses. No page has one for its origin that could lead elsewhere.
    #[must_use]
    pub fn with_any_address(mut self) -> Self {
        self.any_address = true;
        self
    }

    /// Adds names without a dot, as containers have for each other. Public DNS has none.
    #[must_use]
    pub fn with_single_labels(mut self) -> Self {
        self.single_label = true;
        self
    }

    /// Returns whether a `Host` header names this server. With or without a port, in any case, and
    /// with a dot at its end.
    pub fn admit(&self, header: &str) -> bool {
        match Host::parse(header) {
            Some(Host::Address(address)) => {
                self.any_address
                    || address.to_canonical().is_loopback()
                    || ADDRESSES.contains(&address)
                    || self.addresses.contains(&address)
            }
            Some(Host::Name(name)) => {
                OWN.contains(&&*name)
                    || self.names.iter().any(|known| *known == name)
                    || (self.single_label && !name.contains('.'))
                    || self.suffixes.iter().any(|suffix| name.ends_with(suffix))
            }
            None => false,
        }
    }
}

/// Returns whether a `Host` header names this machine's loopback interface.
pub fn is_loopback(header: &str) -> bool {
    match Host::parse(header) {
        Some(Host::Address(address)) => address.to_canonical().is_loopback(),
        Some(Host::Name(name)) => name == "localhost",
        None => false,
    }
}

/// Returns whether a `Host` header is this address.
pub fn is_address(header: &str, address: IpAddr) -> bool {
    matches!(Host::parse(header), Some(Host::Address(named)) if named == address)
}

/// Returns whether a `Host` header names this domain, or a name below it.
pub fn is_within(header: &str, domain: &str) -> bool {
    let Some(Host::Name(name)) = Host::parse(header) else {
        return false;
    };
    name.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

enum Host<'a> {
    Address(IpAddr),
    /// In lower case, without a dot at its end.
    Name(Cow<'a, str>),
}

impl<'a> Host<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        // Most names begin with a letter that no address has.
        if !matches!(header.as_bytes(), [b'g'..=b'z' | b'G'..=b'Z', ..])
            && let Some(address) = address(header)
        {
            return Some(Self::Address(address));
        }
        let name = match header.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return None,
            None => header,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_name = !name.is_empty() && name.bytes().all(fits);
        is_name.then(|| {
            Self::Name(match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => name.to_ascii_lowercase().into(),
                false => name.into(),
            })
        })
    }
}

/// The address in a `Host` header, if it has one.
fn address(header: &str) -> Option<IpAddr> {
    if let Ok(address) = header.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = header
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(header).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_addresses_or_all_below_a_name() {
        let allow = |pattern| AllowedHosts::default().with_pattern(pattern);
        for (pattern, host) in [
            ("example.com", "Example.com:80"),
            ("*.example.com.", "a.b.example.com"),
            ("192.0.2.1", "192.0.2.1:8080"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("2001:db8::1", "[2001:db8::1]:80"),
        ] {
            assert!(allow(pattern).unwrap().admit(host), "{pattern}");
        }
        for pattern in [
            "",
            "*",
            "*.",
            "a b",
            "*.a b",
            "a,b",
            "*.192.0.2.1",
            "http://a",
            "a*.b",
        ] {
            assert!(allow(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn the_server_s_own_names_are_admitted_in_every_spelling() {
        let own = AllowedHosts::default();
        for host in [
            "metadata",
            "metadata.google.internal",
            "metadata.google.internal.",
            "Metadata.Google.Internal.:80",
            "metadata.goog:80",
            "169.254.169.254",
            "169.254.169.254:80",
            "[fd20:ce::254]",
            "[fd20:ce::254]:80",
            "localhost:8173",
            "127.0.0.1:8173",
            "127.9.9.9",
            "[::1]:8173",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(own.admit(host), "{host}");
        }
    }

    #[test]
    fn names_of_others_are_not() {
        let own = AllowedHosts::default();
        let wide = own
            .clone()
            .with_any_address()
            .with_single_labels()
            .with_below("internal");
        for host in [
            "",
            ".",
            ":80",
            "rebind.test",
            "rebind.test:8173",
            "localhost.rebind.test",
            "127.0.0.1.rebind.test",
            "metadata.google.internal.rebind.test",
            "internal.rebind.test",
            "evil.test/metadata",
            "metadata.google.internal@evil.test",
            "a b",
            "metadata:x",
            "[::1",
        ] {
            assert!(!own.admit(host) && !wide.admit(host), "{host}");
        }
        for host in [
            "10.0.0.1:80",
            "[2001:db8::1]:80",
            "emulator:80",
            "host.docker.internal",
        ] {
            assert!(!own.admit(host) && wide.admit(host), "{host}");
        }
    }

    #[test]
    fn a_domain_holds_itself_and_what_is_below() {
        for host in [
            "googleapis.com",
            "STS.googleapis.com.:443",
            "a.b.googleapis.com",
        ] {
            assert!(is_within(host, "googleapis.com"), "{host}");
        }
        for host in ["evilgoogleapis.com", "googleapis.com.test", "127.0.0.1", ""] {
            assert!(!is_within(host, "googleapis.com"), "{host}");
        }
    }

    #[test]
    fn an_address_is_itself_alone() {
        let own = Ipv4Addr::new(169, 254, 169, 254).into();
        assert!(is_address("169.254.169.254", own) && is_address("169.254.169.254:80", own));
        for other in [
            "169.254.169.253",
            "metadata.google.internal",
            "[::1]:80",
            "",
        ] {
            assert!(!is_address(other, own), "{other}");
        }
    }

    #[test]
    fn loopback_is_its_addresses_and_localhost_alone() {
        for host in [
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "LocalHost.:8080",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "169.254.169.254",
            "10.0.0.1:80",
            "[2001:db8::1]",
            "metadata.google.internal",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn what_is_added_is_admitted() {
        let hosts = AllowedHosts::default()
            .with("Emulator.Example.com.")
            .with("10.0.0.1");
        assert!(hosts.admit("emulator.example.com:80") && hosts.admit("10.0.0.1:80"));
        assert!(!hosts.admit("x.emulator.example.com") && !hosts.admit("10.0.0.2"));
    }
}
