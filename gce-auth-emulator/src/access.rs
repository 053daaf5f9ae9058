//! Access: to the metadata server, and to the control requests.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth_server::{
    listen::{AllowedClients, Network, SocketOwner},
    protocol::{
        Reply, Request,
        guard::{self, Refusal},
        hosts::{self, AllowedHosts},
        pages,
    },
    service::{Connection, Peer},
};
use serde_json::json;

use crate::private_listeners::PRIVATE;

/// The addresses that may ask, and those that may control.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) hosts: AllowedHosts,
    pub(crate) control: Option<RemoteControl>,
    /// The users of this machine that are served, if not all are.
    pub(crate) users: Option<Vec<u32>>,
}

/// Other machines that may drive the emulator.
pub(crate) struct RemoteControl {
    clients: AllowedClients,
    /// What they have to show.
    pub(crate) token: String,
}

impl RemoteControl {
    /// `None` if there is no randomness.
    pub(crate) fn new(networks: Vec<Network>) -> Option<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).ok()?;
        Some(Self {
            clients: AllowedClients::of(networks),
            token: BASE64_URL_SAFE_NO_PAD.encode(random),
        })
    }
}

/// Without the token.
impl std::fmt::Debug for RemoteControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteControl")
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

/// Where Google's APIs lie: their domain, and the one host outside it.
const APIS: &str = "googleapis.com";
const ACCOUNTS: &str = "accounts.google.com";

/// Returns whether a request names a host of Google's APIs.
pub(crate) fn is_for_apis(request: &Request) -> bool {
    request
        .header("host")
        .is_some_and(|host| hosts::is_within(host, APIS) || hosts::is_within(host, ACCOUNTS))
}

/// The names under which an emulator is reached: those of metadata servers and of the APIs beside
/// it, addresses, and names that no page on the internet can have.
pub(crate) fn default_hosts() -> AllowedHosts {
    AllowedHosts::default()
        .with(ACCOUNTS)
        .with_below(APIS)
        .with_below("internal")
        .with_any_address()
        .with_single_labels()
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// Its address; `None` for a Unix socket.
    address: Option<IpAddr>,
    /// The link-local address at which it asks, if that is its own: then it is on this machine.
    link_local: Option<IpAddr>,
    /// Set if it is refused whatever it asks.
    stranger: Option<Stranger>,
}

/// Another user of this machine; `None` if it is not known which.
#[derive(Clone, Copy, Debug)]
struct Stranger(Option<u32>);

impl Caller {
    /// Returns its address; `None` for a Unix socket.
    pub(crate) fn address(self) -> Option<IpAddr> {
        self.address
    }

    fn is_local(self) -> bool {
        self.link_local.is_some()
            || self
                .address
                .is_none_or(|address| address.to_canonical().is_loopback())
    }

    /// Whether a `Host` header is of this machine alone.
    fn is_here(self, host: &str) -> bool {
        let own = |address| hosts::is_address(host, address);
        hosts::is_loopback(host) || self.link_local.is_some_and(own)
    }
}

impl Access {
    /// The owner of a connection. On loopback the kernel tells its user, where that matters.
    pub(crate) fn identify(&self, connection: &Connection) -> Caller {
        let Peer::Tcp { peer, local } = connection.peer else {
            return Caller {
                address: None,
                link_local: None,
                stranger: None,
            };
        };
        let link_local = own_link_local(peer.ip(), local.ip());
        let is_private = &*connection.listener == PRIVATE;
        let stranger = self
            .users
            .as_ref()
            .filter(|_| !is_private && (connection.is_local() || link_local.is_some()))
            .and_then(|users| match SocketOwner::find(peer, local) {
                Ok(owner) => match owner.and_then(|owner| owner.user()) {
                    Some(user) if users.contains(&user) => None,
                    user => Some(Stranger(user)),
                },
                // Other systems than Linux do not tell.
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
                Err(_) => Some(Stranger(None)),
            });
        Caller {
            address: Some(peer.ip()),
            link_local,
            stranger,
        }
    }

    /// Lets a caller in, whatever it asks.
    pub(crate) fn check_caller(&self, caller: Caller) -> Result<(), Reply> {
        let (Some(Stranger(uid)), Some(users)) = (caller.stranger, &self.users) else {
            return Ok(());
        };
        let who = uid.map_or_else(
            || "a caller whose user the system does not name".to_owned(),
            |uid| format!("uid {uid}"),
        );
        let users: Vec<String> = users.iter().map(u32::to_string).collect();
        Err(pages::forbidden(&format!(
            "this emulator hands out real tokens, to uid {} alone, not to {who}: allow it with EmulatorBuilder::allow_uid, or run an emulator as that user",
            users.join(" and uid ")
        )))
    }

    /// Lets a request in that names this server and comes neither from a page nor through a proxy.
    pub(crate) fn check_origin(&self, request: &Request) -> Result<(), Reply> {
        guard::check_origin(request, &self.hosts).map_err(|why| why.reply())
    }

    /// Lets a request for the page in. The page holds no secret, so no token is needed.
    pub(crate) fn check_page(&self, request: &Request, caller: Caller) -> Result<(), Reply> {
        guard::check_host(request, &self.hosts).map_err(|why| match why {
            Refusal::TwoHosts => why.reply(),
            _ => refused("control requests name the emulator by its address or by an allowed name, and come through no proxy"),
        })?;
        let origin = request.origin();
        let foreign = request.headers.iter().any(|(name, value)| match name {
            "origin" => value != origin,
            "sec-fetch-site" => !["none", "same-origin"].contains(&value),
            _ => false,
        });
        if foreign {
            return Err(refused(
                "control requests come from no page but the emulator's own",
            ));
        }
        let mut named = request
            .header("host")
            .into_iter()
            .chain(request.authority.as_deref());
        let here = named.all(|host| caller.is_here(host));
        if (caller.is_local() && here) || self.remote(caller).is_some() {
            return Ok(());
        }
        Err(refused(
            "control requests come from this machine, to a loopback address; for others start the emulator with --control-from",
        ))
    }

    /// Lets a request in that drives the emulator: from this machine and addressed to it, or from a
    /// network that may, with the token.
    pub(crate) fn check_control(&self, request: &Request, caller: Caller) -> Result<(), Reply> {
        self.check_page(request, caller)?;
        let Some(remote) = self.remote(caller).filter(|_| !caller.is_local()) else {
            return Ok(());
        };
        let given = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        verify_slices_are_equal(given.as_bytes(), remote.token.as_bytes()).map_err(|_| {
            let why = "from another machine control requests carry the token of the ready line: Authorization: Bearer TOKEN";
            Reply::control(401, &json!({ "error": why })).with("WWW-Authenticate", "Bearer")
        })
    }

    fn remote(&self, caller: Caller) -> Option<&RemoteControl> {
        self.control.as_ref().filter(|control| {
            caller
                .address
                .is_some_and(|address| control.clients.admit(address))
        })
    }
}

/// Returns the link-local address of this machine that both ends of a connection have. The kernel
/// takes no packet from elsewhere with it. Of other addresses that is not said: a packet filter may
/// put this machine's address in place of a container's.
fn own_link_local(peer: IpAddr, local: IpAddr) -> Option<IpAddr> {
    let is_link_local = match local {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(_) => false,
    };
    (is_link_local && peer == local).then_some(local)
}

fn refused(why: &str) -> Reply {
    Reply::control(403, &json!({ "error": why }))
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use gce_auth_server::listen::PeerProcess;

    use super::*;

    #[test]
    fn only_this_machine_drives_the_emulator() {
        let access = Access {
            hosts: default_hosts(),
            ..Access::default()
        };
        let ask = |headers: &[(&str, &str)], address: &str| {
            let request = Request {
                path: "/emulator/v1/requests".into(),
                headers: headers.iter().copied().collect(),
                ..Request::default()
            };
            let address: IpAddr = address.parse().unwrap();
            let caller = Caller {
                address: Some(address),
                link_local: own_link_local(address, "169.254.169.254".parse().unwrap()),
                stranger: None,
            };
            access.check_control(&request, caller).is_ok()
        };
        for host in [
            "127.0.0.1:80",
            "localhost",
            "LOCALHOST:1",
            "[::1]:80",
            "[::1]",
            "127.9.9.9",
        ] {
            assert!(ask(&[("host", host)], "127.0.0.1"), "{host}");
            assert!(!ask(&[("host", host)], "192.0.2.1"), "{host}");
        }
        for host in [
            "",
            "example.com",
            "10.0.0.1:80",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
        ] {
            assert!(!ask(&[("host", host)], "127.0.0.1"), "{host}");
        }
        // The emulator listens at the metadata server's own address.
        let own = [("host", "169.254.169.254")];
        assert!(ask(&own, "169.254.169.254"));
        assert!(!ask(&own, "127.0.0.1") && !ask(&own, "169.254.169.253"));
        assert!(!ask(
            &[("host", "metadata.google.internal")],
            "169.254.169.254"
        ));
        let page = [("host", "localhost:1"), ("origin", "http://evil.example")];
        assert!(!ask(&page, "127.0.0.1"));
        let own = [("host", "localhost:1"), ("origin", "http://localhost:1")];
        assert!(ask(&own, "127.0.0.1"));
        for second in [
            ("origin", "http://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let both = [own[0], own[1], ("sec-fetch-site", "same-origin"), second];
            assert!(!ask(&both, "127.0.0.1"), "{second:?}");
        }
        let mut elsewhere = Request {
            authority: Some("a.internal".into()),
            ..Request::default()
        };
        let here = Caller {
            address: None,
            link_local: None,
            stranger: None,
        };
        assert!(access.check_control(&elsewhere, here).is_err());
        elsewhere.authority = Some("localhost:1".into());
        assert!(access.check_control(&elsewhere, here).is_ok());
    }

    #[test]
    fn a_remote_host_drives_the_emulator_from_its_network_with_the_token() {
        let access = Access {
            hosts: default_hosts(),
            control: RemoteControl::new(vec![
                Network::parse("10.0.0.0/8").unwrap(),
                Network::parse("127.0.0.1").unwrap(),
            ]),
            users: None,
        };
        let ask = |authorization: &str, address: &str| {
            let headers = [("host", "127.0.0.1:80"), ("authorization", authorization)];
            let request = Request {
                path: "/emulator/v1/requests".into(),
                headers: headers.into_iter().collect(),
                ..Request::default()
            };
            let caller = Caller {
                address: Some(address.parse().unwrap()),
                link_local: None,
                stranger: None,
            };
            let answer = access.check_control(&request, caller);
            answer.err().map_or(200, |reply| reply.status)
        };
        let token = &access.control.as_ref().unwrap().token;
        for (authorization, address, status) in [
            (format!("Bearer {token}"), "10.1.2.3", 200),
            (format!("bearer  {token} "), "10.1.2.3", 200),
            (format!("Basic {token}"), "10.1.2.3", 401),
            (token.clone(), "10.1.2.3", 401),
            (String::new(), "10.1.2.3", 401),
            (format!("Bearer {token}"), "192.0.2.1", 403),
            // This machine needs no token, also where its network does.
            (String::new(), "127.0.0.1", 200),
        ] {
            let found = ask(&authorization, address);
            assert_eq!(found, status, "{authorization} from {address}");
        }
    }

    /// Only the kernel of this machine tells users, and no connection here is open.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_of_this_machine_without_a_known_user_gets_no_real_token() {
        let access = Access {
            hosts: default_hosts(),
            control: None,
            users: Some(vec![4_294_967_294]),
        };
        let status = |listener: &str, peer: &str, local: &str| {
            let connection = Connection {
                listener: listener.into(),
                secure: false,
                peer: Peer::Tcp {
                    peer: peer.parse().unwrap(),
                    local: local.parse().unwrap(),
                },
                process: PeerProcess::default(),
            };
            let answer = access.check_caller(access.identify(&connection));
            answer.err().map_or(200, |reply| reply.status)
        };
        for (peer, local) in [
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("[::1]:1", "[::1]:2"),
            // The address of the metadata server, which the emulator has on a machine of its own.
            ("169.254.169.254:1", "169.254.169.254:2"),
        ] {
            assert_eq!(status("http", peer, local), 403, "{peer}");
            assert_eq!(status(PRIVATE, peer, local), 200, "{peer}");
        }
        // Of another machine no user is known; `--allow-from` decides about it.
        for peer in ["192.0.2.1:1", "169.254.169.253:1"] {
            assert_eq!(status("http", peer, "169.254.169.254:2"), 200, "{peer}");
        }
    }
}
