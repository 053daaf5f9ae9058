//! Other programs, from their start to their end.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use wait4::Wait4;

use crate::contestant::Failure;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it is started with.
    pub arguments: Vec<String>,
}

impl Program {
    /// A program of this path, if it is there.
    ///
    /// # Errors
    /// If it is not.
    pub fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Result<Self, Failure> {
        let path = path.into();
        if !path.exists() {
            return Err("it was not built".into());
        }
        Ok(Self {
            path,
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdin(Stdio::null());
        command
    }

    /// Milliseconds from its start to its end. It has to print a token of the
    /// server's and nothing else.
    ///
    /// # Errors
    /// If it does something else.
    pub fn time(&self) -> Result<f64, Failure> {
        let begun = Instant::now();
        let output = self.command().output()?;
        let took = begun.elapsed();
        if !output.status.success() || !output.stdout.starts_with(b"ya29.c.") {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {said}", self.path.display()).into());
        }
        Ok(took.as_secs_f64() * 1e3)
    }

    /// The most memory that it had, in MiB.
    ///
    /// # Errors
    /// If it fails.
    pub fn peak(&self) -> Result<f64, Failure> {
        let weigh = Self {
            path: env::current_exe()?,
            arguments: vec!["weigh".into(), self.path.display().to_string()],
        };
        let output = weigh.command().args(&self.arguments).output()?;
        let kilobytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        Ok(kilobytes / 1024.0)
    }

    /// The instructions that it takes, all of its threads and its start
    /// included; `None` where there is no valgrind.
    ///
    /// # Errors
    /// If it fails.
    pub fn instructions(&self) -> Result<Option<f64>, Failure> {
        callgrind(&self.path, &self.arguments, &[]).map(|counted| counted.map(|(total, _)| total))
    }
}

/// Counts instructions: their number, and what the program printed.
///
/// # Errors
/// If the program fails.
pub fn callgrind(
    program: &Path,
    arguments: &[String],
    options: &[&str],
) -> Result<Option<(f64, String)>, Failure> {
    let file = env::current_exe()?.with_file_name("callgrind.out");
    let valgrind = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .args(options)
        .arg(program)
        .args(arguments)
        .output();
    let Ok(output) = valgrind else {
        return Ok(None);
    };
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let counts = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let total = total.ok_or("callgrind counted nothing")?.trim().parse()?;
    Ok(Some((total, String::from_utf8(output.stdout)?)))
}

/// Runs a program and gives the most memory it had, in KiB.
///
/// The kernel's figure includes what the process was before it became another
/// program, so this has to be done by a small process: by a fork of one, which
/// the standard library makes where a group is to be set.
///
/// # Errors
/// If it fails.
pub fn weigh(program: &str, arguments: impl Iterator<Item = String>) -> Result<u64, Failure> {
    let group = fs::metadata("/proc/self")?.gid();
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).gid(group);
    let ended = command.spawn()?.wait4()?;
    if !ended.status.success() {
        return Err(format!("{program}: {}", ended.status).into());
    }
    Ok(ended.rusage.maxrss / 1024)
}
