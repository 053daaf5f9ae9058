//! What an isolated program reaches besides the emulator.

use std::collections::BTreeSet;

/// So many ports fit into the messages between the two processes, and into what a process may open.
const MOST_PORTS: usize = 64;

/// The network of an isolated program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing.
    None,
    /// These TCP ports of the loopback interface outside.
    HostLoopback(BTreeSet<u16>),
}

impl Network {
    /// Reads `none` or `host-loopback=PORT,..`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let ports = text
            .strip_prefix("host-loopback=")
            .ok_or("write none, or host-loopback=PORT,.. like host-loopback=5432,6379")?;
        let port = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(format!("`{text}` is no port: give numbers from 1 to 65535")),
            Ok(port) => Ok(port),
        };
        let ports: BTreeSet<u16> = ports.split(',').map(port).collect::<Result<_, _>>()?;
        if ports.len() > MOST_PORTS {
            return Err(format!("give at most {MOST_PORTS} ports"));
        }
        Ok(Self::HostLoopback(ports))
    }

    /// Returns the ports that are relayed.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = match self {
            Self::None => None,
            Self::HostLoopback(ports) => Some(ports),
        };
        ports.into_iter().flatten().copied()
    }

    /// Writes it as [`parse`](Self::parse) reads it.
    pub(super) fn argument(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::HostLoopback(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                format!("host-loopback={}", ports.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_network_is_nothing_or_ports() {
        assert_eq!(Network::parse("none"), Ok(Network::None));
        let ports = Network::parse("host-loopback=80,5432,80").unwrap();
        assert_eq!(ports.ports().collect::<Vec<_>>(), [80, 5432]);
        assert_eq!(Network::parse(&ports.argument()), Ok(ports));
        let many: Vec<_> = (1..=65).map(|port: u16| port.to_string()).collect();
        let many = format!("host-loopback={}", many.join(","));
        for (text, part) in [
            ("", "write none"),
            ("host", "write none"),
            ("host-loopback=", "`` is no port"),
            ("host-loopback=0", "`0` is no port"),
            ("host-loopback=80,", "`` is no port"),
            ("host-loopback=65536", "`65536` is no port"),
            (&many, "at most 64"),
        ] {
            let why = Network::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(none|host-loopback=)?[0-9,x]{0,12}") {
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.argument()), Ok(network));
            }
        }
    }
}
