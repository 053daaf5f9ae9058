//! The consoles of the READMEs show what the command prints: each line that begins with `$ ` is
//! run, one after the other in one shell, and what it prints is compared, but for what differs from
//! run to run.
//!
//! `TOUR=overwrite cargo test -p gce-auth-cli --test tour` writes the output anew.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]
#![allow(
    clippy::disallowed_methods,
    reason = "variables say where programs are, and what is to be done"
)]

mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use support::{cleared, redact::redact};

/// The port that the READMEs name; a free one takes its place.
const PORT: &str = "8173";

/// A shell to which one line is said after the other.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    port: String,
}

impl Shell {
    fn new(name: &str) -> Self {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let gce_auth = Path::new(env!("CARGO_BIN_EXE_gce-auth")).parent().unwrap();
        let path = env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        for name in cleared() {
            command.env_remove(name);
        }
        let mut child = command
            .current_dir(place)
            .env("PATH", format!("{}:{path}", gce_auth.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut shell = Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            port: free.local_addr().unwrap().port().to_string(),
        };
        drop(free);
        // What runs in the background ends with the shell, and says nothing.
        shell.say("exec 2>&1; trap 'kill $started' EXIT");
        shell
    }

    /// Runs a line; gives what it printed.
    fn say(&mut self, line: &str) -> String {
        let line = line.replace(PORT, &self.port);
        let (line, end) = match line.strip_suffix('&') {
            Some(line) if line.contains('>') => (line, "2>/dev/null & started=\"$started $!\""),
            Some(line) => (line, ">/dev/null 2>&1 & started=\"$started $!\""),
            None => (line.as_str(), ""),
        };
        writeln!(
            self.stdin,
            "{line} {end}\ncode=$?; printf '\\n\\036\\n'; (exit $code)"
        )
        .unwrap();
        let mut printed = String::new();
        loop {
            let mut read = String::new();
            assert_ne!(
                self.stdout.read_line(&mut read).unwrap(),
                0,
                "{line}: {printed}"
            );
            if read == "\u{1e}\n" {
                break;
            }
            printed += &read;
        }
        // The line break before the mark.
        printed.pop();
        if !printed.is_empty() && !printed.ends_with('\n') {
            printed.push('\n');
        }
        printed.replace(&self.port, PORT)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = writeln!(self.stdin, "exit");
        let _ = self.child.wait();
    }
}

/// The text, with the output of its consoles as it is now. Lines that install something are left as
/// they are.
fn played(text: &str, name: &str) -> String {
    let mut shell = Shell::new(name);
    let mut result = String::new();
    let mut lines = text.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        result += line;
        result.push('\n');
        inside = if inside {
            line != "```"
        } else {
            line == "```console"
        };
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else {
            continue;
        };
        let mut old = String::new();
        while let Some(next) = lines.next_if(|next| *next != "```" && !next.starts_with("$ ")) {
            old += next;
            old.push('\n');
        }
        if command.starts_with("cargo ") {
            result += &old;
            continue;
        }
        result += &shell.say(command);
    }
    result
}

/// The text without what is of this run, or of this machine.
fn stable(text: &str) -> String {
    let lines = redact(text);
    let lines = lines.lines().filter(|line| !line.contains(" firmware "));
    lines.collect::<Vec<_>>().join("\n")
}

fn has_curl() -> bool {
    let curl = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let there = curl.is_ok_and(|status| status.success());
    let required = env::var("GCE_AUTH_INTEROP").is_ok_and(|value| value == "required");
    assert!(there || !required, "there is no curl");
    there
}

fn play(file: &str) {
    if !has_curl() {
        println!("SKIPPED: there is no curl");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let old = fs::read_to_string(&path).unwrap();
    let new = played(&old, &file.replace(['/', '.'], "-"));
    if env::var("TOUR").is_ok_and(|value| value == "overwrite") {
        fs::write(&path, new).unwrap();
        return;
    }
    let (old, new) = (stable(&old), stable(&new));
    snapbox::assert_data_eq!(new, snapbox::Data::text(old).raw());
}

#[test]
fn the_tour_of_the_command_is_true() {
    play("README.md");
}

#[test]
fn the_consoles_of_the_project_are_true() {
    play("../README.md");
}
