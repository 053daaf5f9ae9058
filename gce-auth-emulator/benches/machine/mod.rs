//! What the benches ask of the machine.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Resident memory of this process in bytes, where the system tells.
pub(crate) fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Allows this process as many open files as the system lets it have. Fails when that is not
/// enough.
pub(crate) fn open_files(needed: usize) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
        // A few are the process's own.
        let needed = needed + 50;
        let allowed = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |files| usize::try_from(files).unwrap());
        assert!(
            allowed >= needed,
            "{needed} open files are needed, {allowed} allowed: see `ulimit -Hn`"
        );
    }
}

/// A number from the environment.
pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(default)
}

/// This program once more, in a process of its own, so that what is measured here is the server's
/// alone.
pub(crate) struct Other {
    child: Child,
    ears: BufReader<ChildStdout>,
}

impl Other {
    /// Starts it, with the address of the server in `SERVER`.
    pub(crate) fn start(server: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("SERVER", server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            ears: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Waits until it says something.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.ears.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the other process died");
        line.trim_end().into()
    }

    /// Lets it go on.
    pub(crate) fn tell(&mut self) {
        let mouth = self.child.stdin.as_mut().unwrap();
        mouth.write_all(b"on\n").unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may wait for a word, more than once; waiting for it closes the pipe.
        let _ = self.child.wait();
    }
}

/// In the other process: the address of the server.
pub(crate) fn server() -> Option<String> {
    std::env::var("SERVER").ok()
}

/// In the other process: says something, and waits until it may go on.
pub(crate) fn say(word: &str) {
    println!("{word}");
    let _ = std::io::stdin().read_line(&mut String::new());
}
