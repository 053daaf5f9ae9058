//! `gce-auth token` and credential helpers as whole processes, from their start to their end, beside others that get
//! the same token from the same server: the least that a program can do, Google's own helpers where they are
//! installed, and the clients of Python and Node.
//!
//! `cargo bench -p gce-auth-conformance --bench command` prints a table in Markdown. With a number after `--` that many
//! rounds are made instead of 200. `docker-credential-gcr` comes from
//! `go install github.com/GoogleCloudPlatform/docker-credential-gcr/v2@latest`.

#![allow(clippy::unwrap_used, reason = "nothing can be measured then")]
#![allow(clippy::print_stdout, reason = "this is what it is for")]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures by the machine's clock"
)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
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
    /// What a tool writes to its helper.
    input: &'static str,
    /// It runs in every so-many-th round.
    every: usize,
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
        assert!(said.contains("ya29."), "{}: no token", self.name);
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

/// The names of helpers, with the arguments and the input of their tools.
const HELPERS: [(&str, &str, &[&str], &str); 8] = [
    (
        "`docker-credential-gce-auth get`",
        "docker-credential-gce-auth",
        &["get"],
        "us-docker.pkg.dev",
    ),
    ("`gce-auth-kubectl`", "gce-auth-kubectl", &[], ""),
    (
        "`git-credential-gce-auth get`",
        "git-credential-gce-auth",
        &["get"],
        "protocol=https\nhost=googlesource.com\n\n",
    ),
    (
        "`keyring get`",
        "keyring",
        &[
            "get",
            "https://us-python.pkg.dev/p/r/simple/",
            "oauth2accesstoken",
        ],
        "",
    ),
    (
        "`cargo-credential-gce-auth`",
        "cargo-credential-gce-auth",
        &["--cargo-plugin"],
        "{\"v\":1,\"kind\":\"get\",\"operation\":\"read\",\
         \"registry\":{\"index-url\":\"sparse+https://us-cargo.pkg.dev/p/r/\"}}\n",
    ),
    (
        "`gce-auth-kubelet`",
        "gce-auth-kubelet",
        &[],
        "{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
         \"kind\":\"CredentialProviderRequest\",\"image\":\"gcr.io/p/image\"}",
    ),
    (
        "`bazel-credential-gce-auth get`",
        "bazel-credential-gce-auth",
        &["get"],
        "{\"uri\":\"https://storage.googleapis.com/b/o\"}",
    ),
    (
        "`gce-auth helper goauth URL`",
        "gce-auth",
        &["helper", "goauth", "https://us-go.pkg.dev/p/r/m/@v/list"],
        "",
    ),
];

/// Google's own helpers.
const OF_GOOGLE: [(&str, &str, &[&str], &str); 3] = [
    (
        "`docker-credential-gcr get`",
        "docker-credential-gcr",
        &["get"],
        "https://us-docker.pkg.dev",
    ),
    (
        "`docker-credential-gcloud get`",
        "docker-credential-gcloud",
        &["get"],
        "us-docker.pkg.dev",
    ),
    (
        "`gke-gcloud-auth-plugin` with default credentials",
        "gke-gcloud-auth-plugin",
        &["--use_application_default_credentials"],
        "",
    ),
];

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

fn programs(gce_auth: PathBuf) -> Vec<Program> {
    let new = |name, client, every, input| Program {
        name,
        client,
        input,
        every,
        times: Vec::new(),
        memory: 0,
    };
    let mut all = Vec::new();
    if let Some(floor) = interop::ready_or_skip(interop::floor(target())) {
        all.push(new("std alone, one request", floor, 1, ""));
    }
    for (name, program, arguments, input) in HELPERS {
        all.push(new(
            name,
            client(link(&gce_auth, program), arguments),
            1,
            input,
        ));
    }
    for (name, program, arguments, input) in OF_GOOGLE {
        // One that is missing is not in the table.
        if let Some(program) = interop::installed(program) {
            all.push(new(name, client(program, arguments), 10, input));
        }
    }
    all.insert(
        1,
        new("`gce-auth token`", client(gce_auth, &["token"]), 1, ""),
    );
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
            all.push(new(name, client, 10, ""));
        }
    }
    all
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
