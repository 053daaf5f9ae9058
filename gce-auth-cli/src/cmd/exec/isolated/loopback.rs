//! The loopback interface of a new network namespace, by rtnetlink(7).

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
    netlink::SocketAddrNetlink, recv, send, socket_with,
};

/// `RTM_NEWLINK`
const NEW_LINK: u16 = 16;
/// `RTM_NEWADDR`
const NEW_ADDRESS: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_ACK`
const ACKNOWLEDGED: u16 = 1 | 4;
/// `NLM_F_CREATE | NLM_F_EXCL`
const CREATE: u16 = 0x400 | 0x200;
/// `NLMSG_ERROR`, which an acknowledgement is, too.
const ERROR: u16 = 2;
/// The length of a `nlmsghdr`.
const HEADER: usize = 16;
/// In each network namespace the loopback interface is the first.
const LOOPBACK: u32 = 1;
/// `IFF_UP`
const UP: u32 = 1;
/// `IFA_ADDRESS` and `IFA_LOCAL`: they differ only between the ends of a tunnel.
const ATTRIBUTES: [u16; 2] = [1, 2];

/// Sets the loopback interface up and gives it this address.
pub(super) fn bring_up(address: [u8; 4]) -> io::Result<()> {
    ask(NEW_LINK, ACKNOWLEDGED, &link())?;
    ask(NEW_ADDRESS, ACKNOWLEDGED | CREATE, &own_address(address))
}

/// An `ifinfomsg`.
fn link() -> Vec<u8> {
    let mut body = vec![0; 4]; // any family, any type
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(UP.to_ne_bytes()); // flags
    body.extend(UP.to_ne_bytes()); // and which of them change
    body
}

/// An `ifaddrmsg` with its attributes.
fn own_address(address: [u8; 4]) -> Vec<u8> {
    let [family, _] = AddressFamily::INET.as_raw().to_le_bytes();
    let mut body = vec![family, 32, 0, 0]; // all bits, no flags, in the whole universe
    body.extend(LOOPBACK.to_ne_bytes());
    for attribute in ATTRIBUTES {
        body.extend(8_u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(address);
    }
    body
}

/// Sends a request, and waits until the kernel has done it.
fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE, which is 0
    )?;
    // A connected socket takes answers from the kernel alone.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // no sequence, no port
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::empty())?;
    understand(answer.get(..length).unwrap_or_default())
}

/// Reads an acknowledgement: an `nlmsghdr` and the negative number of an error, or 0.
fn understand(answer: &[u8]) -> io::Result<()> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "rtnetlink's answer is broken");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let code = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    if u16::from_ne_bytes(kind.ok_or_else(broken)?) != ERROR {
        return Err(broken());
    }
    match i32::from_ne_bytes(code.ok_or_else(broken)?) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_an_error_of_zero() {
        let answer = |kind: u16, code: i32| {
            let mut answer = vec![0; 4];
            answer.extend(kind.to_ne_bytes());
            answer.extend([0; 10]);
            answer.extend(code.to_ne_bytes());
            answer
        };
        assert!(understand(&answer(ERROR, 0)).is_ok());
        let refused = understand(&answer(ERROR, -1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        for broken in [&answer(16, 0)[..], &answer(ERROR, 0)[..19], &[]] {
            assert!(understand(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn messages_have_the_kernel_s_lengths() {
        assert_eq!(link().len(), 16);
        assert_eq!(own_address([169, 254, 169, 254]).len(), 8 + 2 * 8);
    }
}
