//! The driver of google-auth's recorded behaviour, on a scenario of its own.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// A scripted server as the oracle has it: tokens, an account, a boundary; what was asked.
fn server() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let origin = head
                .lines()
                .find_map(|line| line.strip_prefix("x-oracle-origin: "));
            let body = if target.ends_with("/?recursive=true") {
                json!({"email": "a@p.iam.gserviceaccount.com", "scopes": "s t"})
            } else if target.contains("/token") {
                json!({"access_token": "ya29.t", "expires_in": 300})
            } else {
                json!({"encodedLocations": "0xA"})
            };
            let (kind, body) = if target.ends_with("universe-domain") {
                ("text/plain", "googleapis.com".to_owned())
            } else {
                ("application/json", body.to_string())
            };
            log.lock()
                .unwrap()
                .push(format!("{}{target}", origin.unwrap_or_default()));
            let answer = format!(
                "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Type: {kind}\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

fn run(address: SocketAddr, program: &Value) -> Value {
    let base = format!("http://{address}");
    let scenario = json!({
        "schema": 1, "clock": 1_700_000_000.5, "program": program,
        "endpoints": {
            "base": base, "control": format!("{base}/__oracle/"), "rewrite_to": base,
            "origin_header": "x-oracle-origin", "mds_tls": address.to_string(),
        },
        "paths": {
            "gce_product_name_file": "/nonexistent", "mds_mtls_dir": "/nonexistent",
            "workload_spiffe_dir": "/nonexistent",
        },
    });
    let mut driver = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
        .arg("oracle")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = driver.stdin.take().unwrap();
    stdin.write_all(scenario.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = driver.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_scenario_is_run_step_by_step_with_google_auths_settings() {
    let (address, asked) = server();
    let url = "https://storage.googleapis.com/";
    let before = json!({"op": "before_request", "on": "c", "method": "GET", "url": url,
                        "headers": {"Accept": "x"}});
    let result = run(
        address,
        &json!([
            {"op": "new_credentials", "as": "c", "args": {"quota_project_id": ""}},
            before, before,
            {"op": "advance_clock", "seconds": 100.25},
            {"op": "get", "on": "c", "property": "expiry_in_s"},
            {"op": "get", "on": "c", "property": "scopes"},
            {"op": "get", "on": "c", "property": "quota_project_id"},
            {"op": "get", "on": "nobody", "property": "token"},
            {"op": "dance"},
        ]),
    );
    assert_eq!(result["phased"], true);
    let steps = &result["steps"];
    let sorted = json!([
        ["accept", "x"],
        ["authorization", "Bearer ya29.t"],
        ["x-goog-api-client", "cred-type/mds"]
    ]);
    assert_eq!(steps[1]["ok"]["headers"], sorted);
    let second = steps[2]["ok"]["headers"].to_string();
    assert!(
        second.contains(r#"["x-allowed-locations","0xA"]"#),
        "{second}"
    );
    assert_eq!(steps[4]["ok"], 199.75);
    assert_eq!(
        (&steps[5]["ok"], &steps[6]["ok"]),
        (&json!("s t"), &json!(""))
    );
    assert_eq!(steps[7]["error"]["kind"], "missing_object");
    assert!(steps[8]["error"]["kind"].is_string());
    let asked = asked.lock().unwrap();
    let metadata = "http://metadata.google.internal/computeMetadata/v1/";
    let account = "instance/service-accounts/default/";
    let email = "a@p.iam.gserviceaccount.com";
    assert_eq!(
        asked[1..7],
        [
            "/__oracle/step?n=1&phase=foreground".to_owned(),
            format!("{metadata}{account}?recursive=true"),
            format!("{metadata}{account}token?scopes=s%20t"),
            format!("{metadata}universe/universe-domain"),
            "/__oracle/step?n=1&phase=background".to_owned(),
            format!(
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}/\
                 allowedLocations"
            ),
        ]
    );
}

#[test]
fn steps_turn_the_clock_back_and_change_the_environment_and_files() {
    let (address, asked) = server();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle/product");
    let result = run(
        address,
        &json!([
            {"op": "new_credentials", "as": "c", "args": {}},
            {"op": "refresh", "on": "c"},
            {"op": "advance_clock", "seconds": -100.25},
            {"op": "get", "on": "c", "property": "expiry_in_s"},
            {"op": "set_env", "args": {"GCE_METADATA_HOST": "meta.example"}},
            {"op": "project_id"},
            {"op": "set_env", "args": {"GCE_METADATA_HOST": null}},
            {"op": "project_id"},
            {"op": "write_file", "path": file, "content": "Google\n"},
            {"op": "advance_clock", "seconds": 1e300},
        ]),
    );
    let steps = &result["steps"];
    assert_eq!(steps[2]["ok"], Value::Null);
    assert_eq!(steps[3]["ok"], 400.25);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "Google\n");
    assert_eq!(steps[9]["error"]["kind"], "value_error");
    let asked = asked.lock().unwrap();
    let hosts: Vec<_> = asked
        .iter()
        .filter_map(|line| line.strip_suffix("/computeMetadata/v1/project/project-id"))
        .collect();
    assert_eq!(
        hosts,
        ["http://meta.example", "http://metadata.google.internal"]
    );
}

#[test]
fn what_is_no_scenario_is_a_failure() {
    let mut driver = Command::new(env!("CARGO_BIN_EXE_conformance-driver"))
        .arg("oracle")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    driver.stdin.take().unwrap().write_all(b"not JSON").unwrap();
    let output = driver.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}
