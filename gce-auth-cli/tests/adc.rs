//! Credentials files: written by `emulate`, set by `exec`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use support::{gce_auth, run};

#[test]
fn exec_sets_a_file_and_takes_it_away() {
    let script = r#"stat -c %a "$GOOGLE_APPLICATION_CREDENTIALS"; echo "$GOOGLE_APPLICATION_CREDENTIALS"; \
                    cat "$GOOGLE_APPLICATION_CREDENTIALS"; echo; echo "$GCE_METADATA_HOST""#;
    for (kind, kind_in_file) in [
        ("authorized_user", "authorized_user"),
        ("service_account", "service_account"),
        ("impersonated", "impersonated_service_account"),
        ("external_account", "external_account"),
    ] {
        let printed = run(&["exec", "--adc", kind, "--", "sh", "-c", script]).value();
        let (mode, rest) = printed.split_once('\n').unwrap();
        let (path, rest) = rest.split_once('\n').unwrap();
        let (json, host) = rest.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(mode, "600");
        let file: Value = serde_json::from_str(json).unwrap();
        assert_eq!(file["type"], kind_in_file);
        assert!(json.contains(&format!("http://{host}/")), "{json}");
        let directory = Path::new(path).parent().unwrap();
        assert!(!directory.exists(), "{path}");
    }
    let unknown = run(&["exec", "--adc", "key", "--", "true"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("external_account"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn emulate_writes_a_file_and_is_as_strict_as_it_is_told() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("write-adc");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let cloud = directory.join("cloud.json");
    fs::write(&cloud, r#"{"accounts": ["robot@example.com"]}"#).unwrap();
    let (directory, cloud) = (directory.to_str().unwrap(), cloud.to_str().unwrap());
    let options = [
        "--write-adc",
        directory,
        "--adc-kind",
        "impersonated",
        "--cloud",
        cloud,
    ];
    let mut emulator = gce_auth(&[&["emulate", "--ready-json", "--strict"], &options[..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(emulator.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let path = Path::new(directory).join("application_default_credentials.json");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let url = ready["url"].as_str().unwrap();
    assert_eq!(
        file["service_account_impersonation_url"],
        format!("{url}/v1/projects/-/serviceAccounts/robot@example.com:generateAccessToken")
    );
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /emulator/v1/cloud HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let cloud: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&cloud["strict"], &cloud["accounts"][0]),
        (&true.into(), &"robot@example.com".into())
    );
    emulator.kill().unwrap();
    emulator.wait().unwrap();

    let nowhere = run(&["emulate", "--write-adc", "/no/such/directory"]);
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere.stderr.contains("/no/such/directory"),
        "{}",
        nowhere.stderr
    );
    assert_eq!(run(&["emulate", "--cloud", "/no/such/file"]).code, Some(2));
    assert_eq!(
        run(&["emulate", "--adc-kind", "impersonated"]).code,
        Some(2)
    );
}
