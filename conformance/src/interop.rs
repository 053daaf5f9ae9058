//! Running programs in other languages against the emulator.
//!
//! A language is three things: a folder under `clients/` with the program and its pinned
//! dependencies, a function here that makes its toolchain ready or says why it can't, and a test
//! that judges what the program reports. Dependencies are installed once, under
//! `target/interop/LANGUAGE`, and again when what is asked for changes.
//!
//! A program finds the server through its environment alone, gets no other variable that could
//! steer it, and prints one JSON document on each line, told apart by its member `step`.

mod command;
mod floor;
mod go;
mod java;
mod judge;
pub mod machine;
mod namespace;
mod node;
mod once;
mod process;
mod python;
mod rust;
mod table;
mod vectors;

use std::{
    error::Error,
    ffi::OsString,
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

pub use self::{
    command::{Build, gce_auth, installed},
    floor::floor,
    go::go,
    java::java,
    judge::Judge,
    namespace::namespace,
    node::node,
    python::python,
    rust::rust,
    table::settle_page,
    vectors::{Vectors, vectors},
};
use crate::env;

/// Enough for a slow mirror; an install that hangs must not hang the tests.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// Enough to build a client from nothing, on a machine that has other work.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

/// A program in another language, ready to run.
#[derive(Clone, Debug)]
pub struct Client {
    language: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// An empty home, so that no user's configuration takes part.
    home: PathBuf,
}

impl Client {
    /// A program that was made elsewhere.
    #[must_use]
    pub fn new(language: &'static str, program: PathBuf, arguments: Vec<OsString>) -> Self {
        let home = program.with_file_name("home");
        Self {
            language,
            program,
            arguments,
            home,
        }
    }

    /// The same program, to be run by another with these arguments before its own.
    #[must_use]
    pub fn under(mut self, launcher: impl Into<PathBuf>, mut arguments: Vec<OsString>) -> Self {
        arguments.push(self.program.into());
        arguments.append(&mut self.arguments);
        Self {
            program: launcher.into(),
            arguments,
            ..self
        }
    }

    /// The same program with one more argument.
    #[must_use]
    pub fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The program, with these variables and no other that could steer it.
    #[must_use]
    pub fn command<K, V>(&self, environment: impl IntoIterator<Item = (K, V)>) -> Command
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(env::bare())
            .env("HOME", &self.home)
            .envs(
                environment
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into())),
            );
        command
    }

    /// Runs the program to its end with `environment` and reads what it reports.
    ///
    /// # Errors
    ///
    /// When the program can't be started, isn't done after `limit`, exits with a failure, or prints
    /// a line that is not JSON. The message holds what it wrote to standard error.
    pub fn run<K, V>(
        &self,
        environment: impl IntoIterator<Item = (K, V)>,
        limit: Duration,
    ) -> Result<Transcript, Failure>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        fs::create_dir_all(&self.home)
            .map_err(|error| Failure::new(format!("{}: {error}", self.home.display())))?;

        let output = process::finish(&mut self.command(environment), limit)
            .map_err(|failure| Failure::new(format!("the {} client: {failure}", self.language)))?;
        Transcript::parse(&output)
    }
}

/// What a program reported, in order.
#[derive(Debug)]
pub struct Transcript {
    documents: Vec<Value>,
}

impl Transcript {
    fn parse(output: &str) -> Result<Self, Failure> {
        output
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|error| Failure::new(format!("not a JSON document: {line}: {error}")))
            })
            .collect::<Result<_, _>>()
            .map(|documents| Self { documents })
    }

    /// The document of one step; null when the program printed none, as with `Value`'s own
    /// indexing.
    #[must_use]
    pub fn step(&self, name: &str) -> &Value {
        self.all(name).next().unwrap_or(&Value::Null)
    }

    /// The documents of a step that was taken more than once.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.documents
            .iter()
            .filter(move |document| document["step"] == name)
    }
}

/// Gives the client when its toolchain is there; otherwise says on standard error that the test is
/// skipped, and why.
///
/// # Panics
///
/// With `GCE_AUTH_INTEROP=required` in the environment, a missing toolchain is a failure.
#[must_use]
pub fn ready_or_skip<C>(client: Result<C, Unavailable>) -> Option<C> {
    let missing = match client {
        Ok(client) => return Some(client),
        Err(missing) => missing,
    };
    assert!(
        !env::interop_required(),
        "GCE_AUTH_INTEROP=required, but {missing}"
    );
    skip(&missing.to_string());
    None
}

/// Says on standard error that a test is skipped, and why.
pub fn skip(why: &str) {
    // Straight to the descriptor: the test harness hides what a passing test prints.
    let _ = writeln!(io::stderr(), "SKIPPED: {}", why.trim_end());
}

/// A language whose client can't run on this machine, and why.
#[derive(Debug)]
pub struct Unavailable {
    language: &'static str,
    why: String,
}

impl Unavailable {
    /// For a language whose client failed to get ready.
    fn because(language: &'static str) -> impl FnOnce(Failure) -> Self {
        move |failure| Self {
            language,
            why: failure.to_string(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} client can't run here: {}",
            self.language, self.why
        )
    }
}

impl Error for Unavailable {}

/// A program that did not do its work, and what it said.
#[derive(Debug)]
pub struct Failure {
    message: String,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// Where the programs and their dependency lists are.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The text of a file that a client is made from.
fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_document() {
        let transcript =
            Transcript::parse("{\"step\":\"a\",\"n\":1}\n\n{\"step\":\"b\"}\n").unwrap();
        assert_eq!(transcript.step("a")["n"], 1);
        assert!(transcript.step("b").is_object());
        assert!(transcript.step("c").is_null());
    }

    #[test]
    fn a_line_that_is_no_document_fails() {
        let failure = Transcript::parse("{\"step\":\"a\"}\nWarning: old\n").unwrap_err();
        assert!(failure.to_string().contains("Warning: old"), "{failure}");
    }
}
