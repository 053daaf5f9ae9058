//! `gce-auth token` and credential helpers as whole processes, from their start to their end,
//! beside others that get the same token from the same server: the least that a program can do,
//! Google's own helpers where they are installed, and the clients of Python and Node.
//!
//! `cargo bench -p gce-auth-conformance --bench command` prints a table in Markdown, and fails if
//! the median of `gce-auth token` or of a helper is more than 1.5 times that of the least. With a
//! number after `--` that many rounds are made instead of 200. `docker-credential-gcr` comes from
//! `go install github.com/GoogleCloudPlatform/docker-credential-gcr/v2@v2.2.1`,
//! `gke-gcloud-auth-plugin` from Google's repository for apt.

#![allow(clippy::unwrap_used, reason = "nothing can be measured then")]
#![allow(clippy::print_stdout, reason = "this is what it is for")]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures by the machine's clock"
)]

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use gce_auth_conformance::interop::{self, Build, Client};
use serde_json::Value;
use wait4::Wait4;

use self::helpers::{HELPERS, Helper, Kind, OF_GOOGLE};

#[path = "command/helpers.rs"]
mod helpers;

/// How often each program runs; the slow ones a tenth of it.
const ROUNDS: usize = 200;
/// What a helper may take, in times of the least for its kind of token.
const LIMIT: f64 = 1.5;
const AUDIENCE: &str = "https://service.example";

/// A program, and what its runs took.
struct Program {
    name: &'static str,
    client: Client,
    /// What a tool writes to its helper.
    input: &'static str,
    kind: Kind,
    /// It runs in every so-many-th round.
    every: usize,
    /// Whether it is held to [`LIMIT`].
    is_limited: bool,
    times: Vec<Duration>,
    memory: u64,
}

impl Program {
    fn run(&mut self, environment: &[(String, String)]) {
        let mut command = self.client.command(environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().unwrap();
        // Not every program reads it; the pipe holds it all.
        let _ = child.stdin.take().unwrap().write_all(self.input.as_bytes());
        let mut said = String::new();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        let ended = child.wait4().unwrap();
        let time = start.elapsed();
        assert!(ended.status.success(), "{}: {}", self.name, ended.status);
        assert!(said.contains(self.kind.start()), "{}: no token", self.name);
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

fn client(program: PathBuf, arguments: &[&str]) -> Client {
    let arguments = arguments.iter().map(OsString::from).collect();
    Client::new("helper", program, arguments)
}

/// A link of this name to the command, in a folder of its own.
fn link(gce_auth: &Path, name: &str) -> PathBuf {
    let folder = target().join("interop/helpers");
    fs::create_dir_all(&folder).unwrap();
    let link = folder.join(name);
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(gce_auth, &link).unwrap();
    link
}

/// The least for each kind of token.
fn floors() -> Vec<Program> {
    let floor = interop::floor(target()).unwrap_or_else(|missing| panic!("{missing}"));
    let identity = interop::floor(target()).map(|floor| floor.with(AUDIENCE));
    let identity = identity.unwrap_or_else(|missing| panic!("{missing}"));
    vec![
        new("std alone, one request", floor, Kind::Access, 1),
        new(
            "std alone, one request for an ID token",
            identity,
            Kind::Identity,
            1,
        ),
    ]
}

fn new(name: &'static str, client: Client, kind: Kind, every: usize) -> Program {
    Program {
        name,
        client,
        input: "",
        kind,
        every,
        is_limited: false,
        times: Vec::new(),
        memory: 0,
    }
}

fn helper(helper: &Helper, program: PathBuf, every: usize) -> Program {
    let client = client(program, helper.arguments);
    Program {
        input: helper.input,
        is_limited: helper.is_limited,
        ..new(helper.name, client, helper.kind, every)
    }
}

fn programs(gce_auth: &Path) -> Vec<Program> {
    let mut all = Vec::new();
    for ours in HELPERS {
        all.push(helper(ours, link(gce_auth, ours.program), 1));
    }
    for theirs in OF_GOOGLE {
        match interop::installed(theirs.program) {
            Some(program) => all.push(helper(theirs, program, 10)),
            None => interop::skip(&format!("{} is not installed", theirs.program)),
        }
    }
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
    for (name, client) in slow {
        if let Some(client) = interop::ready_or_skip(client) {
            all.push(new(name, client, Kind::Access, 10));
        }
    }
    all
}

fn main() -> ExitCode {
    let rounds = env::args().find_map(|argument| argument.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS).max(1);
    let gce_auth = interop::gce_auth(target(), Build::Release).unwrap();
    let (_server, environment) = Server::start(&gce_auth);
    let mut programs = floors();
    programs.extend(self::programs(&gce_auth));
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
    let floors: Vec<_> = programs[..2]
        .iter_mut()
        .map(|floor| (floor.kind, [10, 50].map(|part| floor.percentile(part))))
        .collect();
    println!(
        "| program | median, ms | 10th to 90th percentile, ms | times std alone, by median | \
         by 10th percentile | peak memory, MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut slow = Vec::new();
    for program in &mut programs {
        let [low, median, high] = [10, 50, 90].map(|part| program.percentile(part));
        let of_its_kind = floors.iter().find(|(kind, _)| *kind == program.kind);
        let (_, floor) = of_its_kind.unwrap();
        let (name, ratios) = (program.name, [low / floor[0], median / floor[1]]);
        let memory = program.memory as f64 / 1e6;
        println!(
            "| {name} | {median:.2} | {low:.2} to {high:.2} | {:.2} | {:.2} | {memory:.1} |",
            ratios[1], ratios[0]
        );
        if program.is_limited && ratios[1] > LIMIT {
            slow.push(format!("{name}: {:.2} times", ratios[1]));
        }
    }
    println!(
        "\n{rounds} rounds, in turn; memory as the system counts it, shared libraries included. \
         Where the machine has other work, the 10th percentile says more than the median."
    );
    if slow.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nOver {LIMIT} times std alone, by median: {}",
        slow.join("; ")
    );
    ExitCode::FAILURE
}
