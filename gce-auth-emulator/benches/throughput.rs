//! Values and tokens per second, beside a bare hyper server that answers every request with the
//! same bytes: the most that is to be had here.
//!
//! One thread asks over 32 connections that stay open, and always has 31 requests under way; the
//! server has a thread of its own. All three are asked in turn, in rounds, and each is compared
//! with the bare server of the same round. Prints a Markdown table. `MILLISECONDS` changes the
//! length of a turn, `ROUNDS` their number, `ONLY` asks for one server alone, for a profiler.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

mod machine;

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use gce_auth_emulator::Emulator;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;

const CONNECTIONS: usize = 32;
const VALUE: &str = "instance/id";
const TOKEN: &str = "instance/service-accounts/default/token";

/// hyper and nothing else, on a runtime like the emulator's.
fn bare(body: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service_fn(move |_: Request<Incoming>| async move {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body))))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    address
}

/// A server, what it is asked, and how fast it was.
struct Contestant {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    /// Requests per second, and microseconds of the server's processor for each request, by round.
    rounds: Vec<(f64, Option<f64>)>,
}

impl Contestant {
    fn ask(&mut self, time: Duration) {
        let request = format!(
            "GET /computeMetadata/v1/{} HTTP/1.1\r\nHost: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\
             User-Agent: throughput/1\r\nAccept: */*\r\n\r\n",
            self.path
        );
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| {
                let stream = TcpStream::connect(self.address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            })
            .collect();
        let mut buffer = [0; 4096];
        // The answers of one server are of one length.
        streams[0].write_all(request.as_bytes()).unwrap();
        let length = streams[0].read(&mut buffer).unwrap();
        assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        let mut done = 0_u32;
        let (start, used) = (Instant::now(), others());
        while start.elapsed() < time {
            for stream in &mut streams {
                stream.read_exact(&mut buffer[..length]).unwrap();
                assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
                stream.write_all(request.as_bytes()).unwrap();
                done += 1;
            }
        }
        let rate = f64::from(done) / start.elapsed().as_secs_f64();
        let used = used
            .zip(others())
            .map(|(before, after)| (after - before).as_secs_f64() * 1e6 / f64::from(done));
        self.rounds.push((rate, used));
    }
}

/// The processor time of all threads but this one.
#[cfg(unix)]
fn others() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let used = |clock| Duration::try_from(clock_gettime(clock)).ok();
    used(ClockId::ProcessCPUTime)?.checked_sub(used(ClockId::ThreadCPUTime)?)
}

#[cfg(not(unix))]
fn others() -> Option<Duration> {
    None
}

/// The median, the least and the most.
fn spread(figures: impl IntoIterator<Item = f64>) -> (f64, f64, f64) {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    (
        figures[figures.len() / 2],
        figures[0],
        figures[figures.len() - 1],
    )
}

fn main() {
    let time = Duration::from_millis(machine::number("MILLISECONDS", 700) as u64);
    let rounds = machine::number("ROUNDS", 9);
    let only = std::env::var("ONLY").ok();
    let emulator = Emulator::builder().start().unwrap();
    let contestant = |name, address, path| Contestant {
        name,
        address,
        path,
        rounds: Vec::new(),
    };
    let mut all = [
        contestant("bare hyper", bare(b"5737554347302044216"), VALUE),
        contestant("emulator, a value", emulator.addr(), VALUE),
        contestant("emulator, a token", emulator.addr(), TOKEN),
    ];
    for _ in 0..rounds {
        for contestant in &mut all {
            if only
                .as_ref()
                .is_none_or(|only| contestant.name.contains(only))
            {
                contestant.ask(time);
            }
        }
    }
    println!(
        "| server | requests per second (least to most) | of bare hyper (least to most) | server's processor for each |"
    );
    println!("| --- | --- | --- | --- |");
    let bare = all[0].rounds.clone();
    for Contestant { name, rounds, .. } in all.iter().filter(|one| !one.rounds.is_empty()) {
        let (rate, least, most) = spread(rounds.iter().map(|(rate, _)| *rate));
        let ratios = rounds
            .iter()
            .zip(&bare)
            .map(|((rate, _), (bare, _))| rate / bare * 100.0);
        let ratio = if bare.is_empty() {
            "–".into()
        } else {
            let (ratio, low, high) = spread(ratios);
            format!("{ratio:.0} % ({low:.0} to {high:.0})")
        };
        let used = rounds
            .iter()
            .filter_map(|(_, used)| *used)
            .collect::<Vec<_>>();
        let used = if used.is_empty() {
            "–".into()
        } else {
            format!("{:.1} µs", spread(used).0)
        };
        println!("| {name} | {rate:.0} ({least:.0} to {most:.0}) | {ratio} | {used} |");
    }
}
