//! `gce-auth agent` as a process: killed and restarted, out of descriptors, commanded.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    time::Duration,
};

use base64::Engine as _;
use gce_auth_emulator::AdcKind;
use serde_json::Value;
use support::{
    Ran,
    agent::{Agent, ask, token},
    emulator, gce_auth, run,
};

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
fn a_check_asks_the_machine_for_the_address_of_its_account() {
    let source = emulator();
    let directory = std::env::temp_dir().join(format!("gce-auth-check-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("agent.toml");
    let email = "/computeMetadata/v1/instance/service-accounts/default/email";
    let email = ask(source.addr(), email).unwrap();
    let (_, email) = email.split_once("\r\n\r\n").unwrap();
    let rule = format!(
        "default = \"deny\"\n[[rule]]\n[rule.caller]\nuid = [7]\nfrom = [\"127.0.0.0/8\"]\n\
         [rule.allow]\naccounts = [{:?}]\n",
        email.trim()
    );
    std::fs::write(&file, rule).unwrap();
    let check = |server: &str, caller: &[&str]| {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        let config = ["agent", "check", "--config", file.to_str().unwrap()];
        let mut command = gce_auth(&[&config, caller, &[path]].concat());
        Ran::new(command.env("GCE_METADATA_HOST", server).output().unwrap())
    };
    let caller = ["--uid", "7", "--from", "127.0.0.1"];
    let server = source.addr().to_string();
    let served = check(&server, &caller).value();
    assert!(served.contains("served by rule `rule-1`"), "{served}");
    let refused = check("127.0.0.1:9", &caller);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stdout.contains("is not known here"), "{refused:?}");
    let why = check(&server, &["--uid", "7", "--from", "10.0.0.1"]).failure(2);
    assert!(why.contains("elsewhere"), "{why}");
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

#[test]
fn a_caller_has_the_identity_and_the_directory_that_it_asks_for() {
    let source = emulator();
    let agent = Agent::start(&source, &["--listen", "127.0.0.1:0"]);
    let get = |path: &str| {
        let answer = ask(agent.address(), &format!("/computeMetadata/v1/{path}")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        (head.to_owned(), body.to_owned())
    };
    let claims = |format: &str| {
        let path = format!("instance/service-accounts/default/identity?audience=a{format}");
        let (_, token) = get(&path);
        let part = token.split('.').nth(1).unwrap();
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
            .decode(part)
            .unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    assert!(claims("&format=full")["google"]["compute_engine"].is_object());
    for standard in ["", "&format=standard"] {
        assert_eq!(claims(standard).get("google"), None);
    }
    // The version of a directory is passed on, and waited for.
    let tree = "project/?recursive=true";
    let (head, document) = get(tree);
    assert!(head.contains("application/json"), "{head}");
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("ETag: "))
        .unwrap();
    let known = format!("{tree}&wait_for_change=true&timeout_sec=1&last_etag={etag}");
    assert_eq!(get(&known).1, document);
    let other = format!("{tree}&wait_for_change=true&last_etag=0000000000000000");
    assert_eq!(get(&other).1, document);
}
