//! What one request, or one file, can do to the process: nothing.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::io::{Read, Write};

use client::{
    cloud::{ACCESS_TOKEN, EXCHANGE, post, token_info},
    get, request, token,
};
use gce_auth_emulator::Emulator;
use serde_json::json;

const CONTROL: &str = "/emulator/v1/";
const HERE: (&str, &str) = ("Host", "localhost");

fn control(emulator: &Emulator, method: &str, path: &str, body: &[u8]) -> u16 {
    let path = format!("{CONTROL}{path}");
    request(emulator.addr(), method, &path, &[HERE], body).status
}

#[test]
fn nesting_is_bounded_wherever_a_document_comes_from() {
    let emulator = Emulator::builder().start().unwrap();
    let deep = "a/".repeat(8000) + "a";
    let path = format!("document/instance/attributes/{deep}");
    assert_eq!(control(&emulator, "PUT", &path, b"\"x\""), 409);
    assert_eq!(control(&emulator, "GET", &path, b""), 404);
    assert_eq!(control(&emulator, "DELETE", &path, b""), 404);
    assert!(emulator.set(&format!("instance/{deep}"), "x").is_err());
    assert!(emulator.set_json(&format!("instance/{deep}"), "1").is_err());
    // Step by step it does not grow without an end either.
    let mut place = "instance/attributes".to_owned();
    for _ in 0..40 {
        place.push_str("/a/a/a/a/a");
        control(&emulator, "PUT", &format!("document/{place}"), b"{}");
    }
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    control(
        &emulator,
        "PUT",
        "document/instance/attributes/a/a/a/a/a",
        nested.as_bytes(),
    );
    assert_eq!(get(emulator.addr(), "?recursive=true").status, 200);
    assert_eq!(get(emulator.addr(), &deep).status, 404);

    for overlay in [
        format!("[instance.attributes]\n{}a = 1", "a.".repeat(8000)),
        format!("\"instance/attributes/{deep}\" = 1"),
        format!(
            "[instance.attributes]\na = {}1{}",
            "[".repeat(8000),
            "]".repeat(8000)
        ),
        format!("[instance.attributes{}]\na = 1", ".a".repeat(8000)),
        format!(
            "[instance.attributes]\n{}a = 1{}",
            format!("{}a = {{", "a.".repeat(78)).repeat(78),
            "}".repeat(78)
        ),
    ] {
        let why = Emulator::builder()
            .overlay(overlay)
            .start()
            .unwrap_err()
            .to_string();
        assert!(why.len() < 20_000, "{}", why.len());
    }
    let document = format!(
        "{{\"instance\": {}1{}}}",
        "[".repeat(8000),
        "]".repeat(8000)
    );
    assert!(Emulator::builder().document(document).start().is_err());
}

#[test]
fn chains_in_a_condition_are_bounded() {
    const BUCKET: &str = "//storage.googleapis.com/projects/_/buckets/b";
    const VIEWER: &str = "inRole:roles/storage.objectViewer";
    let emulator = Emulator::builder().start().unwrap();
    let downscope = |expression: &str| {
        let options = json!({"accessBoundary": {"accessBoundaryRules": [{
            "availableResource": BUCKET,
            "availablePermissions": [VIEWER],
            "availabilityCondition": {"expression": expression},
        }]}});
        let fields = [
            ("grant_type", EXCHANGE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", ACCESS_TOKEN),
            ("subject_token", &token(emulator.addr(), "default")),
            ("options", &options.to_string()),
        ];
        post(&emulator, "/v1/token", &fields, &[])
    };
    for chain in ["1+", "false||", "a.", "a[0]&&"] {
        let answer = downscope(&(chain.repeat(3800 / chain.len()) + "true"));
        if answer.status == 200 {
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            let asked = [("resource", BUCKET), ("permission", VIEWER)];
            token_info(&emulator, &token, &asked);
        }
        assert_eq!(answer.status, 400, "{chain}");
    }
    let answer = downscope(&("false || ".repeat(100) + "true"));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let asked = [("resource", BUCKET), ("permission", VIEWER)];
    assert_eq!(token_info(&emulator, &token, &asked).status, 200);
}

#[test]
fn a_document_grows_by_requests_to_a_size_and_no_further() {
    let emulator = Emulator::builder().start().unwrap();
    let big = format!("\"{}\"", "x".repeat(1_000_000));
    let statuses: Vec<u16> = (0..8)
        .map(|n| {
            control(
                &emulator,
                "PUT",
                &format!("document/instance/attributes/{n}"),
                big.as_bytes(),
            )
        })
        .collect();
    assert_eq!(statuses[..3], [200; 3]);
    assert_eq!(statuses[7], 409);
    assert_eq!(
        control(&emulator, "DELETE", "document/instance/attributes/0", b""),
        200
    );
    assert_eq!(
        control(&emulator, "PUT", "document/instance/attributes/n", b"1"),
        200
    );
}

/// A directory of so many values.
fn many(count: usize) -> String {
    let all: Vec<String> = (0..count).map(|n| format!("\"{n:x}\":1")).collect();
    format!("{{{}}}", all.join(","))
}

#[test]
fn a_document_has_16384_values_and_no_more() {
    let emulator = Emulator::builder()
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .start()
        .unwrap();
    let put = |name: &str, body: &str| {
        let path = format!("document/instance/attributes/{name}");
        control(&emulator, "PUT", &path, body.as_bytes())
    };
    assert_eq!(put("a", &many(20_000)), 409);
    for _ in 0..5 {
        assert_eq!(
            put("a", &many(7000)),
            200,
            "what it replaces does not count"
        );
        assert_eq!(put("a", "1"), 200);
    }
    assert_eq!(put("a", &many(7000)), 200);
    assert_eq!(put("b", &many(7000)), 200);
    assert_eq!(put("c", &many(7000)), 409);
    assert!(emulator.set_json("instance/x", &many(7000)).is_err());
    let mut statuses = (0..3000).map(|n| {
        let path = format!("/computeMetadata/v1/instance/guest-attributes/a/{n}");
        let flavor = ("Metadata-Flavor", "Google");
        request(emulator.addr(), "PUT", &path, &[flavor], b"1").status
    });
    assert!(statuses.any(|status| status == 413));
    assert_eq!(put("b", "1"), 200);
    assert_eq!(put("c", &many(6000)), 200);

    let document = format!("{{\"instance\":{}}}", many(20_000));
    let why = Emulator::builder().document(document).start().unwrap_err();
    assert!(why.to_string().contains("16,384 values"), "{why}");
}

#[test]
fn guest_attributes_hold_256_kib_in_all() {
    let emulator = Emulator::builder()
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .start()
        .unwrap();
    let put = |key: &str, length: usize| {
        let path = format!("/computeMetadata/v1/instance/guest-attributes/a/{key}");
        let value = "x".repeat(length);
        let flavor = ("Metadata-Flavor", "Google");
        request(emulator.addr(), "PUT", &path, &[flavor], value.as_bytes()).status
    };
    assert_eq!(put("one", 200 * 1024), 200);
    assert_eq!(put("two", 100 * 1024), 413);
    assert_eq!(
        put("one", 100 * 1024),
        200,
        "what it replaces does not count"
    );
    assert_eq!(put("two", 100 * 1024), 200);
}

#[test]
fn control_bodies_are_bounded() {
    let emulator = Emulator::builder().start().unwrap();
    let text = "x".repeat(100_000);
    let fault = format!(
        "{{\"path\":\"/\",\"fault\":{{\"kind\":\"body\",\"contentType\":\"a/b\",\"text\":\"{text}\"}}}}"
    );
    assert_eq!(control(&emulator, "POST", "faults", fault.as_bytes()), 413);
}

#[test]
fn large_calls_at_once_leave_the_emulator_at_work() {
    let emulator = Emulator::builder().start().unwrap();
    let path = "/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken";
    let body = json!({"scope": ["s".repeat(32 * 1024)]}).to_string();
    let mut callers: Vec<_> = (0..200).map(|_| client::connect(emulator.addr())).collect();
    for caller in &mut callers {
        // No token of any issuer, so that the keys are looked at.
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: iamcredentials.googleapis.com\r\nAuthorization: Bearer a.b.c\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        caller.write_all(head.as_bytes()).unwrap();
        caller.write_all(body.as_bytes()).unwrap();
    }
    for mut caller in callers {
        let mut status = [0; 12];
        caller.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 401");
    }
    assert_eq!(control(&emulator, "GET", "document", b""), 200);
}
