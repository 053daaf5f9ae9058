//! What the fuzz targets call. Not part of the API.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{proc_net, sock_diag};

/// Reads `/proc/net/tcp`, behind the ends that are looked for.
///
/// # Panics
///
/// If a socket is found that is not in the table.
pub fn proc_net(bytes: &[u8]) {
    let Some((own, other, table)) = ends(bytes) else {
        return;
    };
    let table = String::from_utf8_lossy(table);
    for mapped in [false, true] {
        if let Some((uid, inode)) = proc_net::search_for(&table, own, other, mapped) {
            assert_ne!(inode, 0);
            let fields = |number: u32| table.split_ascii_whitespace().any(|it| is(it, number));
            assert!(fields(uid) && fields(inode), "{uid} {inode}");
        }
    }
}

fn is(field: &str, number: u32) -> bool {
    field.parse() == Ok(number)
}

/// Reads an answer of sock_diag, behind the ends that were asked for.
///
/// # Panics
///
/// If a socket is found in an answer that is too short for one.
pub fn sock_diag(bytes: &[u8]) {
    let Some((own, other, answer)) = ends(bytes) else {
        return;
    };
    if let Ok(Some((_, inode))) = sock_diag::understand(answer, own, other) {
        assert!(inode != 0 && answer.len() >= 88);
    }
}

/// Two addresses with their ports from the first bytes: mapped ones are IPv4.
fn ends(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (first, rest) = end(bytes)?;
    let (second, rest) = end(rest)?;
    Some((first, second, rest))
}

fn end(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (octets, rest) = bytes.split_first_chunk::<16>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let address = IpAddr::V6(Ipv6Addr::from(*octets)).to_canonical();
    Some((SocketAddr::new(address, u16::from_be_bytes(*port)), rest))
}
