//! The owner of a TCP socket, from `/proc/net/tcp` and `/proc/net/tcp6`.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
};

use super::tcp_state::is_connected;

/// The user and the inode of the socket with these addresses; `None` if there is no such socket, or
/// none that a process holds.
pub(super) fn find(own: SocketAddr, other: SocketAddr) -> io::Result<Option<(u32, u32)>> {
    let mut found = None;
    if own.is_ipv4() {
        let table = fs::read_to_string("/proc/net/tcp")?;
        found = search_for(&table, own, other, false);
    }
    if found.is_none()
        // A socket of IPv6 may speak IPv4, with mapped addresses.
        && let Ok(table) = fs::read_to_string("/proc/net/tcp6")
    {
        found = search_for(&table, own, other, true);
    }
    Ok(found)
}

/// Searches a table for a socket with these addresses, written as mapped to IPv6 or as they are.
pub(super) fn search_for(
    table: &str,
    own: SocketAddr,
    other: SocketAddr,
    mapped: bool,
) -> Option<(u32, u32)> {
    search(table, &written(own, mapped), &written(other, mapped))
}

fn search(table: &str, own: &str, other: &str) -> Option<(u32, u32)> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next()? != own || fields.next()? != other {
            return None;
        }
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        let uid = fields.nth(3)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        (is_connected(state) && inode != 0).then_some((uid, inode))
    })
}

/// `0100007F:1F90`: words of the address in the machine's order, then the port.
fn written(address: SocketAddr, mapped: bool) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) if mapped => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        format!("{word:08X}")
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31 1
   1: 0100007F:C0DE 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 32 1
   2: 0100007F:C0DF 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 1
   3: 0100007F:C0E0 0100007F:1F90 02 00000000:00000000 00:00000000 00000000  1002        0 33 1
   4: 0100007F:C0E1 0100007F:1F90 08 00000000:00000000 00:00000000 00000000  1003        0 34 1
";

    #[test]
    fn a_line_is_found_by_both_ends() {
        let owner = |own: &str| search(TABLE, own, "0100007F:1F90");
        assert_eq!(owner("0100007F:C0DE"), Some((1001, 32)));
        assert_eq!(owner("0100007F:C0DF"), None);
        assert_eq!(owner("0100007F:1F90"), None);
        // It still connects, so the connection that was accepted is an older one.
        assert_eq!(owner("0100007F:C0E0"), None);
        assert_eq!(owner("0100007F:C0E1"), Some((1003, 34)));
    }

    #[test]
    fn addresses_are_written_as_the_kernel_does() {
        if cfg!(target_endian = "little") {
            let v4 = "127.0.0.1:8080".parse().unwrap();
            assert_eq!(written(v4, false), "0100007F:1F90");
            assert_eq!(written(v4, true), "0000000000000000FFFF00000100007F:1F90");
            let v6 = "[::1]:80".parse().unwrap();
            assert_eq!(written(v6, false), "00000000000000000000000001000000:0050");
        }
    }
}
