//! The client of a request: its address, and what it says of itself.

use std::{fmt, net::IpAddr};

use gce_auth_server::{listen::Network, protocol::Request};

/// What a client says of itself, in lower case; of long texts the beginning, as it is compared with
/// every rule.
pub(crate) struct ClientName([String; 2]);

impl ClientName {
    const LONGEST: usize = 1024;

    pub(crate) fn of(request: &Request) -> Self {
        Self(["user-agent", "x-goog-api-client"].map(|name| {
            let value = request.header(name).unwrap_or_default();
            let letters = value.chars().take(Self::LONGEST);
            letters.collect::<String>().to_lowercase()
        }))
    }

    /// Returns whether this text, in lower case, is in one of the names.
    pub(crate) fn contains(&self, part: &str) -> bool {
        self.0.iter().any(|name| name.contains(part))
    }
}

/// The client of a request.
pub(crate) struct Client {
    /// `None` for a Unix socket.
    address: Option<IpAddr>,
    name: ClientName,
}

impl Client {
    pub(crate) fn new(address: Option<IpAddr>, request: &Request) -> Self {
        Self {
            address,
            name: ClientName::of(request),
        }
    }
}

/// Which clients are meant: those of a network, or those with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientPattern {
    Network(Network),
    /// A part of a name, in lower case.
    Name(String),
}

impl ClientPattern {
    /// Reads an address, a network in CIDR notation, or a part of a `User-Agent` or
    /// `x-goog-api-client` header.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty client is none: leave it out to mean all".into());
        }
        match Network::parse(text) {
            Ok(network) => Ok(Self::Network(network)),
            Err(why) if begins_as_address(text) => Err(format!("`{text}` is no network: {why}")),
            Err(_) => Ok(Self::Name(text.to_lowercase())),
        }
    }

    pub(crate) fn fits(&self, client: &Client) -> bool {
        match self {
            Self::Network(network) => client
                .address
                .is_some_and(|address| network.contains(address)),
            Self::Name(part) => client.name.contains(part),
        }
    }
}

fn begins_as_address(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse::<IpAddr>().is_ok()
}

impl fmt::Display for ClientPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Name(part) => f.write_str(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: Option<&str>, agent: &str) -> Client {
        let request = Request {
            headers: [("user-agent", agent)].into_iter().collect(),
            ..Request::default()
        };
        Client::new(address.map(|address| address.parse().unwrap()), &request)
    }

    #[test]
    fn a_client_is_known_by_address_or_name() {
        let one = client(Some("10.1.2.3"), "gcloud-golang/0.1");
        for (pattern, fits) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("fd00::/8", false),
            ("Golang/0", true),
            ("python-requests/2.31", false),
        ] {
            let parsed = ClientPattern::parse(pattern).unwrap();
            assert_eq!(parsed.fits(&one), fits, "{pattern}");
            assert_eq!(ClientPattern::parse(&parsed.to_string()), Ok(parsed));
        }
        let mapped = client(Some("::ffff:10.1.2.3"), "");
        assert!(ClientPattern::parse("10.0.0.0/8").unwrap().fits(&mapped));
        let socket = client(None, "x");
        assert!(!ClientPattern::parse("0.0.0.0/0").unwrap().fits(&socket));
    }

    #[test]
    fn what_looks_like_a_network_must_be_one() {
        for text in ["10.0.0.0/99", "10.1.2.3/8", "fd00::/x", ""] {
            assert!(ClientPattern::parse(text).is_err(), "{text}");
        }
    }
}
