//! Ports of the loopback interface outside, relayed to an isolated program.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;

/// Connections at a time: each takes two threads.
const MOST: usize = 256;

/// Relays what connects to `listener` to this port of the loopback interface, on threads of its own,
/// until the process ends.
pub(super) fn start(listener: TcpListener, port: u16) -> io::Result<()> {
    let open = Arc::new(());
    let accept = move || {
        for client in listener.incoming() {
            let Ok(client) = client else {
                // The listener is closed, or there are no descriptors: wait for a connection to end.
                thread::park_timeout(Duration::from_millis(10));
                continue;
            };
            let permit = Arc::clone(&open);
            if Arc::strong_count(&open) > MOST {
                reset(&client);
                continue;
            }
            let relay = move || {
                relay(&client, port);
                drop(permit);
            };
            // Without a thread the connection is closed.
            let _ = thread::Builder::new().name("relay".to_owned()).spawn(relay);
        }
    };
    let thread = thread::Builder::new().name(format!("port {port}"));
    thread.spawn(accept).map(drop)
}

/// Carries bytes both ways to their end. Resets the connection if no program listens outside.
fn relay(client: &TcpStream, port: u16) {
    let addresses: [SocketAddr; 2] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ];
    let Ok(server) = TcpStream::connect(&addresses[..]) else {
        return reset(client);
    };
    thread::scope(|scope| {
        let there = thread::Builder::new().name("relay".to_owned());
        let there = there.spawn_scoped(scope, || carry(client, &server));
        if there.is_ok() {
            carry(&server, client);
        }
    });
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let carried = io::copy(&mut from, &mut to);
    let how = if carried.is_ok() {
        Shutdown::Write
    } else {
        Shutdown::Both
    };
    let _ = to.shutdown(how);
}

fn reset(client: &TcpStream) {
    let _ = set_socket_linger(client, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn relayed(port: u16) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        start(listener, port).unwrap();
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
