//! Servers in a user namespace that does not map their callers. The kernel shows all those users as
//! one and the same, also where the server's own user is among them: no other may pass for it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "what is skipped is printed")]

mod support;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
};

use support::{agent, emulated::Emulated, emulator};

const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Runs a command in a user namespace. Without a map its own user is shown as all others are.
const NO_MAP: &str = r#"exec unshare --user "$@""#;
/// There the own user is root, and all others are the overflow user.
const ROOT_ALONE: &str = r#"exec unshare --user --map-root-user "$@""#;

fn is_allowed() -> bool {
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .stderr(Stdio::null())
        .status();
    let allowed = status.is_ok_and(|status| status.success());
    if !allowed {
        println!("SKIPPED: namespaces are not allowed");
    }
    allowed
}

fn status(address: SocketAddr) -> String {
    let answer = agent::ask(address, TOKEN).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn status_through(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let head = "Host: metadata\r\nMetadata-Flavor: Google\r\nConnection: close";
    write!(stream, "GET {TOKEN} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn an_emulator_with_real_tokens_serves_only_users_that_it_can_tell_apart() {
    if !is_allowed() {
        return;
    }
    // The test's own user is mapped in the second one.
    for (script, expected) in [(NO_MAP, "403"), (ROOT_ALONE, "200")] {
        let token = r#"echo '{"access_token":"ya29.real","expires_in":3600}' | cat"#;
        let served = Emulated::under(script, &["--token-command", token]);
        assert_eq!(status(served.address), expected, "{script}");
    }
}

#[test]
fn an_agent_serves_its_own_user_only_where_it_can_tell_it_from_others() {
    if !is_allowed() {
        return;
    }
    let source = emulator();
    for (script, expected) in [(NO_MAP, "403"), (ROOT_ALONE, "200")] {
        let name = format!("unmapped-{expected}-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let unix = ["--unix", socket.to_str().unwrap()];
        let arguments = [&["--listen", "127.0.0.1:0"], &unix[..]].concat();
        let mut agent = agent::Agent::under(script, &source, &arguments);
        assert_eq!(status(agent.address()), expected, "{script}");
        assert_eq!(status_through(&socket), expected, "{script}");
        agent.child.kill().unwrap();
        std::fs::remove_file(&socket).unwrap();
    }
}
