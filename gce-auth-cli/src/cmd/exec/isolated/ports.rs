//! Ports of the loopback interface outside, relayed to an isolated program.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;

use crate::cmd::exec::relay;

/// Relays what connects to `listener` to this port of the loopback interface. Resets connections if
/// no program listens there.
pub(super) fn relay(listener: TcpListener, port: u16) -> io::Result<()> {
    let addresses: [SocketAddr; 2] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ];
    let serve = move |client: &TcpStream| match TcpStream::connect(&addresses[..]) {
        Ok(server) => relay::both_ways(client, &server),
        Err(_) => reset(client),
    };
    relay::accept(listener, serve, reset)
}

fn reset(client: &TcpStream) {
    let _ = set_socket_linger(client, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::Shutdown,
    };

    use super::*;

    fn relayed(port: u16) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        relay(listener, port).unwrap();
        TcpStream::connect(address).unwrap()
    }

    #[test]
    fn bytes_go_both_ways_and_ends_do_too() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = relayed(server.local_addr().unwrap().port());
        let (mut served, _) = server.accept().unwrap();
        client.write_all(b"asked").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        served.read_to_string(&mut text).unwrap();
        assert_eq!(text, "asked");
        served.write_all(b"answered").unwrap();
        drop(served);
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answered");
    }

    #[test]
    fn without_a_server_the_connection_is_reset() {
        // No program is given this port.
        let mut client = relayed(1);
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
