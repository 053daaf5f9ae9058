//! The agent, as a process with a source of its own, and the server that it is
//! compared with.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{contestant::Failure, server::Server};

/// A process that serves until it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The first line that it printed.
    pub said: String,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let out = child.stdout.as_mut().ok_or("it has no output")?;
        BufReader::new(out).read_line(&mut said)?;
        Ok(Self { child, said })
    }

    fn this(arguments: &[&str]) -> Result<(Self, SocketAddr), Failure> {
        let process = Self::start(Command::new(env::current_exe()?).args(arguments))?;
        let address = process.said.trim().parse()?;
        Ok((process, address))
    }

    /// The memory that it has, in MiB.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn memory(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.ok_or("no VmRSS")?.parse::<f64>()? / 1024.0)
    }

    /// The processor that its threads have had, in microseconds.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn busy(&self) -> Result<f64, Failure> {
        let mut all = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = text.split_whitespace().next().ok_or("no time")?;
            all += nanoseconds.parse::<f64>()? / 1e3;
        }
        Ok(all)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// hyper alone, whose answers have bodies of this length, and come all at once
/// to cold requests, so long after the first.
///
/// # Errors
/// If it does not start.
pub fn bare(length: usize, after: Duration) -> Result<(Process, SocketAddr), Failure> {
    let after = after.as_millis().to_string();
    Process::this(&["bare", &length.to_string(), &after])
}

/// A metadata server of one agent.
///
/// # Errors
/// If it does not start.
pub fn source() -> Result<(Process, Server), Failure> {
    let (process, address) = Process::this(&["serve"])?;
    Ok((process, Server { address }))
}

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub process: Process,
    /// Where callers ask.
    pub address: SocketAddr,
    /// Milliseconds from the start of the process until `/readyz` said so.
    pub ready: f64,
}

impl Agent {
    /// Starts the command's agent before a source.
    ///
    /// # Errors
    /// If it does not start, or does not become ready.
    pub fn start(source: &Server) -> Result<Self, Failure> {
        let folder: PathBuf = env::var("PEERS_INSTALLED")
            .map_err(|_| "PEERS_INSTALLED is not set: use peers/run")?
            .into();
        let begun = Instant::now();
        let process = Process::start(
            Command::new(folder.join("gce-auth"))
                .args(["agent", "--ready-json", "--listen", "127.0.0.1:0"])
                .args(["--admin", "127.0.0.1:0", "--upstream"])
                .arg(source.address.to_string()),
        )?;
        let place = |before: &str| {
            let (_, rest) = process.said.split_once(before).ok_or("no ready line")?;
            let end = rest.find('"').ok_or("no ready line")?;
            Ok::<SocketAddr, Failure>(rest[..end].parse()?)
        };
        let (address, admin) = (place("\"listen\":[\"")?, place("\"admin\":\"")?);
        while !is_ready(admin)? {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("the agent does not become ready".into());
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(Self {
            ready: begun.elapsed().as_secs_f64() * 1e3,
            process,
            address,
        })
    }
}

fn is_ready(admin: SocketAddr) -> Result<bool, Failure> {
    let mut stream = TcpStream::connect(admin)?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}
