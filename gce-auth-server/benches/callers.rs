//! How long it takes to find whose a connection over loopback is: with few sockets on the host, and
//! with many. Prints a line for each.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Instant,
};

use gce_auth_server::listen::SocketOwner;

const ROUNDS: usize = 9;
const LOOKUPS: usize = 2_000;
const FEW: usize = 10;
const MANY: usize = 10_000;

/// The ends of a connection that stays open.
struct Held {
    _client: TcpStream,
    _server: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

fn connect(listener: &TcpListener) -> Held {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, peer) = listener.accept().unwrap();
    Held {
        local: server.local_addr().unwrap(),
        peer,
        _client: client,
        _server: server,
    }
}

/// Microseconds for one lookup: the median of the rounds, and the 99th of 100 lookups.
fn measure(held: &[Held]) -> (f64, f64) {
    let own = rustix::process::geteuid().as_raw();
    let mut medians = Vec::new();
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let mut times: Vec<f64> = (0..LOOKUPS)
            .map(|number| {
                let one = &held[number * 7 % held.len()];
                let began = Instant::now();
                let owner = SocketOwner::find(one.peer, one.local).unwrap().unwrap();
                let took = began.elapsed().as_secs_f64() * 1e6;
                assert_eq!(owner.uid, own);
                took
            })
            .collect();
        times.sort_by(f64::total_cmp);
        medians.push(times[LOOKUPS / 2]);
        all.append(&mut times);
    }
    medians.sort_by(f64::total_cmp);
    all.sort_by(f64::total_cmp);
    (medians[ROUNDS / 2], all[all.len() / 100 * 99])
}

fn main() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Two sockets for each connection.
    let mut held: Vec<_> = (0..FEW / 2).map(|_| connect(&listener)).collect();
    for sockets in [FEW, MANY] {
        while held.len() < sockets / 2 {
            held.push(connect(&listener));
        }
        let (median, late) = measure(&held);
        println!("caller found with {sockets} sockets: {median:.1} µs, p99 {late:.1} µs");
    }
}
