//! An agent for one program: what the program gets, and that nothing else gets it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use gce_auth_emulator::{AdcKind, Emulator};
use support::{Ran, emulator, gce_auth};

/// Runs a shell command under an agent whose source is the emulator.
fn under(emulator: &Emulator, options: &[&str], script: &str) -> Ran {
    let upstream = emulator.addr().to_string();
    let agent = ["exec", "--agent", "--upstream", &upstream];
    let program = ["--", "sh", "-c", script];
    let output = gce_auth(&[&agent[..], options, &program].concat())
        .env("GCE_AUTH", env!("CARGO_BIN_EXE_gce-auth"))
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/key.json")
        .output();
    Ran::new(output.unwrap())
}

#[test]
fn the_program_gets_tokens_and_no_other_login() {
    let emulator = emulator();
    let script = "\"$GCE_AUTH\" get project/project-id; \"$GCE_AUTH\" token >/dev/null && echo token; \
                  ls -A \"$CLOUDSDK_CONFIG\"; echo \"${GOOGLE_APPLICATION_CREDENTIALS-none}\"; \
                  (setsid sh -c '\"$GCE_AUTH\" get instance/name' & wait)";
    let ran = under(&emulator, &[], script);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:?}");
    assert_eq!(lines[1..3], ["token", "none"], "{ran:?}");
    assert_eq!(under(&emulator, &[], "exit 7").code, Some(7));
}

#[test]
fn the_identity_is_narrowed() {
    let emulator = emulator();
    let script = "\"$GCE_AUTH\" token --scopes cloud-platform; echo $?; \
                  \"$GCE_AUTH\" token --scopes devstorage.read_only >/dev/null; echo $?";
    let ran = under(&emulator, &["--scopes", "devstorage.read_only"], script);
    assert_eq!(ran.stdout, "5\n0\n", "{ran:?}");
    assert!(ran.stderr.contains("gce-auth agent check"), "{ran:?}");
    let asked = emulator.requests();
    let token = |scope: &str| {
        let mut tokens = asked.iter().filter(|it| it.path.ends_with("/token"));
        tokens.any(|it| it.query.contains(scope))
    };
    assert!(token("devstorage.read_only") && !token("cloud-platform"));
}

#[test]
fn rules_for_the_program_come_first() {
    let emulator = emulator();
    let file = std::env::temp_dir().join(format!("gce-auth-exec-agent-{}", std::process::id()));
    let rules = "[[rule]]\nname = \"all\"\n[[rule]]\nname = \"kid\"\n[rule.caller]\n\
                 child-of = \"exec\"\n[rule.allow]\nmetadata = [\"instance/zone\"]\n\
                 [[listen]]\ntcp = \"127.0.0.1:1\"\n";
    fs::write(&file, rules).unwrap();
    let script = "\"$GCE_AUTH\" get instance/zone >/dev/null; echo $?; \"$GCE_AUTH\" get instance/name; echo $?";
    let ran = under(&emulator, &["--config", file.to_str().unwrap()], script);
    fs::remove_file(&file).unwrap();
    assert_eq!(ran.stdout, "0\n5\n", "{ran:?}");
    assert!(ran.stderr.contains("rule `kid`"), "{ran:?}");
}

#[test]
fn a_program_beside_it_is_refused() {
    let emulator = emulator();
    let upstream = emulator.addr().to_string();
    let script = "echo $GCE_METADATA_HOST; read line";
    let mut child = gce_auth(&[
        "exec",
        "--agent",
        "--upstream",
        &upstream,
        "--",
        "sh",
        "-c",
        script,
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut host = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut host)
        .unwrap();
    let beside = |arguments: &[&str]| {
        Ran::new(
            gce_auth(arguments)
                .env("GCE_METADATA_HOST", host.trim())
                .output()
                .unwrap(),
        )
    };
    let why = beside(&["get", "instance/zone"]).failure(5);
    assert!(why.contains("exec --agent"), "{why}");
    let report = beside(&["doctor"]).stdout;
    assert!(
        report.contains("an agent that refuses this process"),
        "{report}"
    );
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_doctor_says_who_the_agent_takes_it_for() {
    let emulator = emulator();
    let ran = under(&emulator, &[], "\"$GCE_AUTH\" doctor");
    let line = ran
        .stdout
        .lines()
        .find(|line| line.contains("an agent takes this process for"));
    let line = line.unwrap_or_else(|| panic!("{ran:?}"));
    let uid = rustix::process::geteuid().as_raw();
    assert!(line.contains(&format!("uid {uid}, ")), "{line}");
    assert!(line.contains(env!("CARGO_BIN_EXE_gce-auth")), "{line}");
    assert!(line.contains("no rule names it"), "{line}");
}

#[test]
fn what_cannot_be_kept_is_refused_before_the_program_runs() {
    let emulator = emulator();
    for options in [
        &["--max-lifetime", "15m"][..],
        &["--project", "p"],
        &["--config", "/no/such/file"],
        &["--boundary", "/no/such/file"],
        &["--as", "a@b.c", "--max-lifetime", "soon"],
    ] {
        let ran = under(&emulator, options, "echo ran");
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{options:?} {ran:?}"
        );
    }
    assert_eq!(
        support::run(&["exec", "--as", "a@b.c", "--", "true"]).code,
        Some(2)
    );
    assert_eq!(
        support::run(&["exec", "--scopes", "a", "--", "true"]).code,
        Some(2)
    );
}

/// Commands of the login are children of the process, which reaps what the program leaves behind.
#[test]
fn the_login_of_the_file_runs_its_commands() {
    let google = emulator();
    let folder = std::env::temp_dir().join(format!("gce-auth-exec-login-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let login = google.adc(AdcKind::ExternalAccount).unwrap();
    let mut login: serde_json::Value = serde_json::from_str(&login).unwrap();
    let helper = format!(
        "{} helper executable --endpoint {}",
        env!("CARGO_BIN_EXE_gce-auth"),
        google.addr()
    );
    login["credential_source"] =
        serde_json::json!({"executable": {"command": helper, "timeout_millis": 10000}});
    login["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token".into();
    let (file, config) = (folder.join("login.json"), folder.join("agent.toml"));
    fs::write(&file, login.to_string()).unwrap();
    fs::write(&config, "source = \"adc\"\ndefault = \"own-user\"\n").unwrap();
    let script = "for scope in a b c d e f g h; do \"$GCE_AUTH\" token --scopes $scope >/dev/null || exit 1; \
                  done; echo tokens";
    let config = config.to_str().unwrap();
    let ran = Ran::new(
        gce_auth(&[
            "exec", "--agent", "--config", config, "--", "sh", "-c", script,
        ])
        .env("GCE_AUTH", env!("CARGO_BIN_EXE_gce-auth"))
        .env("GOOGLE_APPLICATION_CREDENTIALS", &file)
        .env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
        .env("GCE_AUTH_TRUST_HOSTS", google.addr().to_string())
        .output()
        .unwrap(),
    );
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(ran.stdout, "tokens\n", "{ran:?}");
}
