//! What well-known clients ask, recorded, and what they need for an answer.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::{get, request};
use gce_auth_emulator::{Account, Emulator, Profile};

const EMAIL: &str = "emulator@emulator-project.iam.gserviceaccount.com";

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

#[test]
fn cloud_init() {
    let emulator = emulator();
    emulator
        .set("instance/attributes/user-data", "#cloud-config\n")
        .unwrap();
    let ask = |path: &str| {
        request(
            emulator.addr(),
            "GET",
            &format!("/computeMetadata/v1/{path}"),
            &[
                ("Metadata-Flavor", "Google"),
                ("User-Agent", "Cloud-Init/22.4"),
            ],
            b"",
        )
    };
    assert_eq!(ask("instance/id").text(), "5737554347302044216");
    assert!(
        ask("instance/zone")
            .text()
            .ends_with("/zones/us-central1-a")
    );
    assert!(ask("instance/hostname").text().ends_with(".internal"));
    assert_eq!(
        ask("instance/attributes/?recursive=True").text(),
        "{\"user-data\":\"#cloud-config\\n\"}"
    );
    assert_eq!(ask("project/attributes/?recursive=True").text(), "{}");
    // It publishes the keys of the host.
    let publish = || {
        request(
            emulator.addr(),
            "PUT",
            "/computeMetadata/v1/instance/guest-attributes/hostkeys/ssh-ed25519",
            &[("Metadata-Flavor", "Google")],
            b"AAAAC3NzaC1lZDI1NTE5AAAA",
        )
    };
    assert_eq!(publish().status, 403);
    emulator
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .unwrap();
    assert_eq!(publish().status, 200);
    assert_eq!(
        ask("instance/guest-attributes/hostkeys/ssh-ed25519").text(),
        "AAAAC3NzaC1lZDI1NTE5AAAA"
    );
    assert_eq!(
        emulator.requests()[0].header("user-agent"),
        Some("Cloud-Init/22.4")
    );
}

#[test]
fn the_guest_agent() {
    let emulator = emulator();
    let poll = |etag: &str, seconds: u32| {
        get(
            emulator.addr(),
            &format!(
                "?timeout_sec={seconds}&last_etag={etag}&alt=json&recursive=true&wait_for_change=true"
            ),
        )
    };
    let first = poll("NONE", 60);
    let document = first.json();
    assert_eq!(document["instance"]["virtualClock"]["driftToken"], "0");
    assert_eq!(document["instance"]["id"], 5_737_554_347_302_044_216_u64);
    let etag = first.header("ETag").unwrap();
    let second = poll(etag, 0);
    assert_eq!((second.status, second.header("ETag")), (200, Some(etag)));
    emulator
        .set("instance/virtual-clock/drift-token", "1")
        .unwrap();
    let third = poll(etag, 60);
    assert_eq!(third.json()["instance"]["virtualClock"]["driftToken"], "1");
    let workload = get(
        emulator.addr(),
        "instance/gce-workload-certificates/config-status",
    );
    assert_eq!(workload.status, 412);
}

#[test]
fn gcloud() {
    let emulator = emulator();
    let at = |path: &str| get(emulator.addr(), path);
    assert_eq!(at("project/numeric-project-id").text(), "204954049439");
    assert_eq!(at("instance/service-accounts/default/email").text(), EMAIL);
    assert_eq!(
        at("instance/service-accounts/").text(),
        format!("default/\n{EMAIL}/\n")
    );
    assert_eq!(at("universe/universe-domain").text(), "googleapis.com");
    assert_eq!(at("universe/universe_domain").text(), "googleapis.com");
    assert_eq!(
        at("instance/service-accounts/default/identity?audience=32555940559.apps.googleusercontent.com&format=standard&licenses=FALSE").status,
        200
    );
    let account = at(&format!(
        "instance/service-accounts/{EMAIL}/?recursive=true"
    ));
    assert_eq!(account.json()["email"], EMAIL);
    assert_eq!(account.header("Content-Type"), Some("application/json"));
    assert_eq!(
        at(&format!("instance/service-accounts/{EMAIL}/token")).status,
        200
    );
    assert_eq!(
        at("instance/service-accounts/default/identity?audience=https://y&format=full&licenses=TRUE").status,
        200
    );
}

#[test]
fn node_probes_the_directory_and_follows_its_redirect() {
    let emulator = emulator();
    let probe = request(
        emulator.addr(),
        "GET",
        "/computeMetadata/v1/instance",
        &[
            ("Metadata-Flavor", "Google"),
            ("Host", "metadata.google.internal."),
        ],
        b"",
    );
    assert_eq!(probe.status, 301);
    let location = probe.header("Location").unwrap();
    assert_eq!(
        location,
        "http://metadata.google.internal./computeMetadata/v1/instance/"
    );
    assert_eq!(get(emulator.addr(), "instance/").status, 200);
}

#[test]
fn go_pings_without_the_flavor_and_reads_lists_by_line() {
    let emulator = emulator();
    let ping = request(
        emulator.addr(),
        "GET",
        "/",
        &[("User-Agent", "gcloud-golang/0.1")],
        b"",
    );
    assert_eq!(ping.header("Metadata-Flavor"), Some("Google"));
    let scopes = get(emulator.addr(), "instance/service-accounts/default/scopes");
    assert_eq!(
        scopes.text(),
        "https://www.googleapis.com/auth/cloud-platform\n"
    );
    let attributes = get(emulator.addr(), "instance/attributes/");
    assert_eq!(attributes.text(), "");
}

#[test]
fn the_configuration_of_gce_metadata_server() {
    let emulator = Emulator::builder()
        .document(
            r#"{"computeMetadata": {"v1": {
                "instance": {
                    "attributes": {"k1": "v1"}, "hostname": "h", "id": 5775171277418378000,
                    "maintenanceEvent": "NONE", "name": "n", "tags": [],
                    "serviceAccounts": {"default": {
                        "aliases": ["default"], "email": "m@p.iam.gserviceaccount.com",
                        "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}},
                    "shutdownDetails": {"StopState": "UNKNOWN", "TargetState": "UNKNOWN"},
                    "zone": "projects/1/zones/us-central1-a"
                },
                "project": {"attributes": {}, "numericProjectId": 1, "projectId": "p"},
                "universe": {"universeDomain": "googleapis.com"}
            }}}"#,
        )
        .start()
        .unwrap();
    let at = |path: &str| get(emulator.addr(), path);
    assert_eq!(at("instance/attributes/k1").text(), "v1");
    assert_eq!(at("instance/shutdown-details/stop-state").text(), "UNKNOWN");
    assert_eq!(at("instance/service-accounts/default/token").status, 200);
    assert_eq!(
        at("instance/service-accounts/default/identity?audience=a&format=full").status,
        200
    );
    assert_eq!(at("?recursive=true").json()["project"]["projectId"], "p");
}

#[test]
fn a_pod_without_a_google_service_account() {
    let emulator = Emulator::builder()
        .profile(Profile::Gke)
        .account(Account::workload_pool("my-project"))
        .account(Account::new("denied@p.iam.gserviceaccount.com").denied(true))
        .account(Account::new("gone@p.iam.gserviceaccount.com").missing(true))
        .start()
        .unwrap();
    let at = |path: &str| {
        get(
            emulator.addr(),
            &format!("instance/service-accounts/{path}"),
        )
    };
    assert_eq!(at("default/email").text(), "my-project.svc.id.goog");
    assert_eq!(at("my-project.svc.id.goog/token").status, 200);
    let identity = at("default/identity?audience=a");
    assert_eq!(identity.status, 404);
    assert!(identity.text().contains("iam.gke.io/gcp-service-account"));
    for (name, status, part) in [
        (
            "denied",
            403,
            "; IAM returned 403 Forbidden: Permission 'iam.serviceAccounts.get",
        ),
        ("gone", 404, "; IAM returned 404 Not Found: "),
    ] {
        let account = format!("{name}@p.iam.gserviceaccount.com");
        assert_eq!(at(&format!("{account}/email")).text(), account);
        for leaf in ["token", "identity?audience=a"] {
            let refused = at(&format!("{account}/{leaf}"));
            assert_eq!(refused.status, status, "{leaf}");
            assert!(refused.text().starts_with("Unable to generate "));
            assert!(refused.text().contains(part), "{}", refused.text());
            let kind = refused.header("Content-Type");
            assert_eq!(kind, Some("text/plain; charset=utf-8"));
        }
    }
}

#[test]
fn the_login_daemon_finds_its_directory() {
    let emulator = emulator();
    assert_eq!(get(emulator.addr(), "oslogin/").text(), "authenticate/\n");
    assert_eq!(
        get(emulator.addr(), "oslogin/?recursive=true").text(),
        r#"{"authenticate":{"sessions":{}}}"#
    );
    assert_eq!(get(emulator.addr(), "oslogin/users?username=a").status, 404);
    let everybody = get(emulator.addr(), "oslogin/users?pagesize=10");
    assert_eq!(
        everybody.text(),
        r#"{"loginProfiles":[],"nextPageToken":"0"}"#
    );

    let user = r#"[{"name":"ann@example.com","posixAccounts":[{"username":"ann","uid":"1001"}]}]"#;
    emulator.set("oslogin/users", user).unwrap();
    let group = r#"[{"name":"ops","gid":"2001","members":["ann"]}]"#;
    emulator.set("oslogin/groups", group).unwrap();
    for (path, part) in [
        ("users?username=ann", "\"ann@example.com\""),
        ("users?uid=1001", "\"ann@example.com\""),
        ("users?groupname=ops", "\"usernames\":[\"ann\"]"),
        ("groups?username=ann&pagesize=5", "\"posixGroups\":[{"),
        ("groups?gid=2001", "\"name\":\"ops\""),
        (
            "authorize?email=ann@example.com&policy=login",
            "{\"success\":true}",
        ),
        (
            "authorize?email=eve@example.com&policy=login",
            "{\"success\":false}",
        ),
    ] {
        let answer = get(emulator.addr(), &format!("oslogin/{path}"));
        assert_eq!(
            answer.header("Content-Type"),
            Some("application/json"),
            "{path}"
        );
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
    }
    // Who may log in is told only to a client that asks for it.
    assert_eq!(get(emulator.addr(), "oslogin/").text(), "authenticate/\n");
    assert!(
        !get(emulator.addr(), "?recursive=true")
            .text()
            .contains("ann")
    );
    for path in ["users/", "users/0", "groups/0/name", "authorize/"] {
        let answer = get(emulator.addr(), &format!("oslogin/{path}"));
        assert_eq!(answer.status, 404, "{path}");
    }
}
