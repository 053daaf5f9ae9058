//! Whose a connection over loopback is: the kernel tells which user owns the socket at its other
//! end.
//!
//! The socket is looked up by its exact addresses and ports, through sock_diag (sock_diag(7)),
//! which takes some microseconds however many sockets there are; where that is unavailable, in
//! `/proc/net/tcp` (proc_pid_net(5)).

use std::{io, net::SocketAddr};

use super::user_namespace::known_user;

/// The owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// The id of the user that made the socket, as the kernel shows it to this process. It may
    /// stand for several users: see [`user`](Self::user).
    pub uid: u32,
    /// The socket's inode, as the links in `/proc/PID/fd` name it.
    pub inode: u32,
}

impl SocketOwner {
    /// Returns the user that made the socket. `None` for one that this process's user namespace
    /// does not map: the kernel shows all of those as one.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        known_user(self.uid)
    }

    /// Returns the owner of the socket whose own address is `peer` and whose other end is `local`,
    /// in this network namespace. `None` if there is none, or the last process has closed it: the
    /// kernel shows root for such a socket, whosever it was.
    ///
    /// # Errors
    ///
    /// When neither sock_diag nor `/proc/net` can be asked; of kind `Unsupported` on other systems
    /// than Linux.
    pub fn find(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<Self>> {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (peer, local) = (canonical(peer), canonical(local));
        if peer.is_ipv4() != local.is_ipv4() {
            return Ok(None);
        }
        find(peer, local)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn find(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<SocketOwner>> {
    let found = match super::sock_diag::find(peer, local) {
        Ok(found) => found,
        Err(_) => super::proc_net::find(peer, local)?,
    };
    Ok(found.map(|(uid, inode)| SocketOwner { uid, inode }))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn find(_: SocketAddr, _: SocketAddr) -> io::Result<Option<SocketOwner>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::listen::{proc_net, sock_diag};

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn the_other_end_is_found_in_both_ways() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let local = server.local_addr().unwrap();
            let found = SocketOwner::find(peer, local).unwrap().unwrap();
            assert_eq!(found.uid, own_uid());
            assert_ne!(found.inode, 0);
            for uid in [1, 2] {
                assert_eq!(SocketOwner { uid, ..found }.user(), known_user(uid));
            }
            let both = Some((found.uid, found.inode));
            assert_eq!(sock_diag::find(peer, local).unwrap(), both);
            assert_eq!(proc_net::find(peer, local).unwrap(), both);
            // The server's own end is another socket, and a port without a socket has no owner.
            let own = SocketOwner::find(local, peer).unwrap().unwrap();
            assert_ne!(own.inode, found.inode);
            let unused = SocketAddr::new(peer.ip(), 1);
            assert_eq!(SocketOwner::find(unused, local).unwrap(), None);
            drop(client);
            // No process holds it now, though it may be there.
            assert_eq!(SocketOwner::find(peer, local).unwrap(), None);
        }
    }

    #[test]
    fn a_listener_is_not_taken_for_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let elsewhere = "127.0.0.1:9".parse().unwrap();
        assert_eq!(SocketOwner::find(local, elsewhere).unwrap(), None);
    }

    #[test]
    fn an_address_mapped_to_ipv6_is_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let mapped: SocketAddr = format!("[::ffff:127.0.0.1]:{}", peer.port())
            .parse()
            .unwrap();
        let found = SocketOwner::find(mapped, server.local_addr().unwrap()).unwrap();
        assert_eq!(found.unwrap().uid, own_uid());
    }

    #[test]
    fn a_socket_of_ipv6_that_speaks_ipv4_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let Ok(_client) = TcpStream::connect(format!("[::ffff:127.0.0.1]:{port}")) else {
            return; // a machine without IPv6
        };
        let (server, peer) = listener.accept().unwrap();
        let local = server.local_addr().unwrap();
        let by_netlink = sock_diag::find(peer, local).unwrap();
        assert_eq!(by_netlink.unwrap().0, own_uid());
        assert_eq!(proc_net::find(peer, local).unwrap(), by_netlink);
    }
}
