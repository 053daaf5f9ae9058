//! The metadata server of a machine of AWS.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::json;

const SESSION: &str = "session of the metadata server";

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
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ec2 {
    pub(crate) fn start(machine: Machine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (record, end) = (Arc::clone(&asked), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                let stream = stream.unwrap();
                record.lock().unwrap().push(answer(stream, &machine));
            }
        });
        Self {
            address,
            asked,
            is_over,
            thread: Some(thread),
        }
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
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Ec2 {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // The server waits for a connection.
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// Answers one request and closes; returns what was asked.
fn answer(mut stream: TcpStream, machine: &Machine) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let has = |name: &str, value: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .any(|(of, is)| of.eq_ignore_ascii_case(name) && is == value)
    };
    let line = head.lines().next().unwrap_or_default();
    let asked = line.trim_end_matches(" HTTP/1.1").to_owned();
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
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // The client may be gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
    asked
}
