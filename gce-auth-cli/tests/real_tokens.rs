//! Emulators that hand out tokens from elsewhere.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use gce_auth_emulator::{Account, Emulator};
use serde_json::{Value, json};
use support::{ask, emulated::Emulated, folder::Folder, gce_auth, run};

/// The answer of an emulator to a request for a token.
fn token_of(served: &Emulated) -> Value {
    let path = "instance/service-accounts/default/token";
    let text = ask(served.address, &["get", path]).value();
    serde_json::from_str(&text).unwrap()
}

fn permit(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_command_gives_tokens_and_is_told_for_whom() {
    let command = "printf '{\"access_token\": \"%s/%s\", \"expires_in\": 1000}' \
                   \"$GCE_AUTH_ACCOUNT\" \"$GCE_AUTH_SCOPES\"";
    let served = Emulated::new(&[
        "--account",
        "me@x.iam.gserviceaccount.com",
        "--scopes",
        "devstorage.read_only,pubsub",
        "--token-command",
        command,
    ]);
    let answer = token_of(&served);
    assert_eq!(
        answer["access_token"],
        "me@x.iam.gserviceaccount.com/https://www.googleapis.com/auth/devstorage.read_only,\
         https://www.googleapis.com/auth/pubsub"
    );
    let left = answer["expires_in"].as_u64().unwrap();
    assert!((900..=1000).contains(&left), "{answer}");
}

#[test]
fn a_token_alone_holds_as_long_as_is_said() {
    let served = Emulated::new(&[
        "--token-command",
        "echo ya29.alone",
        "--token-lifetime",
        "77",
    ]);
    let answer = token_of(&served);
    assert_eq!(answer["access_token"], "ya29.alone");
    assert!(answer["expires_in"].as_u64().unwrap() <= 77);
}

#[test]
fn a_command_is_run_once_while_its_token_holds() {
    let directory = Folder::new("runs");
    let runs = directory.write("runs", "");
    let command = format!(
        "echo run >> {runs}; printf '{{\"access_token\": \"ya29.kept\", \"expires_in\": 3600}}'"
    );
    let served = Emulated::new(&["--token-command", &command]);
    assert_eq!(
        token_of(&served)["access_token"],
        token_of(&served)["access_token"]
    );
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n");
}

#[test]
fn a_command_that_fails_says_why_to_the_client_and_recovers() {
    let directory = Folder::new("fails");
    let token = directory.join("token");
    let command = format!("cat {} || exit 9", token.display());
    let served = Emulated::new(&["--token-command", &command]);
    let path = "instance/service-accounts/default/token";
    let ran = ask(served.address, &["get", "--timeout", "0.5", path]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let answer = raw(served.address, path);
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("the token command failed, exit status: 9"));
    assert!(answer.contains("No such file"), "{answer}");
    directory.write("token", "ya29.late\n");
    assert_eq!(token_of(&served)["access_token"], "ya29.late");
}

/// A pipe with a name, in this directory.
fn fifo(directory: &Folder, name: &str) -> String {
    let path = directory.join(name).to_str().unwrap().to_owned();
    let status = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(status.unwrap().success());
    path
}

/// A command that prints a token which is to be renewed at once, and then does this.
fn once_and_then(directory: &Folder, then: &str) -> String {
    let mark = directory.join("mark");
    let mark = mark.display();
    format!(
        "if [ -e {mark} ]; then {then}; fi; touch {mark}; \
         printf '{{\"access_token\": \"ya29.first\", \"expires_in\": 300}}'"
    )
}

#[test]
fn a_valid_token_outlives_a_renewal_that_fails_or_hangs() {
    for then in ["exit 1", "exec tail -f /dev/null"] {
        let directory = Folder::new("outlives");
        let command = once_and_then(&directory, then);
        // Each request finds that the token is due for renewal.
        let served = Emulated::new(&["--token-command", &command, "--token-renewal", "299"]);
        for _ in 0..3 {
            assert_eq!(token_of(&served)["access_token"], "ya29.first", "{then}");
        }
    }
}

#[test]
fn the_slow_command_of_one_account_delays_no_other() {
    let directory = Folder::new("slow");
    let (begun, end) = (fifo(&directory, "begun"), fifo(&directory, "end"));
    let command = format!(
        "case $GCE_AUTH_ACCOUNT in slow*) echo > {begun}; cat {end};; esac; echo ya29.$GCE_AUTH_ACCOUNT"
    );
    let served = Emulated::new(&[
        "--account",
        "fast@x",
        "--account",
        "slow@x",
        "--token-command",
        &command,
    ]);
    let address = served.address;
    let slow = std::thread::spawn(move || raw(address, "instance/service-accounts/slow@x/token"));
    fs::read_to_string(begun).unwrap();
    assert_eq!(token_of(&served)["access_token"], "ya29.fast@x");
    assert!(!slow.is_finished());
    fs::write(end, "").unwrap();
    let answer = slow.join().unwrap();
    assert!(answer.contains("ya29.slow@x"), "{answer}");
}

#[test]
fn a_command_does_not_outlive_the_emulator() {
    let directory = Folder::new("outlived");
    let told = fifo(&directory, "told");
    let lives = format!("exec 3> {told}; echo runs >&3; sleep 20; echo 'lives on' >&3");
    for signal in ["INT", "TERM"] {
        let mut served = Emulated::new(&["--token-command", &lives]);
        let server = served.address.to_string();
        let mut asking = gce_auth(&["token"])
            .env("GCE_METADATA_HOST", server)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(fs::File::open(&told).unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert_eq!(line, "runs\n");
        let id = served.child.id().to_string();
        let kill = ["-c", "kill -$0 $1", signal, &id];
        let status = std::process::Command::new("sh").args(kill).status();
        assert!(status.unwrap().success());
        assert_eq!(served.child.wait().unwrap().code(), Some(0));
        // Ends when the last of them is gone.
        let mut rest = String::new();
        told.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "{signal}");
        asking.kill().unwrap();
        asking.wait().unwrap();
    }
}

#[test]
fn a_command_does_not_outlive_the_program() {
    let directory = Folder::new("program");
    let (told, runs) = (fifo(&directory, "told"), fifo(&directory, "runs"));
    let lives = format!("exec 3> {told}; echo > {runs}; sleep 20; echo 'lives on' >&3");
    let script = format!("\"$0\" token 2> /dev/null & read x < {runs}; kill $!");
    let gce_auth_itself = env!("CARGO_BIN_EXE_gce-auth");
    let program = ["--", "sh", "-c", &script, gce_auth_itself];
    let mut child = gce_auth(&[&["exec", "--token-command", &lives], &program[..]].concat())
        .spawn()
        .unwrap();
    let mut rest = String::new();
    let mut told = BufReader::new(fs::File::open(&told).unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_file_is_read_anew_for_each_request() {
    let directory = Folder::new("file");
    let file = directory.write("token", "ya29.first\n");
    let served = Emulated::new(&["--token-file", &file]);
    let answer = token_of(&served);
    assert_eq!(answer["access_token"], "ya29.first");
    assert!(answer["expires_in"].as_u64().unwrap() <= 300);
    directory.write("token", "ya29.second");
    assert_eq!(token_of(&served)["access_token"], "ya29.second");
    fs::remove_file(&file).unwrap();
    let answer = raw(served.address, "instance/service-accounts/default/token");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("cannot read"), "{answer}");
}

#[test]
fn a_secret_that_others_can_read_is_told_of() {
    let directory = Folder::new("readers");
    let file = directory.write("token", "ya29.secret");
    let script = ["--", "true"];
    let ran = run(&[&["exec", "--token-file", &file], &script[..]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    permit(&file, 0o644);
    let ran = run(&[&["exec", "--token-file", &file], &script[..]].concat());
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("chmod 600"), "{ran:?}");
    assert!(!ran.stderr.contains("ya29"), "{ran:?}");
}

#[test]
fn tokens_come_from_one_place() {
    let directory = Folder::new("usage");
    let file = directory.write("token", "ya29.secret");
    let both = ["emulate", "--token-command", "x", "--token-file", &file];
    assert_eq!(run(&both).code, Some(2));
    let real = ["exec", "--real", "--token-file", &file, "--", "true"];
    assert_eq!(run(&real).code, Some(2));
    run(&["emulate", "--token-file", "/no/such/file"]).failure(2);
    let empty = directory.write("empty", "\n");
    run(&["emulate", "--token-file", &empty]).failure(2);
    for text in ["ya29.secret", "{}", r#"{"type": "service_account"}"#] {
        let file = directory.write("key", text);
        let line = run(&["emulate", "--service-account-key", &file]).failure(2);
        assert!(line.contains("is no service account's key"), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
}

const OWNER: &str = "owner@keys.iam.gserviceaccount.com";

/// A token endpoint that knows the key in `directory`, and that key as Google
/// gives it to download.
fn token_endpoint(directory: &Folder) -> (Emulator, Value) {
    let google = Emulator::builder()
        .account(Account::new(OWNER))
        .keys_directory(directory.to_path_buf())
        .start()
        .unwrap();
    // The key is made when it is first needed.
    ask(google.addr(), &["id-token", "--audience", "x"]).value();
    let is_key = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.contains("-----BEGIN PRIVATE KEY-----")
    };
    let files = fs::read_dir(&**directory).unwrap();
    let file = files.map(|entry| entry.unwrap().path()).find(is_key);
    let key = json!({
        "type": "service_account",
        "project_id": "keys",
        "private_key_id": "1234",
        "private_key": fs::read_to_string(file.unwrap()).unwrap(),
        "client_email": OWNER,
        "token_uri": format!("{}/token", google.url()),
    });
    (google, key)
}

#[test]
fn a_service_accounts_key_is_exchanged_for_its_tokens() {
    let directory = Folder::new("key");
    let (google, key) = token_endpoint(&directory);
    let file = directory.write("key.json", &key.to_string());
    let served = Emulated::new(&["--service-account-key", &file]);
    let info = ask(served.address, &["info", "--json"]).value();
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["account"], OWNER);
    assert_eq!(info["project"], "keys");
    let answer = token_of(&served);
    assert!(answer["expires_in"].as_u64().unwrap() > 3000, "{answer}");

    // Its issuer knows it, and is asked once.
    let token = answer["access_token"].as_str().unwrap();
    let known = tokeninfo(google.addr(), token);
    assert!(known.starts_with("HTTP/1.1 200 "), "{known}");
    assert!(known.contains(OWNER) && known.contains("cloud-platform"));
    assert_eq!(token_of(&served)["access_token"], token);
    let asked = google.requests();
    let asked = asked.iter().filter(|request| request.path == "/token");
    assert_eq!(asked.count(), 1);
}

#[test]
fn a_key_gives_no_tokens_of_other_accounts() {
    let directory = Folder::new("other");
    let (google, key) = token_endpoint(&directory);
    let file = directory.write("key.json", &key.to_string());
    let key = ["--service-account-key", &file];
    let served = Emulated::new(&[&key[..], &["--account", "other@x"]].concat());
    let answer = raw(served.address, "instance/service-accounts/default/token");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains(OWNER) && answer.contains("other@x"));
    let asked = google.requests();
    assert!(asked.iter().all(|request| request.path != "/token"));
}

#[test]
fn what_the_token_endpoint_refuses_is_told() {
    let (directory, strange) = (Folder::new("refused"), Folder::new("strange"));
    let (_google, key) = token_endpoint(&directory);
    let (stranger, mut forged) = token_endpoint(&strange);
    forged["token_uri"] = key["token_uri"].clone();
    let file = strange.write("key.json", &forged.to_string());
    let served = Emulated::new(&["--service-account-key", &file]);
    let answer = raw(served.address, "instance/service-accounts/default/token");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("invalid_grant: Invalid JWT Signature."));
    assert!(answer.contains("status 400"), "{answer}");
    drop(stranger);

    // The endpoint refuses connections.
    let mut key = key;
    key["token_uri"] = format!("http://{}/token", support::closed_port()).into();
    let file = directory.write("key.json", &key.to_string());
    let served = Emulated::new(&["--service-account-key", &file]);
    let answer = raw(served.address, "instance/service-accounts/default/token");
    assert!(answer.contains("the connection was refused"), "{answer}");
}

#[test]
fn a_key_is_not_sent_where_it_alone_says() {
    let directory = Folder::new("astray");
    let (_google, mut key) = token_endpoint(&directory);
    for uri in [
        "https://tokens.example/token",
        "http://127.0.0.1.example/token",
        "/token",
    ] {
        key["token_uri"] = uri.into();
        let file = directory.write("key.json", &key.to_string());
        let line = run(&["emulate", "--service-account-key", &file]).failure(2);
        assert!(line.contains("token_uri"), "{line}");
    }
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "hush",
                      "refresh_token": "hush"});
    let file = directory.write("user.json", &user.to_string());
    let line = run(&["emulate", "--service-account-key", &file]).failure(2);
    assert!(line.contains("its type is authorized_user"), "{line}");
    assert!(!line.contains("hush"), "{line}");
}

/// The answer to one attempt to get a value, headers and all.
fn raw(server: SocketAddr, path: &str) -> String {
    let path = format!("/computeMetadata/v1/{path}");
    fetch(server, &path)
}

fn tokeninfo(server: SocketAddr, token: &str) -> String {
    fetch(server, &format!("/tokeninfo?access_token={token}"))
}

fn fetch(server: SocketAddr, path: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nMetadata-Flavor: Google\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
