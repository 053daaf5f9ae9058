//! The metadata server of a machine of AWS.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use gce_auth_emulator::Fault;
use serde_json::json;

const SESSION: &str = "session-of-the-metadata-server==";

/// What the machine has.
#[derive(Clone)]
pub(crate) struct Machine {
    /// Whether every request needs a session (IMDSv2), or none may have one.
    pub(crate) sessions: bool,
    pub(crate) zone: &'static str,
    /// Without a role there are no keys.
    pub(crate) role: Option<Role>,
}

/// Keys of the role `ci`.
#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) token: &'static str,
}

/// A running server; it ends when it is dropped.
pub(crate) struct Ec2 {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    asked: Mutex<Vec<String>>,
    /// A path, how many of its requests fail, and how.
    fault: Mutex<Option<(&'static str, usize, Fault)>>,
    /// Connections that are never answered.
    hanging: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl State {
    /// Notes what was asked; returns the fault that is due.
    fn take(&self, asked: &str) -> Option<Fault> {
        self.asked.lock().unwrap().push(asked.to_owned());
        let mut fault = self.fault.lock().unwrap();
        let (path, left, what) = fault.as_mut()?;
        if *left == 0 || asked.split(' ').nth(1) != Some(*path) {
            return None;
        }
        *left -= 1;
        Some(what.clone())
    }
}

impl Ec2 {
    pub(crate) fn start(machine: Machine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_over.load(Ordering::Acquire) {
                    return;
                }
                answer(stream.unwrap(), &machine, &shared);
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// Makes the next requests for this path fail.
    pub(crate) fn fail(&self, path: &'static str, times: usize, fault: Fault) {
        *self.state.fault.lock().unwrap() = Some((path, times, fault));
    }

    /// Ends the fault.
    pub(crate) fn heal(&self) {
        *self.state.fault.lock().unwrap() = None;
        self.state.hanging.lock().unwrap().clear();
    }

    /// The `credential_source` of a file that `gcloud` writes for AWS, at this server.
    pub(crate) fn source(&self, sessions: bool) -> serde_json::Value {
        let url = |path: &str| format!("http://{}/latest/{path}", self.address);
        let mut source = json!({
            "environment_id": "aws1",
            "region_url": url("meta-data/placement/availability-zone"),
            "url": url("meta-data/iam/security-credentials"),
            "regional_cred_verification_url":
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        });
        if sessions {
            source["imdsv2_session_token_url"] = url("api/token").into();
        }
        source
    }

    /// Its origin and `/latest`.
    pub(crate) fn latest(&self) -> String {
        format!("http://{}/latest", self.address)
    }

    /// What was asked: methods and paths.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Ec2 {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Release);
        // The server waits for a connection.
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// The head of a request, which stays unread: a socket that is closed so is reset.
fn head(stream: &TcpStream) -> String {
    let mut bytes = [0; 4096];
    loop {
        let length = stream.peek(&mut bytes).unwrap_or(0);
        let head = String::from_utf8_lossy(&bytes[..length]);
        if length == 0 || head.ends_with("\r\n\r\n") {
            return head.into_owned();
        }
        std::thread::yield_now();
    }
}

/// Answers one request and closes.
fn answer(mut stream: TcpStream, machine: &Machine, state: &State) {
    let head = head(&stream);
    let line = head.lines().next().unwrap_or_default();
    let asked = line.trim_end_matches(" HTTP/1.1").to_owned();
    let fault = state.take(&asked);
    if let Some(Fault::Reset) = fault {
        return;
    }
    stream.read_exact(&mut vec![0; head.len()]).unwrap();
    let (status, body) = reply(&head, &asked, machine);
    let (status, body) = match &fault {
        Some(Fault::Close) => return,
        Some(Fault::Hang) => return state.hanging.lock().unwrap().push(stream),
        Some(Fault::Status { code, .. }) => (format!("{code} as told"), Vec::new()),
        Some(Fault::Body { bytes, .. }) => ("200 OK".to_owned(), bytes.clone()),
        _ => (status.to_owned(), body.into_bytes()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let (piece, pause) = match fault {
        Some(Fault::Slow { bytes, pause }) => (bytes, pause),
        _ => (usize::MAX, Duration::ZERO),
    };
    let end = match fault {
        Some(Fault::Truncate(length)) => length.min(body.len()),
        _ => body.len(),
    };
    // Others are answered meanwhile, and the client may be gone.
    std::thread::spawn(move || {
        let mut sent = stream.write_all(head.as_bytes());
        for piece in body[..end].chunks(piece) {
            std::thread::park_timeout(pause);
            sent = sent.and_then(|()| stream.write_all(piece));
        }
    });
}

/// The status and body for a request.
fn reply(head: &str, asked: &str, machine: &Machine) -> (&'static str, String) {
    let has = |name: &str, value: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .any(|(of, is)| of.eq_ignore_ascii_case(name) && is == value)
    };
    let is_open = has("x-aws-ec2-metadata-token", SESSION) == machine.sessions;
    let keys = || {
        let role = machine.role.as_ref()?;
        let keys =
            json!({"AccessKeyId": role.id, "SecretAccessKey": role.secret, "Token": role.token});
        Some(keys.to_string())
    };
    let body = match asked.strip_prefix("GET /latest/meta-data/") {
        None if asked == "PUT /latest/api/token" && machine.sessions => {
            has("x-aws-ec2-metadata-token-ttl-seconds", "300").then(|| SESSION.to_owned())
        }
        Some("placement/availability-zone") if is_open => Some(machine.zone.to_owned()),
        Some("iam/security-credentials") if is_open => keys().map(|_| "ci".to_owned()),
        Some("iam/security-credentials/ci") if is_open => keys(),
        _ => None,
    };
    match body {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    }
}
