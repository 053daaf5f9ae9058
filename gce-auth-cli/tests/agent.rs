//! `gce-auth agent` as a process: killed and restarted, out of descriptors, commanded.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use gce_auth_emulator::{AdcKind, Emulator};
use serde_json::Value;
use support::{cleared, emulator, run};

const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// An agent, which is killed at the end if it still runs.
struct Agent {
    child: Child,
    ready: Value,
}

impl Agent {
    /// Runs a script of the shell that has the agent's command line behind it.
    fn under(script: &str, source: &Emulator, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        for name in cleared() {
            command.env_remove(name);
        }
        let upstream = source.addr().to_string();
        let mut child = command
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_gce-auth"), "agent"])
            .args(["--upstream", &upstream, "--ready-json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let ready = serde_json::from_str(&ready).unwrap();
        Self { child, ready }
    }

    fn start(source: &Emulator, arguments: &[&str]) -> Self {
        Self::under(r#"exec "$@""#, source, arguments)
    }

    fn address(&self) -> SocketAddr {
        self.ready["listen"][0].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for a path, and reads the whole answer.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: metadata\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A token, or what kept it from coming.
fn token(address: SocketAddr) -> std::io::Result<String> {
    let answer = ask(address, TOKEN)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(std::io::Error::other(head.to_owned()));
    }
    let body: Value = serde_json::from_str(body)?;
    Ok(body["access_token"].as_str().unwrap().to_owned())
}

#[test]
fn clients_outlive_an_agent_that_is_killed_again_and_again() {
    let source = emulator();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let listen = address.to_string();
    let start = || Agent::start(&source, &["--listen", &listen]);
    let mut agent = start();
    let over = AtomicBool::new(false);
    let (served, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // What libraries do, for longer than a restart takes.
                    let mut tries = 0;
                    loop {
                        match token(address) {
                            Ok(token) => {
                                assert!(token.starts_with("ya29."), "{token}");
                                served.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                            Err(error) => {
                                failed.fetch_add(1, Ordering::Relaxed);
                                tries += 1;
                                assert!(tries < 600, "{error}");
                                thread::park_timeout(Duration::from_millis(50));
                            }
                        }
                    }
                }
            });
        }
        for round in 1..=5 {
            while served.load(Ordering::Relaxed) < round * 300 {
                thread::yield_now();
            }
            agent.child.kill().unwrap();
            agent.child.wait().unwrap();
            agent = start();
        }
        let before = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) < before + 300 {
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(failed.load(Ordering::Relaxed) > 0, "the agent was missed");
}

#[test]
fn descriptors_that_ran_out_come_back() {
    let source = emulator();
    let agent = Agent::under(
        r#"ulimit -n 64; exec "$@""#,
        &source,
        &["--listen", "127.0.0.1:0"],
    );
    let address = agent.address();
    token(address).unwrap();
    // The system takes connections which the agent can't accept.
    let held: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut first = &held[0];
    first
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(first, "GET / HTTP/1.1\r\nHost: metadata\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(held);
    token(address).unwrap();
}

#[test]
fn an_agent_is_commanded_by_its_admin_listener_and_by_signals() {
    let source = emulator();
    let directory = std::env::temp_dir().join(format!("gce-auth-agent-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file: PathBuf = directory.join("agent.toml");
    std::fs::write(&file, "default = \"own-user\"\n").unwrap();
    let path = file.to_str().unwrap();
    let agent = Agent::start(
        &source,
        &[
            "--config",
            path,
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ],
    );
    let first = token(agent.address()).unwrap();
    assert_eq!(token(agent.address()).unwrap(), first);
    let admin = agent.ready["admin"].as_str().unwrap();
    run(&["agent", "flush", "--admin", admin]).value();
    let pid = agent.ready["pid"].to_string();
    run(&["agent", "flush", "--pid", &pid]).value();
    run(&["agent", "flush", "--config", path]).value();

    std::fs::write(&file, "default = \"deny\"\n").unwrap();
    run(&["agent", "reload", "--admin", admin]).value();
    assert!(
        token(agent.address())
            .unwrap_err()
            .to_string()
            .contains("403")
    );
    std::fs::write(&file, "colour = 1\n").unwrap();
    let why = run(&["agent", "reload", "--admin", admin]).failure(1);
    assert!(why.contains("agent.toml:1:1"), "{why}");
    assert!(token(agent.address()).is_err(), "the rules before stay");

    let zone = "/computeMetadata/v1/instance/zone";
    std::fs::write(&file, "default = \"deny\"\n").unwrap();
    let refused = run(&["agent", "check", "--config", path, zone]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    std::fs::write(&file, "default = \"allow\"\n").unwrap();
    let served = run(&["agent", "check", "--config", path, zone]).value();
    assert!(served.contains("served by `default`"), "{served}");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_source_that_is_the_agent_itself_is_refused() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    for upstream in [address.clone(), address.replace("127.0.0.1", "localhost")] {
        let why = run(&["agent", "--listen", &address, "--upstream", &upstream]).failure(2);
        assert!(why.contains("is this agent itself"), "{why}");
    }
    let why = run(&["agent", "--listen", "127.0.0.1:0", "--max-lifetime", "5m"]);
    assert_eq!(why.code, Some(2), "{why:?}");
}

#[test]
fn a_login_is_one_account_and_shows_nothing_of_the_machine() {
    let source = emulator();
    let directory = std::env::temp_dir().join(format!("gce-auth-login-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = source
        .write_adc(&directory, AdcKind::ServiceAccount)
        .unwrap();
    let script = format!(
        r#"GCE_METADATA_HOST={0} GCE_AUTH_TRUST_HOSTS={0} GOOGLE_APPLICATION_CREDENTIALS={1} exec "$@""#,
        source.addr(),
        file.display()
    );
    let arguments = ["--source", "adc", "--listen", "127.0.0.1:0"];
    let agent = Agent::under(&script, &source, &arguments);
    let status = |path: &str| {
        let answer = ask(agent.address(), &format!("/computeMetadata/v1/{path}")).unwrap();
        answer["HTTP/1.1 ".len()..][..3].to_owned()
    };
    let login: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let email = login["client_email"].as_str().unwrap();
    for (account, expected) in [
        (email, "200"),
        ("default", "200"),
        ("other@p.example", "404"),
    ] {
        let account = format!("instance/service-accounts/{account}");
        assert_eq!(status(&format!("{account}/token")), expected, "{account}");
    }
    let other = "instance/service-accounts/other@p.example/identity?audience=a";
    assert_eq!(status(other), "404");
    let before = source.requests().len();
    for path in ["instance/zone", "instance/attributes/?recursive=true"] {
        let join = if path.contains('?') { '&' } else { '?' };
        let waits = format!("{path}{join}wait_for_change=true&timeout_sec=1");
        assert_eq!(
            (status(path), status(&waits)),
            ("404".to_owned(), "404".to_owned())
        );
    }
    assert_eq!(source.requests().len(), before, "the machine was asked");
    std::fs::remove_dir_all(directory).unwrap();
}
