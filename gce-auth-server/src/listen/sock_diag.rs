//! A question to sock_diag about one TCP socket.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
    netlink::{SOCK_DIAG, SocketAddrNetlink},
    recv, send, socket_with,
};

use super::tcp_state::is_connected;

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
const TCP: u8 = 6;
/// The length of a `nlmsghdr`.
const HEADER: usize = 16;
/// The length of an `inet_diag_msg`.
const MESSAGE: usize = 72;
const ENOENT: i32 = 2;

/// The user and the inode of the socket with these addresses; `None` if there is no such socket, or
/// none that a process holds.
pub(super) fn find(own: SocketAddr, other: SocketAddr) -> io::Result<Option<(u32, u32)>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    // A connected socket takes answers from the kernel alone.
    connect(&socket, &kernel)?;
    send(&socket, &question(own, other), SendFlags::empty())?;
    // The kernel has answered before it returns from the question.
    let mut answer = [0; 1024];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::DONTWAIT)?;
    understand(answer.get(..length).unwrap_or_default(), own, other)
}

/// An `nlmsghdr` and an `inet_diag_req_v2`.
fn question(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + 56);
    message.extend((HEADER as u32 + 56).to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 8]); // no sequence, no port
    message.extend([family(own.ip()), TCP, 0, 0]);
    message.extend(u32::MAX.to_ne_bytes()); // all states
    message.extend(addresses(own, other));
    message.extend([0; 4]); // any interface
    message.extend([0xff; 8]); // no cookie
    message
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    family.as_raw().to_le_bytes()[0]
}

/// The first 36 bytes of an `inet_diag_sockid`: ports, then addresses, in network order.
fn addresses(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(36);
    bytes.extend(own.port().to_be_bytes());
    bytes.extend(other.port().to_be_bytes());
    for address in [own.ip(), other.ip()] {
        match address {
            IpAddr::V4(address) => {
                bytes.extend(address.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes
}

/// Reads what the kernel answers to the question for a socket with these addresses.
pub(super) fn understand(
    answer: &[u8],
    own: SocketAddr,
    other: SocketAddr,
) -> io::Result<Option<(u32, u32)>> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "sock_diag's answer is broken");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let body = answer.get(HEADER..).unwrap_or_default();
    match u16::from_ne_bytes(kind.ok_or_else(broken)?) {
        ERROR => {
            let code = body.get(..4).and_then(|bytes| bytes.try_into().ok());
            match i32::from_ne_bytes(code.ok_or_else(broken)?).saturating_neg() {
                ENOENT => Ok(None),
                code => Err(io::Error::from_raw_os_error(code)),
            }
        }
        BY_FAMILY => {
            let body: &[u8; MESSAGE] = body.first_chunk().ok_or_else(broken)?;
            let number = |at: usize| {
                let bytes = body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(0, u32::from_ne_bytes)
            };
            // Where no connection fits, the kernel looks for a listener.
            let is_it = is_connected(body[1]) && ends(body) == Some((own, other));
            let (uid, inode) = (number(64), number(68));
            Ok((is_it && inode != 0).then_some((uid, inode)))
        }
        _ => Err(broken()),
    }
}

/// The addresses and ports of the socket in an `inet_diag_msg`. One of IPv6 that speaks IPv4 has
/// mapped addresses.
fn ends(message: &[u8; MESSAGE]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            message.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let address = |at: usize| {
        if message[0] == family(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
            let octets: [u8; 4] = message.get(at..at + 4)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        } else {
            let octets: [u8; 16] = message.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::from(octets).to_canonical())
        }
    };
    let own = SocketAddr::new(address(8)?, port(4)?);
    Some((own, SocketAddr::new(address(24)?, port(6)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:4000";
    const OTHER: &str = "127.0.0.1:80";

    fn understood(kind: u16, body: &[u8]) -> io::Result<Option<(u32, u32)>> {
        let mut answer = vec![0; HEADER];
        answer[4..6].copy_from_slice(&kind.to_ne_bytes());
        answer.extend(body);
        understand(&answer, OWN.parse().unwrap(), OTHER.parse().unwrap())
    }

    /// An `inet_diag_msg` of user 7.
    fn message(state: u8, own: &str, other: &str, inode: u32) -> Vec<u8> {
        let own: SocketAddr = own.parse().unwrap();
        let mut body = vec![family(own.ip()), state, 0, 0];
        body.extend(addresses(own, other.parse().unwrap()));
        body.resize(64, 0);
        body.extend(7_u32.to_ne_bytes());
        body.extend(inode.to_ne_bytes());
        body
    }

    #[test]
    fn only_a_connection_with_these_ends_that_a_process_holds_is_found() {
        const ESTABLISHED: u8 = 1;
        const LISTEN: u8 = 10;
        for (state, own, other, inode, found) in [
            (ESTABLISHED, OWN, OTHER, 5, Some((7, 5))),
            (ESTABLISHED, OWN, OTHER, 0, None),
            (LISTEN, OWN, OTHER, 5, None),
            (ESTABLISHED, OTHER, OWN, 5, None),
            (ESTABLISHED, OWN, "127.0.0.1:81", 5, None),
            (ESTABLISHED, "127.0.0.2:4000", OTHER, 5, None),
        ] {
            let answer = understood(BY_FAMILY, &message(state, own, other, inode));
            assert_eq!(answer.unwrap(), found, "{state} {own} {other} {inode}");
        }
    }

    #[test]
    fn an_error_is_the_kernel_s_and_no_socket_is_none() {
        assert_eq!(understood(ERROR, &(-ENOENT).to_ne_bytes()).unwrap(), None);
        let refused = understood(ERROR, &(-13_i32).to_ne_bytes()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(13));
        let broken = [
            understood(ERROR, &[0; 3]),
            understood(BY_FAMILY, &[0; 71]),
            understood(ERROR + 1, &[0; 72]),
        ];
        for answer in broken {
            assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
