//! An agent that is killed again and again while its source comes and goes, and one under load for
//! long. `GCE_AUTH_AGENT_CHAOS_SECONDS`, `GCE_AUTH_AGENT_CHAOS_SEED` and
//! `GCE_AUTH_AGENT_LOAD_SECONDS` change how long, and with which numbers.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "what it began with is printed")]
#![allow(
    clippy::disallowed_methods,
    reason = "real clients wait in real time, and the settings are the environment's"
)]

mod support;

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gce_auth_emulator::{Account, Emulator, Fault};
use serde_json::Value;
use support::agent::{Agent, ask, token_of};

const CLIENTS: usize = 64;
const ACCOUNTS: [&str; 3] = [
    "first@p.iam.gserviceaccount.com",
    "second@p.iam.gserviceaccount.com",
    "third@p.iam.gserviceaccount.com",
];
/// Longer than any kill and any trouble of the source, with all that wait for a token after it.
const PATIENCE: Duration = Duration::from_secs(30);

fn told(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn millis(&mut self, least: u64, more: u64) -> Duration {
        Duration::from_millis(least + self.below(more))
    }
}

fn source() -> Emulator {
    let mut builder = Emulator::builder();
    for account in ACCOUNTS {
        builder = builder.account(Account::new(account));
    }
    builder.start().unwrap()
}

/// An address that no client is given by the system: one that is would connect to itself.
fn free_address(numbers: &mut Numbers) -> SocketAddr {
    loop {
        let port = u16::try_from(20_000 + numbers.below(10_000)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// What goes wrong with every request for a while.
fn trouble(numbers: &mut Numbers) -> Fault {
    match numbers.below(6) {
        0 => Fault::Status {
            code: 503,
            retry_after: None,
        },
        1 => Fault::Status {
            code: 429,
            retry_after: Some(1),
        },
        2 => Fault::Reset,
        3 => Fault::Close,
        4 => Fault::MissingFlavor,
        _ => Fault::Delay(Duration::from_millis(200)),
    }
}

#[test]
fn clients_outlive_an_agent_that_is_killed_and_a_source_that_comes_and_goes() {
    let seed = told("GCE_AUTH_AGENT_CHAOS_SEED");
    let seed = seed
        .unwrap_or_else(|| RandomState::new().hash_one(1))
        .max(1);
    let seconds = told("GCE_AUTH_AGENT_CHAOS_SECONDS").unwrap_or(5);
    println!("seed {seed}, {seconds} s: GCE_AUTH_AGENT_CHAOS_SEED, GCE_AUTH_AGENT_CHAOS_SECONDS");
    let source = source();
    let mut numbers = Numbers(seed.rotate_left(17).max(1));
    let address = free_address(&mut numbers);
    let listen = address.to_string();
    let start = || Agent::start(&source, &["--listen", &listen]);
    let mut agent = start();
    let over = AtomicBool::new(false);
    let (served, failed, kills) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    // Which account each token was had for.
    let tokens: Mutex<HashMap<String, HashSet<&str>>> = Mutex::default();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let account = ACCOUNTS[client % ACCOUNTS.len()];
            let (over, served, failed, tokens) = (&over, &served, &failed, &tokens);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // What libraries do, for longer than a restart takes.
                    let began = Instant::now();
                    let token = loop {
                        match token_of(address, account) {
                            Ok(token) => break token,
                            Err(error) => {
                                failed.fetch_add(1, Ordering::Relaxed);
                                assert!(began.elapsed() < PATIENCE, "{account}: {error}");
                                thread::sleep(Duration::from_millis(50));
                            }
                        }
                    };
                    served.fetch_add(1, Ordering::Relaxed);
                    tokens
                        .lock()
                        .unwrap()
                        .entry(token)
                        .or_default()
                        .insert(account);
                }
            });
        }
        let (source, over) = (&source, &over);
        scope.spawn(move || {
            let mut numbers = Numbers(seed);
            while !over.load(Ordering::Relaxed) {
                let length = numbers.millis(50, 700);
                source.fail_for("/", length, trouble(&mut numbers));
                thread::sleep(length + numbers.millis(50, 500));
            }
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(numbers.millis(100, 1200));
            agent.child.kill().unwrap();
            agent.child.wait().unwrap();
            agent = start();
            kills.fetch_add(1, Ordering::Relaxed);
        }
        over.store(true, Ordering::Relaxed);
    });
    source.heal();
    let (served, failed) = (served.into_inner(), failed.into_inner());
    let tokens = tokens.into_inner().unwrap();
    println!(
        "{served} served, {failed} tried again, {kills:?} kills, {} tokens",
        tokens.len()
    );
    assert!(failed > 0, "the agent was missed");
    assert!(served > CLIENTS, "{served} served");
    for (token, accounts) in tokens {
        let answer = ask(source.addr(), &format!("/tokeninfo?access_token={token}")).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let info: Value = serde_json::from_str(body).unwrap();
        let email = info["email"].as_str().unwrap();
        assert_eq!(accounts, HashSet::from([email]), "seed {seed}");
    }
}

/// What a process has: resident memory in bytes, and open descriptors.
fn size_of(pid: u32) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    (
        kilobytes.parse::<usize>().unwrap() * 1024,
        descriptors.count(),
    )
}

/// Asks over one connection, so often.
fn keep_asking(address: SocketAddr, paths: &[String], times: usize) {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    for number in 0..times {
        let path = &paths[number % paths.len()];
        write!(
            stream.get_mut(),
            "GET {path} HTTP/1.1\r\nHost: metadata\r\nMetadata-Flavor: Google\r\n\r\n"
        )
        .unwrap();
        let (mut length, mut first) = (0, true);
        loop {
            let mut line = String::new();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0, "closed");
            assert!(
                !first || line.starts_with("HTTP/1.1 200 "),
                "{path}: {line}"
            );
            first = false;
            if line == "\r\n" {
                break;
            }
            if let Some(rest) = line.strip_prefix("Content-Length: ") {
                length = rest.trim_end().parse().unwrap();
            }
        }
        stream.read_exact(&mut vec![0; length]).unwrap();
    }
}

#[test]
fn load_does_not_let_an_agent_grow() {
    let seconds = told("GCE_AUTH_AGENT_LOAD_SECONDS").unwrap_or(5);
    println!("{seconds} s: GCE_AUTH_AGENT_LOAD_SECONDS");
    let source = source();
    let agent = Agent::start(&source, &["--listen", "127.0.0.1:0"]);
    let address = agent.address();
    let account = "/computeMetadata/v1/instance/service-accounts";
    let mut paths: Vec<String> = ACCOUNTS
        .iter()
        .map(|email| format!("{account}/{email}/token"))
        .collect();
    paths.push("/computeMetadata/v1/instance/zone".into());
    paths.push("/computeMetadata/v1/instance/?recursive=true".into());
    // Another audience with each round; for long, more than are kept.
    let audiences = if seconds < 60 { 100 } else { 2500 };
    let round = |number: usize| {
        let number = number % audiences;
        let mut paths = paths.clone();
        paths.push(format!(
            "{account}/default/identity?audience=https://{number}.example"
        ));
        paths
    };
    let asked = AtomicUsize::new(0);
    let load = |time: Duration| {
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while began.elapsed() < time {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        let paths = round(number);
                        keep_asking(address, &paths, paths.len());
                    }
                });
            }
        });
    };
    // Until all that is kept is kept.
    while asked.load(Ordering::Relaxed) < audiences {
        load(Duration::from_secs(1));
    }
    let (memory, descriptors) = size_of(agent.child.id());
    let mut most = memory;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        load(Duration::from_secs(1));
        most = most.max(size_of(agent.child.id()).0);
    }
    let (after, left) = size_of(agent.child.id());
    println!(
        "{} connections; {memory} bytes before, {most} at most, {after} after; {descriptors} \
         descriptors before, {left} after",
        asked.into_inner()
    );
    assert!(after < memory + (8 << 20), "{memory} bytes grew to {after}");
    assert!(
        left <= descriptors + 8,
        "{descriptors} descriptors grew to {left}"
    );
}
