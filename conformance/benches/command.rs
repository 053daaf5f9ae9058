//! `gce-auth token` as a whole process, from its start to its end, beside others that get the same token from the same
//! server: the least that a program can do, and the clients of Python and Node.
//!
//! `cargo bench -p gce-auth-conformance --bench command` prints a table in Markdown. With a number after `--` that many
//! rounds are made instead of 200.

#![allow(clippy::unwrap_used, reason = "nothing can be measured then")]
#![allow(clippy::print_stdout, reason = "this is what it is for")]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures by the machine's clock"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gce_auth_conformance::interop::{self, Build, Client};
use serde_json::Value;
use wait4::Wait4;

/// How often each program runs; the slow ones a tenth of it.
const ROUNDS: usize = 200;

/// A program, and what its runs took.
struct Program {
    name: &'static str,
    client: Client,
    /// It runs in every so-many-th round.
    every: usize,
    times: Vec<Duration>,
    memory: u64,
}

impl Program {
    fn run(&mut self, environment: &[(String, String)]) {
        let mut command = self.client.command(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut token = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut token).unwrap();
        let ended = child.wait4().unwrap();
        let time = start.elapsed();
        assert!(ended.status.success(), "{}: {}", self.name, ended.status);
        assert!(token.starts_with("ya29."), "{}: no token", self.name);
        self.times.push(time);
        self.memory = self.memory.max(ended.rusage.maxrss);
    }

    /// In milliseconds; the part is of 100.
    fn percentile(&mut self, part: usize) -> f64 {
        self.times.sort_unstable();
        let index = (self.times.len() - 1) * part / 100;
        self.times[index].as_secs_f64() * 1000.0
    }
}

/// An emulator in a process of its own, so that its memory is not counted with a command's.
struct Server(Child);

impl Server {
    fn start(gce_auth: &Path) -> (Self, Vec<(String, String)>) {
        let mut child = Command::new(gce_auth)
            .args(["emulate", "--ready-json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let variables = ready["env"].as_object().unwrap().iter();
        let variables = variables
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        (Self(child), variables)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn target() -> &'static Path {
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    inside.parent().unwrap()
}

fn programs(gce_auth: PathBuf) -> Vec<Program> {
    let fast = [
        ("std alone, one request", interop::floor(target())),
        (
            "`gce-auth token`",
            Ok(Client::new("gce-auth", gce_auth, vec!["token".into()])),
        ),
    ];
    let slow = [
        (
            "Python, google-auth",
            interop::python(target(), "access_token.py"),
        ),
        (
            "Node, google-auth-library",
            interop::node(target(), "access_token.js"),
        ),
    ];
    let fast = fast.map(|(name, client)| (name, client, 1));
    let slow = slow.map(|(name, client)| (name, client, 10));
    let all = fast.into_iter().chain(slow);
    all.filter_map(|(name, client, every)| {
        Some(Program {
            name,
            client: interop::ready_or_skip(client)?,
            every,
            times: Vec::new(),
            memory: 0,
        })
    })
    .collect()
}

fn main() {
    let rounds = env::args().find_map(|argument| argument.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS).max(1);
    let gce_auth = interop::gce_auth(target(), Build::Release).unwrap();
    let (_server, environment) = Server::start(&gce_auth);
    let mut programs = programs(gce_auth);
    // What is first read from disk is not what is measured.
    for program in &mut programs {
        program.run(&environment);
        program.times.clear();
    }
    for round in 0..rounds {
        for program in &mut programs {
            if round % program.every == 0 {
                program.run(&environment);
            }
        }
    }
    let floor = [10, 50].map(|part| programs[0].percentile(part));
    println!(
        "| program | median, ms | 10th to 90th percentile, ms | times the first, by median | \
         by 10th percentile | peak memory, MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for program in &mut programs {
        let [low, median, high] = [10, 50, 90].map(|part| program.percentile(part));
        let (name, ratios) = (program.name, [low / floor[0], median / floor[1]]);
        let memory = program.memory as f64 / 1e6;
        println!(
            "| {name} | {median:.2} | {low:.2} to {high:.2} | {:.2} | {:.2} | {memory:.1} |",
            ratios[1], ratios[0]
        );
    }
    println!(
        "\n{rounds} rounds, in turn; memory as the system counts it, shared libraries included. \
         Where the machine has other work, the 10th percentile says more than the median."
    );
}
