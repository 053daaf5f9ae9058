//! Connections that are passed on, each on threads of its own.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// Connections at a time: each takes two threads.
const MOST: usize = 256;

/// Passes what connects to `listener` to `serve`, and what is too much to `refuse`, on threads of
/// its own, until the process ends.
pub(super) fn accept(
    listener: TcpListener,
    serve: impl Fn(&TcpStream) + Send + Sync + 'static,
    refuse: impl Fn(&TcpStream) + Send + 'static,
) -> io::Result<()> {
    let open = Arc::new(serve);
    let accept = move || {
        for client in listener.incoming() {
            let Ok(client) = client else {
                // There are no descriptors left: wait for a connection to end.
                thread::park_timeout(Duration::from_millis(10));
                continue;
            };
            let serve = Arc::clone(&open);
            if Arc::strong_count(&open) > MOST {
                refuse(&client);
                continue;
            }
            // Without a thread the connection is closed.
            let _ = named("relay").spawn(move || serve(&client));
        }
    };
    named("accept").spawn(accept).map(drop)
}

/// Carries bytes both ways to their ends.
pub(super) fn both_ways(client: &TcpStream, server: &TcpStream) {
    thread::scope(|scope| {
        let there = named("relay").spawn_scoped(scope, || carry(client, server));
        if there.is_ok() {
            carry(server, client);
        }
    });
}

/// Carries bytes both ways until the server's end, at which the client's comes, too.
pub(super) fn until_the_server_ends(client: &TcpStream, server: &TcpStream) {
    thread::scope(|scope| {
        let there = named("relay").spawn_scoped(scope, || carry(client, server));
        if there.is_ok() {
            carry(server, client);
        }
        let _ = client.shutdown(Shutdown::Both);
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

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}
