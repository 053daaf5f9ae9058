//! Networks, as people write them: which addresses may connect.

use std::{fmt, net::IpAddr, str::FromStr};

/// Addresses with the same first bits, in CIDR notation (RFC 4632, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "write an address, or one with a prefix like 10.0.0.0/8".to_owned())?;
        let width = width(address);
        let prefix = match prefix {
            None => width,
            Some(text) => text
                .parse()
                .ok()
                .filter(|prefix| *prefix <= width && text.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| format!("the prefix must be a number from 0 to {width}"))?,
        };
        let network = Self { address, prefix };
        if host_bits(network) != 0 {
            let first = network.first();
            return Err(format!(
                "it has bits beyond its prefix; the network of this address is {first}"
            ));
        }
        Ok(network)
    }

    /// Returns whether an address is in the network. An IPv4 address mapped to IPv6 counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && (bits(address) ^ bits(self.address))
                .checked_shr(u32::from(width(address) - self.prefix))
                .unwrap_or(0)
                == 0
    }

    /// The same, without bits beyond the prefix.
    fn first(self) -> Self {
        let bits = bits(self.address) ^ host_bits(self);
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Self { address, ..self }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn host_bits(network: Network) -> u128 {
    let length = u32::from(width(network.address) - network.prefix);
    let mask = 1_u128
        .checked_shl(length)
        .map_or(u128::MAX, |bit| bit.wrapping_sub(1));
    bits(network.address) & mask
}

/// The clients that may connect.
#[derive(Clone, Debug, Default)]
pub struct AllowedClients(Option<Vec<Network>>);

impl AllowedClients {
    /// Admits these networks, and this machine. Admits every address if there are none.
    pub fn of(networks: Vec<Network>) -> Self {
        Self((!networks.is_empty()).then_some(networks))
    }

    /// Returns whether a connection from this address is accepted.
    pub fn admit(&self, address: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|networks| {
            address.to_canonical().is_loopback()
                || networks.iter().any(|network| network.contains(address))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network
            .parse::<Network>()
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn a_whole_address_is_a_network_and_none_are_all() {
        for one in ["192.0.2.7", "192.0.2.7/32", "2001:db8::1/128"] {
            let address = one.split('/').next().unwrap();
            assert!(contains(one, address), "{one}");
        }
        assert!(!contains("192.0.2.7/32", "192.0.2.6"));
        assert!(Network::parse("192.0.2.7/33").is_err() && Network::parse("::/129").is_err());
        let elsewhere = "192.0.2.6".parse().unwrap();
        assert!(AllowedClients::of(Vec::new()).admit(elsewhere));
        let one = AllowedClients::of(vec![Network::parse("192.0.2.7").unwrap()]);
        assert!(!one.admit(elsewhere) && one.admit("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_first_bits_decide() {
        for (network, address) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("192.0.2.7", "192.0.2.7"),
            ("172.16.0.0/12", "172.31.255.255"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("fd00::/8", "fdff::1"),
            ("::/0", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert!(contains(network, address), "{address} in {network}");
        }
        for (network, address) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.6"),
            ("172.16.0.0/12", "172.32.0.0"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "10.0.0.1"),
            ("fd00::/8", "fc00::1"),
        ] {
            assert!(!contains(network, address), "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_reason() {
        for (text, part) in [
            ("", "write an address"),
            ("everybody", "write an address"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("fd00::/129", "from 0 to 128"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("fd00::1/8", "fd00::/8"),
        ] {
            let why = Network::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn this_machine_is_always_admitted() {
        let guests = AllowedClients::of(vec![Network::parse("192.0.2.0/24").unwrap()]);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.9"] {
            assert!(guests.admit(address.parse().unwrap()), "{address}");
        }
        assert!(!guests.admit("192.0.3.1".parse().unwrap()));
        assert!(AllowedClients::default().admit("192.0.3.1".parse().unwrap()));
    }
}
