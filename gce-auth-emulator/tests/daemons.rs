//! What Google's own daemons and tools for machines ask, and other platforms' servers answer.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::io::{Read, Write};

use client::{Answer, connect, get, request};
use gce_auth_emulator::{Emulator, Profile};
use serde_json::json;

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

fn ask(emulator: &Emulator, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(emulator.addr(), method, path, headers, b"")
}

#[test]
fn empty_segments_of_a_path_are_ignored() {
    let emulator = Emulator::builder().start().unwrap();
    // Google's guest agent, as Debian 12 has it.
    let path = "/computeMetadata/v1//?recursive=true&alt=json&last_etag=NONE";
    let whole = get(emulator.addr(), "?recursive=true").json();
    assert_eq!(ask(&emulator, "GET", path, &[FLAVOR]).json(), whole);
    assert_eq!(ask(&emulator, "GET", path, &[]).status, 403);
    for (path, status) in [
        ("//computeMetadata/v1/instance/id", 200),
        ("/computeMetadata//v1/instance///id", 200),
        (
            "/computeMetadata/v1/instance//service-accounts//default/token",
            200,
        ),
        ("/computeMetadata/v1/instance/id//", 404),
        ("//", 200),
    ] {
        assert_eq!(
            ask(&emulator, "GET", path, &[FLAVOR]).status,
            status,
            "{path}"
        );
    }
    let moved = ask(&emulator, "GET", "/computeMetadata/v1//instance", &[FLAVOR]);
    assert_eq!(
        (moved.status, moved.text()),
        (301, "/computeMetadata/v1/instance/\n")
    );
}

#[test]
fn a_slash_behind_a_flag_is_ignored() {
    let emulator = Emulator::builder().start().unwrap();
    // ohai.
    let whole = get(emulator.addr(), "?recursive=true").json();
    assert_eq!(get(emulator.addr(), "?recursive=true/").json(), whole);
}

#[test]
fn outside_the_tree_no_header_is_needed() {
    let emulator = Emulator::builder().start().unwrap();
    let put = ask(&emulator, "PUT", "/latest/api/token", &[]);
    assert_eq!(put.status, 405);
    assert!(put.text().contains("<title>Error 405"), "{}", put.text());
    let unknown = ask(&emulator, "GET", "/latest/meta-data/", &[]);
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.text().contains("<title>Error 404"),
        "{}",
        unknown.text()
    );
}

#[test]
fn the_last_page_of_users_is_empty() {
    let user = |name: &str, uid: u32| json!({"name": name, "posixAccounts": [{"username": name, "uid": uid.to_string(), "gid": uid}]});
    let emulator = Emulator::builder()
        .set(
            "oslogin/users",
            json!([user("ann", 1001), user("bob", 1002), user("cy", 1003)]).to_string(),
        )
        .set(
            "oslogin/groups",
            json!([{"name": "g", "gid": 5, "members": ["ann"]}]).to_string(),
        )
        .start()
        .unwrap();
    for size in [1, 2, 3, 4, 2048] {
        let (mut names, mut page) = (Vec::new(), String::new());
        for _ in 0..10 {
            let answer = get(
                emulator.addr(),
                &format!("oslogin/users?pagesize={size}{page}"),
            )
            .json();
            let token = answer["nextPageToken"].as_str().unwrap().to_owned();
            let profiles = answer["loginProfiles"].as_array().unwrap().clone();
            // guest-oslogin does not look at the profiles of the page whose token is 0.
            if token == "0" {
                assert!(profiles.is_empty());
                break;
            }
            assert!(profiles.len() <= size);
            names.extend(
                profiles
                    .iter()
                    .map(|user| user["name"].as_str().unwrap().to_owned()),
            );
            page = format!("&pagetoken={token}");
        }
        assert_eq!(names, ["ann", "bob", "cy"], "{size}");
    }
    // One user, and groups, are looked up on one page.
    let one = get(emulator.addr(), "oslogin/users?username=bob").json();
    assert_eq!(one["loginProfiles"][0]["name"], "bob");
    let groups = get(emulator.addr(), "oslogin/groups").json();
    assert_eq!(
        (&groups["posixGroups"][0]["name"], &groups["nextPageToken"]),
        (&json!("g"), &json!("0"))
    );
}

#[test]
fn other_platforms_have_servers_of_their_own() {
    let gke = Emulator::builder().profile(Profile::Gke).start().unwrap();
    for path in ["/", "/computeMetadata/v1/instance/id"] {
        let bare = ask(&gke, "GET", path, &[]);
        assert_eq!(bare.status, 403, "{path}");
        assert!(
            bare.text()
                .starts_with("GKE Metadata Server encountered an error: "),
            "{}",
            bare.text()
        );
        assert!(
            bare.header("Content-Type")
                .unwrap()
                .starts_with("text/plain")
        );
        assert_eq!(bare.header("Metadata-Flavor"), None);
    }
    let served = ask(&gke, "GET", "/", &[FLAVOR]);
    assert_eq!(served.header("Server"), Some("GKE Metadata Server"));
    assert_eq!(served.header("Metadata-Flavor"), Some("Google"));
    assert!(get(gke.addr(), "?recursive=true").json()["instance"]["name"].is_null());

    let run = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let served = get(run.addr(), "instance/region");
    assert_eq!(
        served.header("Server"),
        Some("Metadata Server for Serverless")
    );
    let missing = get(run.addr(), "instance/disks/");
    assert_eq!((missing.status, missing.text()), (404, ""));
}

#[test]
fn what_is_no_http_stands_in_the_journal() {
    let emulator = Emulator::builder().start().unwrap();
    let mut stream = connect(emulator.addr());
    stream
        .write_all(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let requests = emulator.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.status, Some(400));
    let hint = last.hint.as_deref().unwrap();
    assert!(hint.contains("not HTTP"), "{hint}");
    assert_eq!(emulator.request_count("/"), 0);
}
