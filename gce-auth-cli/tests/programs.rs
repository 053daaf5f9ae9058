//! Servers and programs that the command starts.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::Value;
use support::{Ran, ask, gce_auth, run};

/// A child that does not outlive its test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Guard, BufReader<ChildStdout>) {
    let mut child = gce_auth(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (Guard(child), stdout)
}

fn line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    line
}

/// The answer to a request for a metadata value, headers and all.
fn fetch(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /computeMetadata/v1/{path} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_emulator_prints_the_variables_that_lead_to_it() {
    let (_guard, mut stdout) = start(&["emulate"]);
    let first = line(&mut stdout);
    let address = first
        .trim()
        .strip_prefix("export GCE_METADATA_HOST=")
        .unwrap();
    assert!(fetch(address, "instance/id").starts_with("HTTP/1.1 200 "));
    ask(address.parse().unwrap(), &["token"]).value();
}

#[test]
fn an_emulator_is_as_its_arguments_say() {
    let (_guard, mut stdout) = start(&[
        "emulate",
        "--ready-json",
        "--project",
        "my-project",
        "--account",
        "robot@my-project.iam.gserviceaccount.com",
        "--scopes",
        "devstorage.read_only",
        "--token-lifetime",
        "500",
        "--set",
        "instance/attributes/env=a=b",
    ]);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    let address = ready["address"].as_str().unwrap();
    assert_eq!(ready["url"], format!("http://{address}"));
    assert_eq!(ready["env"]["GCE_METADATA_HOST"], address);
    assert!(ready["pid"].is_u64());
    let server = address.parse().unwrap();
    let info: Value = serde_json::from_str(&ask(server, &["info", "--json"]).value()).unwrap();
    assert_eq!(info["project"], "my-project");
    assert_eq!(info["account"], "robot@my-project.iam.gserviceaccount.com");
    assert_eq!(
        info["scopes"][0],
        "https://www.googleapis.com/auth/devstorage.read_only"
    );
    assert!(info["token_expires_in"].as_u64().unwrap() <= 500);
    let value = ask(server, &["get", "instance/attributes/env"]).value();
    assert_eq!(value, "a=b\n");
}

#[test]
fn a_document_of_a_real_machine_is_served() {
    let (_guard, mut stdout) = start(&["emulate", "--ready-json", "--project", "first"]);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    let server = ready["address"].as_str().unwrap().parse().unwrap();
    let document = ask(server, &["get", "--recursive", "/"]).value();
    let file = std::env::temp_dir().join(format!("gce-auth-{}.json", std::process::id()));
    std::fs::write(&file, document).unwrap();
    let path = file.to_str().unwrap();
    let (_guard, mut stdout) = start(&["emulate", "--ready-json", "--document", path]);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    std::fs::remove_file(&file).unwrap();
    let server = ready["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        ask(server, &["get", "project/project-id"]).value(),
        "first\n"
    );
}

#[test]
fn the_variables_of_a_known_port_need_no_server() {
    let variables = run(&["emulate", "--port", "8080", "--env"]).value();
    assert!(variables.contains("export GCE_METADATA_HOST=127.0.0.1:8080\n"));
    assert!(variables.lines().all(|line| line.starts_with("export ")));
    run(&["emulate", "--port", "0", "--env"]).failure(2);
    let all = ["emulate", "--address", "0.0.0.0", "--port", "8080", "--env"];
    let allowed = [&all[..], &["--allow-from", "172.17.0.0/16"]].concat();
    assert_eq!(run(&allowed).value(), variables);

    // Where there is no room for a socket, either.
    #[cfg(target_os = "linux")]
    {
        let script = "ulimit -n 4; exec \"$0\" emulate --port 8080 --env";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_gce-auth")]);
        assert_eq!(Ran::new(shell.output().unwrap()).value(), variables);
    }
}

#[test]
fn an_emulator_is_not_shown_to_other_machines() {
    for address in ["0.0.0.0", "::", "192.0.2.1"] {
        let line = run(&["emulate", "--address", address]).failure(2);
        assert!(line.contains(address), "{line}");
    }
    run(&["emulate", "--set", "instance/id/below=1"]).failure(2);
    run(&["emulate", "--document", "/no/such/file"]).failure(2);
    run(&["emulate", "--plan", "/no/such/file"]).failure(2);
}

#[test]
fn an_emulator_may_be_shown_to_networks_that_are_named() {
    let arguments = [
        "emulate",
        "--address",
        "0.0.0.0",
        "--allow-from",
        "198.51.100.0/24,fd00::/8",
    ];
    let (_guard, mut stdout) = start(&arguments);
    let first = line(&mut stdout);
    // The address by which programs of this machine reach it.
    let address = first
        .trim()
        .strip_prefix("export GCE_METADATA_HOST=127.0.0.1:")
        .unwrap();
    let address = format!("127.0.0.1:{address}");
    ask(address.parse().unwrap(), &["token"]).value();
    let line = run(&[&arguments[..3], &["--allow-from", "10.1.2.3/8"]].concat()).failure(2);
    assert!(line.contains("10.0.0.0/8"), "{line}");
}

#[test]
fn what_goes_wrong_can_be_an_argument() {
    let late = ["emulate", "--ready-json", "--cold-start", "3600"];
    let (_guard, mut stdout) = start(&late);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    let server = ready["address"].as_str().unwrap().parse().unwrap();
    ask(server, &["token", "--timeout", "0.2"]).failure(3);

    let fault = "path = \"instance/id\", fault = { kind = \"status\", code = 403 }";
    let aging = ["--token-lifetime", "1000", "--token-renewal", "900"];
    let arguments = [
        "emulate",
        "--ready-json",
        "--fault",
        fault,
        "--project-number",
        "42",
    ];
    let (_guard, mut stdout) = start(&[&arguments[..], &aging[..]].concat());
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    let server = ready["address"].as_str().unwrap().parse().unwrap();
    ask(server, &["get", "instance/id"]).failure(5);
    ask(server, &["get", "instance/zone"]).value();
    let number = ask(server, &["get", "project/numeric-project-id"]).value();
    assert_eq!(number, "42\n");
    ask(server, &["token", "--min-lifetime", "890"]).value();
}

#[test]
fn an_emulator_tells_what_happens_to_who_wants_to_know() {
    let file = std::env::temp_dir().join(format!("gce-auth-told-{}.toml", std::process::id()));
    std::fs::write(&file, "[instance.attributes]\ncolor = \"red\"\n").unwrap();
    let path = file.to_str().unwrap();
    let mut child = gce_auth(&["emulate", "--ready-json", "--verbose", "--overlay", path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let _guard = Guard(child);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    let server = ready["address"].as_str().unwrap().parse().unwrap();
    ask(server, &["get", "instance/attributes/color"]).value();
    let mut told = || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        line
    };
    let asked = told();
    assert!(asked.contains("attributes/color 200"), "{asked}");
    // A bad edit changes nothing, and is told of.
    std::fs::write(&file, "[instance.attributes\n").unwrap();
    let rejected = told();
    std::fs::remove_file(&file).unwrap();
    assert!(
        rejected.contains("stays as it was") && rejected.contains("line 1"),
        "{rejected}"
    );
    let color = ask(server, &["get", "instance/attributes/color"]).value();
    assert_eq!(color, "red\n");
}

#[cfg(unix)]
#[test]
fn an_emulator_opens_the_doors_it_is_told_to() {
    let directory = std::env::temp_dir().join(format!("gce-auth-doors-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let (socket, here) = (directory.join("socket"), directory.to_str().unwrap());
    let (mut guard, mut stdout) = start(&[
        "emulate",
        "--ready-json",
        "--https-port",
        "0",
        "--certificates",
        here,
        "--keys-directory",
        here,
        "--unix-socket",
        socket.to_str().unwrap(),
    ]);
    let ready: Value = serde_json::from_str(&line(&mut stdout)).unwrap();
    TcpStream::connect(ready["https_address"].as_str().unwrap()).unwrap();
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    assert!(directory.join("root.crt").exists() && directory.join("client.key").exists());
    signal(guard.0.id(), "INT");
    assert_eq!(guard.0.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[cfg(unix)]
#[test]
fn an_emulator_ends_well_when_it_is_told_to() {
    let (mut guard, mut stdout) = start(&["emulate"]);
    line(&mut stdout);
    signal(guard.0.id(), "TERM");
    assert_eq!(guard.0.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
fn signal(process: u32, name: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", "kill -$0 $1", name, &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[cfg(unix)]
mod exec {
    use super::*;

    #[test]
    fn a_program_finds_a_metadata_server() {
        let script = "echo $GCE_METADATA_HOST; \"$0\" token; \"$0\" get instance/attributes/x";
        let ran = run(&[
            "exec",
            "--set",
            "instance/attributes/x=set",
            "--",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_gce-auth"),
        ]);
        let printed = ran.value();
        let lines: Vec<_> = printed.lines().collect();
        assert!(lines[1].starts_with("ya29."), "{printed}");
        assert_eq!(lines[2], "set");
        TcpStream::connect(lines[0]).expect_err("the emulator is gone");
    }

    #[test]
    fn nothing_comes_before_the_metadata_server() {
        let output = gce_auth(&["exec", "--", "env"])
            .env("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
            .env("NO_GCE_CHECK", "true")
            .env("HTTP_PROXY", "http://proxy.example")
            .env("NO_PROXY", "a.example")
            .output();
        let variables = Ran::new(output.unwrap()).value();
        assert!(!variables.contains("/key.json") && !variables.contains("NO_GCE_CHECK"));
        assert!(
            variables.contains("\nNO_PROXY=a.example,127.0.0.1\n"),
            "{variables}"
        );
        assert!(variables.contains("METADATA_SERVER_DETECTION=assume-present"));
    }

    #[test]
    fn an_overlay_lies_over_the_document() {
        let file = std::env::temp_dir().join(format!("gce-auth-overlay-{}", std::process::id()));
        std::fs::write(&file, "[project.attributes]\nkey = \"laid over\"\n").unwrap();
        let ran = run(&[
            "exec",
            "--overlay",
            file.to_str().unwrap(),
            "--",
            env!("CARGO_BIN_EXE_gce-auth"),
            "get",
            "project/attributes/key",
        ]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(ran.value(), "laid over\n");
    }

    #[test]
    fn an_emulator_lies_over_another_server() {
        let below = gce_auth_emulator::Emulator::builder()
            .project_id("below")
            .start()
            .unwrap();
        let script = "\"$0\" get project/project-id; \"$0\" get instance/attributes/x";
        let ran = run(&[
            "exec",
            "--upstream",
            &below.url(),
            "--set",
            "instance/attributes/x=above",
            "--",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_gce-auth"),
        ]);
        assert_eq!(ran.value(), "below\nabove\n");
    }

    #[test]
    fn what_a_plan_says_goes_wrong() {
        let file = std::env::temp_dir().join(format!("gce-auth-plan-{}", std::process::id()));
        std::fs::write(&file, "[cold-start]\nseconds = 3600\nstatus = 503\n").unwrap();
        let ran = run(&[
            "exec",
            "--plan",
            file.to_str().unwrap(),
            "--",
            env!("CARGO_BIN_EXE_gce-auth"),
            "token",
            "--timeout",
            "0.3",
        ]);
        std::fs::remove_file(&file).unwrap();
        assert!(ran.failure(1).contains("503"));
    }

    #[test]
    fn options_have_priority_over_files() {
        let own = std::process::id();
        let file = |name: &str, text: &str| {
            let file = std::env::temp_dir().join(format!("gce-auth-priority-{name}-{own}"));
            std::fs::write(&file, text).unwrap();
            file
        };
        let fault = |text: &str| {
            format!(
                "path = \"instance/id\", fault = {{ kind = \"body\", content-type = \"text/plain\", text = \"{text}\" }}"
            )
        };
        let overlay = file("overlay", "project.project-id = \"file\"\n");
        let plan = file("plan", &format!("faults = [{{ {} }}]", fault("file")));
        let option = fault("option");
        for files_first in [false, true] {
            let files = [
                "--overlay",
                overlay.to_str().unwrap(),
                "--plan",
                plan.to_str().unwrap(),
            ];
            let options = ["--project", "option", "--fault", &option];
            let mut arguments = vec!["exec"];
            if files_first {
                arguments.extend(files);
            }
            arguments.extend(options);
            if !files_first {
                arguments.extend(files);
            }
            let script = "\"$0\" get project/project-id; \"$0\" get instance/id";
            let program = env!("CARGO_BIN_EXE_gce-auth");
            arguments.extend(["--", "sh", "-c", script, program]);
            assert_eq!(run(&arguments).value(), "option\noption\n");
        }
        for file in [overlay, plan] {
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn the_code_is_the_programs() {
        for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137)] {
            let ran = run(&["exec", "--", "sh", "-c", script]);
            assert_eq!(
                (ran.code, ran.stderr.as_str()),
                (Some(code), ""),
                "{script}"
            );
        }
        run(&["exec", "--", "no-such-program"]).failure(127);
        run(&["exec", "--", "/"]).failure(126);
        assert_eq!(run(&["exec"]).code, Some(2));
    }

    #[test]
    fn signals_are_passed_on() {
        let script = "trap 'echo told; exit 9' TERM; echo ready; while :; do read x; done";
        let mut child = gce_auth(&["exec", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _open = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(line(&mut stdout), "ready\n");
        let mut guard = Guard(child);
        signal(guard.0.id(), "TERM");
        assert_eq!(line(&mut stdout), "told\n");
        assert_eq!(guard.0.wait().unwrap().code(), Some(9));
    }

    #[test]
    fn the_journal_tells_what_was_asked_and_no_secret() {
        let gce_auth = env!("CARGO_BIN_EXE_gce-auth");
        let ran = run(&["exec", "--journal", "--", gce_auth, "token"]);
        assert_eq!(ran.code, Some(0));
        assert!(
            ran.stderr.contains("service-accounts/default/token"),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("/token 200 in "), "{ran:?}");
        assert!(!ran.stderr.contains("ya29"), "{ran:?}");
        assert!(ran.stdout.starts_with("ya29."));
        let ran = run(&["exec", "--journal", "--quiet", "--", "sh", "-c", "exit 3"]);
        assert_eq!(ran.code, Some(3));
        assert!(ran.stderr.contains("made 0 requests"), "{ran:?}");
    }

    #[test]
    fn a_real_server_can_be_given_instead() {
        let emulator = support::emulator();
        let endpoint = emulator.addr().to_string();
        let script = ["--", "sh", "-c", "echo $GCE_METADATA_ROOT"];
        let real = ["exec", "--real", "--endpoint", &endpoint];
        let printed = run(&[&real[..], &script[..]].concat()).value();
        assert_eq!(printed.trim(), endpoint);
        let closed = support::closed_port().to_string();
        let real = ["exec", "--real", "--endpoint", &closed];
        run(&[&real[..], &script[..]].concat()).failure(3);
    }
}
