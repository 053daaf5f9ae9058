//! What `exec` gives a program, and what it takes away.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

use support::{Ran, cleared, emulator, gce_auth, run};

/// The variables of a program, where these were set before.
fn variables(arguments: &[&str], set: &[(&str, &str)]) -> Vec<String> {
    let mut command = gce_auth(&[&["exec"], arguments, &["--", "env"]].concat());
    for name in ["NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    let output = command.envs(set.iter().copied()).output().unwrap();
    let printed = Ran::new(output).value();
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn settings_of_the_emulator_come_from_variables_and_a_file() {
    let file = std::env::temp_dir().join(format!("gce-auth-exec-{}.toml", std::process::id()));
    // Settings of `emulate` alone are left out.
    let text = "port = 1\naddress = \"203.0.113.1\"\nproject = \"file\"\nproject-number = 7\n\
                set = [\"instance/attributes/a=1\", \"instance/attributes/b=2\"]\n";
    std::fs::write(&file, text).unwrap();
    let config = ("GCE_AUTH_EMULATOR_CONFIG", file.to_str().unwrap());
    let script = "for path in project/project-id project/numeric-project-id \
                  instance/attributes/a; do \"$0\" get $path; done";
    let seen = |arguments: &[&str], set: &[(&str, &str)]| {
        let program = ["--", "sh", "-c", script, env!("CARGO_BIN_EXE_gce-auth")];
        let mut command = gce_auth(&[&["exec"], arguments, &program].concat());
        command.envs(set.iter().copied());
        let values = Ran::new(command.output().unwrap()).value();
        values
            .lines()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let project = ("GCE_AUTH_EMULATOR_PROJECT", "variable");
    let set = ("GCE_AUTH_EMULATOR_SET", "instance/attributes/a=3");
    assert_eq!(seen(&[], &[config]), "file 7 1");
    assert_eq!(seen(&[], &[config, project, set]), "variable 7 3");
    assert_eq!(seen(&["--project", "own"], &[config, project]), "own 7 1");
    assert_eq!(
        seen(&["--project-number=9"], &[project, set]),
        "variable 9 3"
    );
    // Arguments of the program are its own.
    let listed = variables(&["--project=own"], &[project]);
    assert!(listed.contains(&"GCE_AUTH_EMULATOR_PROJECT=variable".to_owned()));
    let refused = |set: &[(&str, &str)]| {
        let mut command = gce_auth(&["exec", "--", "true"]);
        let ran = Ran::new(command.envs(set.iter().copied()).output().unwrap());
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        ran.stderr
    };
    std::fs::write(&file, "ports = 1").unwrap();
    assert!(refused(&[config]).contains("`ports` is no setting"));
    assert!(refused(&[("GCE_AUTH_EMULATOR_PROFILE", "moon")]).contains("moon"));
    assert!(refused(&[("GCE_AUTH_EMULATOR_CONFIG", "/nonexistent")]).contains("/nonexistent"));
    // Without an emulator they mean nothing.
    let emulator = emulator();
    let endpoint = emulator.addr().to_string();
    let mut command = gce_auth(&["exec", "--real", "--endpoint", &endpoint, "--", "true"]);
    let ran = Ran::new(command.envs([config, project, set]).output().unwrap());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    std::fs::remove_file(&file).unwrap();
    let help = run(&["exec", "--help"]).value();
    for name in ["PROFILE", "SET", "EVENT", "TOKEN_COMMAND", "CONFIG"] {
        assert!(
            help.contains(&format!("GCE_AUTH_EMULATOR_{name}")),
            "{name}"
        );
    }
}

#[test]
fn a_real_server_has_no_options_of_an_emulator() {
    let emulator = emulator();
    let endpoint = emulator.addr().to_string();
    let real = ["exec", "--real", "--endpoint", &endpoint];
    let code = |options: &[&str]| {
        let arguments = [&real[..], options, &["--", "true"]].concat();
        run(&arguments).code
    };
    assert_eq!(code(&[]), Some(0));
    for option in [
        ["--profile", "gke"],
        ["--project", "other"],
        ["--project-number", "42"],
        ["--account", "a@b"],
        ["--token-lifetime", "100"],
        ["--token-renewal", "100"],
        ["--set", "instance/attributes/a=b"],
        ["--overlay", "/no/such/file"],
        ["--document", "/no/such/file"],
        ["--upstream", "http://127.0.0.1:1"],
        ["--plan", "/no/such/file"],
        ["--fault", "x"],
        ["--event", "x"],
        ["--cold-start", "1"],
        ["--keys-directory", "/no/such/directory"],
        ["--cloud", "/no/such/file"],
        ["--adc", "service_account"],
        ["--token-command", "true"],
        ["--token-file", "/no/such/file"],
        ["--service-account-key", "/no/such/file"],
    ] {
        assert_eq!(code(&option), Some(2), "{option:?}");
    }
    assert_eq!(
        code(&["--account", "a@b", "--scopes", "openid"]),
        Some(2),
        "--scopes"
    );
    for option in ["--journal", "--strict"] {
        assert_eq!(code(&[option]), Some(2), "{option}");
    }
    // All that an emulator takes is above, but for what both have.
    let help = run(&["exec", "--help"]).value();
    let options = help.lines().filter_map(|line| {
        let line = line.strip_prefix("      --")?;
        line.split([' ', '=']).next()
    });
    // The last are of --agent and --isolated.
    let isolated = if cfg!(target_os = "linux") { 2 } else { 0 };
    assert_eq!(options.count(), 20 + 1 + 2 + 3 + 1 + 7 + isolated, "{help}");
}

#[test]
fn exceptions_from_a_proxy_are_kept() {
    let proxy = ("HTTP_PROXY", "http://proxy.example:3128");
    for (before, after) in [
        (&[][..], "127.0.0.1"),
        (&[("NO_PROXY", "a.example")], "a.example,127.0.0.1"),
        (&[("no_proxy", "b.example")], "b.example,127.0.0.1"),
        (&[("NO_PROXY", "*")], "*"),
        // The lower case is what clients look at first.
        (
            &[("NO_PROXY", "a.example"), ("no_proxy", "b.example")],
            "b.example,127.0.0.1",
        ),
        (
            &[("NO_PROXY", "a.example"), ("no_proxy", "")],
            "a.example,127.0.0.1",
        ),
    ] {
        let found = variables(&[], &[before, &[proxy]].concat());
        for name in ["NO_PROXY", "no_proxy"] {
            let line = format!("{name}={after}");
            assert!(found.contains(&line), "{before:?}: no {line} in {found:?}");
        }
    }
    let found = variables(&[], &[("NO_PROXY", "a.example")]);
    assert!(found.contains(&"NO_PROXY=a.example".to_owned()));
    assert!(!found.iter().any(|line| line.starts_with("no_proxy=")));
}

#[test]
fn an_exception_from_a_proxy_is_a_host_without_its_port() {
    // Without IPv6 there is nothing to see.
    let address = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    let builder = gce_auth_emulator::Emulator::builder().address(address);
    let Ok(emulator) = builder.start() else {
        return;
    };
    let endpoint = emulator.addr().to_string();
    let real = ["--real", "--endpoint", &endpoint];
    let found = variables(&real, &[("http_proxy", "http://proxy.example:3128")]);
    assert!(found.contains(&"no_proxy=::1".to_owned()), "{found:?}");
}

#[test]
fn no_credential_comes_before_the_metadata_server() {
    let names = [
        "GOOGLE_APPLICATION_CREDENTIALS",
        "google_application_credentials",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
        "CLOUDSDK_AUTH_ACCESS_TOKEN",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    ];
    let set = names.map(|name| (name, "/before"));
    let found = variables(&[], &set);
    assert!(
        !found.iter().any(|line| line.contains("/before")),
        "{found:?}"
    );

    // The doctor knows the same ones, and shows no token.
    let emulator = emulator();
    let host = emulator.addr().to_string();
    for name in names {
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_gce-auth"));
        for name in cleared() {
            doctor.env_remove(name);
        }
        let output = doctor
            .args(["doctor", "--source", "metadata"])
            .env("GCE_METADATA_HOST", &host)
            .env("GCE_METADATA_IP", &host)
            .env(name, "ya29.before")
            .output();
        let printed = Ran::new(output.unwrap()).value();
        assert!(printed.contains(name), "{name}: {printed}");
        let is_token = name.ends_with("ACCESS_TOKEN");
        assert!(!is_token || !printed.contains("ya29.before"), "{printed}");
    }
}

#[test]
fn the_journal_knows_how_many_requests_it_has_forgotten() {
    let script = "echo $GCE_METADATA_HOST; read done";
    let mut child = gce_auth(&["exec", "--journal", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut server).unwrap();
    let stream = TcpStream::connect(server.trim()).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let (mut requests, mut answer) = (stream, String::new());
    for _ in 0..10_001 {
        requests
            .write_all(b"HEAD / HTTP/1.1\r\nHost: m\r\n\r\n")
            .unwrap();
        while answer != "\r\n" {
            answer.clear();
            assert_ne!(answers.read_line(&mut answer).unwrap(), 0);
        }
        answer.clear();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut lines = told.lines();
    assert_eq!(
        lines.next(),
        Some("gce-auth: the program made 10001 requests; these are the last 10000:")
    );
    assert_eq!(lines.count(), 10_000);
}
