//! Credential helpers as other tools run them: under their names, with the arguments and the input
//! of the tool.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gce_auth_emulator::{Account, AdcKind, Emulator};
use serde_json::{Value, json};
use support::{Ran, cleared, closed_port, emulator, gce_auth};

const OWNER: &str = "robot@p.iam.gserviceaccount.com";

/// A directory for one test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("helpers-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The command under the name of a tool's helper, with a metadata server to ask.
fn link(folder: &Path, name: &str, server: &Emulator) -> Command {
    let path = folder.join(name);
    if !path.exists() {
        symlink(env!("CARGO_BIN_EXE_gce-auth"), &path).unwrap();
    }
    let mut command = Command::new(path);
    for name in cleared() {
        command.env_remove(name);
    }
    command
        .env("GCE_METADATA_HOST", server.addr().to_string())
        .stdin(Stdio::null());
    command
}

/// Runs to the end with this input. The helper need not read it.
fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let _ = stdin.write_all(&input);
    });
    let ran = Ran::new(child.wait_with_output().unwrap());
    writer.join().unwrap();
    ran
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn the_token(server: &Emulator) -> String {
    support::ask(server.addr(), &["token"])
        .value()
        .trim()
        .to_owned()
}

#[test]
fn every_name_of_the_executable_is_a_helper() {
    let (server, folder) = (emulator(), folder("names"));
    let token = the_token(&server);

    let ran = feed(
        link(&folder, "docker-credential-gce-auth", &server).arg("get"),
        b"us-docker.pkg.dev",
    );
    assert_eq!(json(&ran.value())["Secret"], token);

    let ran = feed(
        link(&folder, "git-credential-gce-auth", &server).arg("get"),
        b"protocol=https\nhost=source.developers.google.com\n\n",
    )
    .value();
    assert!(ran.contains(&format!("\npassword={token}\n")), "{ran}");
    assert!(ran.starts_with("username=emulator@"), "{ran}");

    let info = r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential"}"#;
    let ran = feed(
        link(&folder, "gce-auth-kubectl", &server).env("KUBERNETES_EXEC_INFO", info),
        b"",
    );
    let ran = json(&ran.value());
    assert_eq!(ran["status"]["token"], token);
    assert_eq!(ran["apiVersion"], "client.authentication.k8s.io/v1beta1");

    let request = json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": "gcr.io/p/image",
    });
    let ran = feed(
        &mut link(&folder, "gce-auth-kubelet", &server),
        request.to_string().as_bytes(),
    );
    assert_eq!(json(&ran.value())["auth"]["gcr.io"]["password"], token);

    let ran = feed(
        link(&folder, "bazel-credential-gce-auth", &server).arg("get"),
        br#"{"uri": "https://storage.googleapis.com/b/o"}"#,
    );
    let header = &json(&ran.value())["headers"]["Authorization"][0];
    assert_eq!(*header, format!("Bearer {token}"));

    let url = "https://us-python.pkg.dev/p/r/simple/";
    let mut keyring = link(&folder, "keyring", &server);
    let ran = feed(keyring.args(["get", url, "oauth2accesstoken"]), b"").value();
    assert_eq!(ran, format!("{token}\n"));
    let plain = ["helper", "keyring", "get", url, "oauth2accesstoken"];
    let ran = support::ask(server.addr(), &plain).value();
    assert_eq!(ran, format!("{token}\n"));
}

#[test]
fn cargo_talks_to_either_name() {
    let (server, folder) = (emulator(), folder("cargo"));
    let token = the_token(&server);
    let request = |url: &str, args: &[&str]| {
        let registry = json!({"index-url": url, "name": "mine"});
        json!({"v": 1, "kind": "get", "operation": "read", "args": args, "registry": registry})
    };
    let url = "sparse+https://crates.example/index/";
    let lines = [
        request(url, &["--allow-host", "crates.example"]),
        request(
            url,
            &[
                "--allow-host",
                "crates.example",
                "--audience",
                "https://a.example",
            ],
        ),
        request("sparse+https://b-1.a.run.app/", &[]),
        request(url, &[]),
        request(url, &["--no-such-option"]),
        json!({"v": 1, "kind": "get", "registry": {}}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    for name in ["gce-auth", "cargo-credential-gce-auth"] {
        let mut command = link(&folder, name, &server);
        let said = feed(command.arg("--cargo-plugin"), input.as_bytes()).value();
        let said: Vec<_> = said.lines().map(json).collect();
        assert_eq!(said[0], json!({"v": [1]}));
        assert_eq!(said[1]["Ok"]["token"], format!("Bearer {token}"));
        for identity in [&said[2], &said[3]] {
            let token = identity["Ok"]["token"].as_str().unwrap();
            assert_eq!(token.matches('.').count(), 2, "{token}");
        }
        assert_eq!(said[4]["Err"]["kind"], "url-not-supported");
        let message = said[5]["Err"]["message"].as_str().unwrap();
        assert!(message.contains("--no-such-option"), "{message}");
        assert_eq!(said[6]["Err"]["kind"], "url-not-supported");
        assert_eq!(said.len(), 7);
    }
}

#[test]
fn options_of_cargo_come_behind_those_of_the_variable() {
    let (server, folder) = (emulator(), folder("cargo-flags"));
    let registry = json!({"index-url": "sparse+https://crates.example/index/", "name": "mine"});
    let args = ["--audience", "https://a.example"];
    let request =
        json!({"v": 1, "kind": "get", "operation": "read", "args": args, "registry": registry});
    let mut command = link(&folder, "cargo-credential-gce-auth", &server);
    command.env(
        "GCE_AUTH_HELPER_FLAGS",
        "-q --allow-host crates.example --audience https://b.example",
    );
    let input = format!("{request}\n");
    let said = feed(command.arg("--cargo-plugin"), input.as_bytes()).value();
    let said = json(said.lines().nth(1).unwrap());
    let token = said["Ok"]["token"].as_str().unwrap();
    assert_eq!(token.matches('.').count(), 2, "{token}");
    let asked = server.requests();
    let is_for = |audience: &str| asked.iter().any(|request| request.query.contains(audience));
    assert!(is_for("a.example") && !is_for("b.example"), "{asked:?}");
}

#[test]
fn keyring_passes_other_services_to_the_next_one_on_the_path() {
    let (server, folder) = (emulator(), folder("keyring"));
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    fs::create_dir_all(&ours).unwrap();
    fs::create_dir_all(&theirs).unwrap();
    let next = theirs.join("keyring");
    fs::write(&next, "#!/bin/sh\necho \"next: $*\"\nexit 7\n").unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", ours.display(), theirs.display());
    let other = ["get", "https://pypi.example/simple/", "user"];
    let ran = feed(
        link(&ours, "keyring", &server)
            .args(other)
            .env("PATH", &path),
        b"",
    );
    assert_eq!(ran.stdout, "next: get https://pypi.example/simple/ user\n");
    assert_eq!(ran.code, Some(7));
    let ran = feed(
        link(&ours, "keyring", &server)
            .arg("--list-backends")
            .env("PATH", &path),
        b"",
    );
    assert_eq!(ran.stdout, "next: --list-backends\n");

    // A script that calls this one back ends it; so does a path without another.
    let script = format!("#!/bin/sh\nexec {}/keyring \"$@\"\n", ours.display());
    fs::write(&next, script).unwrap();
    for path in [&path, ours.to_str().unwrap(), "", "."] {
        let ran = feed(
            link(&ours, "keyring", &server)
                .args(other)
                .env("PATH", path),
            b"",
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{path}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn the_options_of_the_variable_are_for_every_helper() {
    let server = Emulator::builder()
        .account(Account::new(OWNER))
        .account(Account::new("reader@p.iam.gserviceaccount.com"))
        .start()
        .unwrap();
    let folder = folder("flags");
    let flags = format!(
        "--as reader@p.iam.gserviceaccount.com --iam-endpoint {} --lifetime 600",
        server.url()
    );
    let mut command = link(&folder, "docker-credential-gce-auth", &server);
    command.arg("get").env("GCE_AUTH_HELPER_FLAGS", &flags);
    let token = json(&feed(&mut command, b"gcr.io").value());
    assert_ne!(token["Secret"], the_token(&server));
    let paths = server.requests();
    let asked = paths.iter().any(|request| {
        request
            .path
            .contains("reader@p.iam.gserviceaccount.com:generateAccessToken")
    });
    assert!(asked, "{paths:?}");
    // The tool's own options come after those of the variable.
    let mut command = link(&folder, "git-credential-gce-auth", &server);
    command
        .args(["--endpoint", &server.addr().to_string(), "get"])
        .env("GCE_AUTH_HELPER_FLAGS", "--endpoint 127.0.0.1:1");
    let ran = feed(&mut command, b"protocol=https\nhost=googlesource.com\n").value();
    assert!(ran.starts_with("username=git-account\n"), "{ran}");
}

#[test]
fn a_failure_is_told_as_the_tool_reads_it() {
    let (server, folder) = (emulator(), folder("failures"));
    let nowhere = closed_port().to_string();
    let failing = |name: &str| {
        let mut command = link(&folder, name, &server);
        command
            .env("GCE_METADATA_HOST", &nowhere)
            .env("GCE_AUTH_HELPER_FLAGS", "--timeout 0.3");
        command
    };
    let ran = feed(failing("docker-credential-gce-auth").arg("get"), b"gcr.io");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("refused"), "{ran:?}");
    let ran = feed(&mut failing("gce-auth-kubectl"), b"");
    ran.failure(3);
    let gcr = b"protocol=https\nhost=googlesource.com\n";
    feed(failing("git-credential-gce-auth").arg("get"), gcr).failure(3);
    let url = "https://us-python.pkg.dev/simple/";
    feed(
        failing("keyring").args(["get", url, "oauth2accesstoken"]),
        b"",
    )
    .failure(3);
    let request =
        json!({"v": 1, "kind": "get", "registry": {"index-url": "sparse+https://a-b.a.run.app/"}});
    let ran = feed(
        failing("cargo-credential-gce-auth").arg("--cargo-plugin"),
        format!("{request}\n").as_bytes(),
    );
    let said = json(ran.stdout.lines().nth(1).unwrap());
    assert_eq!(said["Err"]["kind"], "other", "{said}");
    let mut executable = gce_auth(&["helper", "executable", "--timeout", "0.3"]);
    executable
        .env("GCE_METADATA_HOST", &nowhere)
        .env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", "//iam.googleapis.com/p");
    let ran = feed(&mut executable, b"");
    assert_eq!(ran.code, Some(3));
    assert_eq!(json(&ran.stdout)["success"], false);
}

#[test]
fn input_without_end_gets_no_token() {
    let (server, folder) = (emulator(), folder("huge"));
    let mut huge = b"gcr.io".to_vec();
    huge.resize(3 << 20, b'/');
    let ran = feed(
        link(&folder, "docker-credential-gce-auth", &server).arg("get"),
        &huge,
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("longer than"), "{ran:?}");
    for (name, argument) in [
        ("git-credential-gce-auth", "get"),
        ("bazel-credential-gce-auth", "get"),
    ] {
        feed(link(&folder, name, &server).arg(argument), &huge).failure(2);
    }
    feed(&mut link(&folder, "gce-auth-kubelet", &server), &huge).failure(2);
    let ran = feed(
        link(&folder, "cargo-credential-gce-auth", &server).arg("--cargo-plugin"),
        &huge,
    );
    assert_eq!(ran.code, Some(2));
    let said = json(ran.stdout.lines().nth(1).unwrap());
    assert_eq!(said["Err"]["message"], "the request is too long");
    assert!(server.requests().is_empty());
}

#[test]
fn what_helpers_print_is_read_by_the_tool() {
    let server = emulator();
    let token = the_token(&server);
    let run = |arguments: &[&str]| support::ask(server.addr(), &[&["helper"], arguments].concat());
    let said = run(&["export"]).value();
    let shell = format!("{said}printf %s \"$GOOGLE_OAUTH_ACCESS_TOKEN\"");
    let read = Command::new("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(String::from_utf8(read.stdout).unwrap(), token);
    let said = run(&["export", "--format", "json"]).value();
    assert_eq!(json(&said)["CLOUDSDK_AUTH_ACCESS_TOKEN"], token);
    let said = run(&["gradle", "--repository", "mine"]).value();
    assert!(said.contains(&format!("ORG_GRADLE_PROJECT_minePassword={token}\n")));
    let said = run(&["maven", "--servers", "a,b"]).value();
    assert_eq!(said.matches(&token).count(), 2);
    let said = run(&["npmrc", "--registries", "https://us-npm.pkg.dev/p/r/"]).value();
    assert!(said.contains(&format!("\n//us-npm.pkg.dev/p/r/:_authToken={token}\n")));
    let said = run(&["index-url", "https://us-python.pkg.dev/p/r/simple/"]).value();
    assert!(
        said.starts_with("https://oauth2accesstoken:ya29."),
        "{said}"
    );
    for refused in [
        &["index-url", "https://pypi.org/simple/"][..],
        &["npmrc", "--registries", "https://registry.npmjs.org/"],
        &["maven", "--servers", "a b"],
        &["gradle", "--repository", "a;b"],
    ] {
        run(refused).failure(2);
    }
}

/// The subject token of any Google SDK can come from here: our library runs it as every SDK does.
#[test]
fn an_external_account_runs_the_executable() {
    let (google, folder) = (emulator(), folder("executable"));
    let host = google.addr().to_string();
    let mut file = json(&google.adc(AdcKind::ExternalAccount).unwrap());
    let helper = format!("{} helper executable", env!("CARGO_BIN_EXE_gce-auth"));
    file["credential_source"] = json!({"executable": {"command": helper, "timeout_millis": 10000}});
    file["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token".into();
    let path = folder.join("external.json");
    fs::write(&path, file.to_string()).unwrap();
    let run = |allowed: &str| {
        let mut command = gce_auth(&["token", "--source", path.to_str().unwrap()]);
        command
            .env("GCE_METADATA_HOST", &host)
            .env("GCE_AUTH_TRUST_HOSTS", &host)
            .env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", allowed);
        Ran::new(command.output().unwrap())
    };
    let token = run("1").value();
    assert!(token.len() > 20, "{token}");
    let asked = google.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.path.contains("/identity"))
    );
    assert_ne!(run("0").code, Some(0));
}
