//! The metadata server's answers in all their forms. What they are byte for byte stands in
//! `golden.rs`.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::{get, parse, request};
use gce_auth_emulator::{Emulator, Profile};

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

#[test]
fn a_directory_without_its_slash() {
    let emulator = emulator();
    let answer = request(
        emulator.addr(),
        "GET",
        "/computeMetadata/v1/instance/attributes?recursive=true&x=a%2Fb",
        &[FLAVOR, ("Host", "metadata.google.internal.:8080")],
        b"",
    );
    assert_eq!(
        answer.header("Location"),
        Some(
            "http://metadata.google.internal.:8080/computeMetadata/v1/instance/attributes/?recursive=true&x=a%2Fb"
        )
    );
    for path in ["/computeMetadata", "/computeMetadata/v1"] {
        let answer = request(emulator.addr(), "GET", path, &[FLAVOR], b"");
        assert_eq!(
            (answer.status, answer.text()),
            (301, &*format!("{path}/\n"))
        );
    }
}

#[test]
fn the_root_is_free_and_says_who_answers() {
    let emulator = emulator();
    let answer = request(emulator.addr(), "GET", "/", &[], b"");
    assert_eq!(answer.header("Metadata-Flavor"), Some("Google"));
    let head = request(emulator.addr(), "HEAD", "/", &[], b"");
    assert_eq!(head.header("Content-Length"), Some("17"));
    assert!(head.body.is_empty());
}

#[test]
fn refusals() {
    let emulator = emulator();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        request(emulator.addr(), method, path, headers, b"")
    };
    let id = "/computeMetadata/v1/instance/id";

    assert_eq!(ask("GET", id, &[]).status, 403);
    assert_eq!(ask("GET", id, &[("Metadata-Flavor", "google")]).status, 403);
    let forwarded = ("X-Forwarded-For", "10.0.0.1");
    assert_eq!(ask("GET", id, &[FLAVOR, forwarded]).status, 403);
    assert_eq!(ask("GET", "/", &[forwarded]).status, 403);

    let missing = ask("GET", "/computeMetadata/v1/instance/nothing", &[FLAVOR]);
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.header("Content-Type"),
        Some("text/html; charset=UTF-8")
    );
    assert!(missing.text().contains("Error 404 (Not Found)!!1"));
    assert!(missing.text().contains(
        "<code>/computeMetadata/v1/instance/nothing</code> was not found on this server"
    ));

    for path in [
        "/computeMetadata/v1/instance/id/",
        "/computeMetadata/v1/instance/ID",
        "/computeMetadata/v1/instance/machineType",
        "/computeMetadata/v1/instance/service-accounts/default/token/",
        "/computeMetadata/v1/instance/service-accounts/emulator%40emulator-project.iam.gserviceaccount.com/email",
        "/computeMetadata/v1/instance/credentials/mds-client-certificate",
        "/elsewhere",
    ] {
        assert_eq!(ask("GET", path, &[FLAVOR]).status, 404, "{path}");
    }
    for path in [
        "/computeMetadata/v1/instance/workload-identities",
        "/computeMetadata/v1/instance/gce-workload-certificates/config-status",
    ] {
        assert_eq!(ask("GET", path, &[FLAVOR]).status, 412, "{path}");
    }
    for path in [
        "/computeMetadata/v1beta1/instance/id",
        "/0.1/meta-data/attributes/",
    ] {
        for headers in [&[FLAVOR][..], &[]] {
            let answer = ask("GET", path, headers);
            assert_eq!(answer.status, 403);
            assert!(answer.text().contains("Legacy metadata endpoint accessed"));
        }
        assert_eq!(ask("GET", path, &[forwarded]).status, 403);
    }
    let posted = ask("POST", id, &[FLAVOR]);
    assert_eq!(
        (posted.status, posted.header("Allow")),
        (405, Some("GET, HEAD"))
    );
    for path in [
        "instance/?alt=json",
        "instance/id?alt=xml",
        "instance/?wait_for_change=true",
    ] {
        assert_eq!(get(emulator.addr(), path).status, 400, "{path}");
    }
}

#[test]
fn listings_of_a_modern_machine() {
    let emulator = emulator();
    let at = |path: &str| get(emulator.addr(), path).text().to_owned();
    assert_eq!(at(""), "instance/\noslogin/\nproject/\nuniverse/\n");
    assert_eq!(
        at("instance/"),
        "attributes/\ncpu-platform\ncredentials/\ndescription\ndisks/\ngce-workload-certificates/\nguest-attributes/\n\
         hostname\nid\nimage\nlicenses/\nmachine-type\nmaintenance-event\nname\nnetwork-interfaces/\npartner-attributes/\n\
         preempted\nremaining-cpu-time\nscheduling/\nservice-accounts/\nshutdown-details/\ntags\nupcoming-maintenance\n\
         virtual-clock/\nvlan-network-interfaces/\nworkload-certificates-config-status\nworkload-identities\n\
         workload-trusted-root-certs\nzone\n"
    );
    assert_eq!(
        at("instance/service-accounts/"),
        "default/\nemulator@emulator-project.iam.gserviceaccount.com/\n"
    );
    assert_eq!(
        at("instance/service-accounts/default/"),
        "aliases\nemail\nidentity\nscopes\ntoken\n"
    );
    assert_eq!(at("instance/service-accounts/default/aliases"), "default\n");
    assert_eq!(at("instance/network-interfaces/"), "0/\n");
    assert_eq!(
        at("instance/network-interfaces/0/dns-servers"),
        "169.254.169.254\n"
    );
    assert_eq!(at("instance/description"), "");
    assert_eq!(at("universe/universe_domain"), "googleapis.com");
    let versions = request(emulator.addr(), "GET", "/computeMetadata/", &[FLAVOR], b"");
    assert_eq!(versions.text(), "v1/\n");
}

#[test]
fn recursion_and_formats() {
    let emulator = Emulator::builder()
        .project_id("p")
        .numeric_project_id(12)
        .set("project/attributes/Some_Key", "a \"b\" \u{e9}")
        .start()
        .unwrap();
    let at = |path: &str| {
        let answer = get(emulator.addr(), path);
        (
            answer.header("Content-Type").unwrap().to_owned(),
            answer.text().to_owned(),
        )
    };
    let json = |body: &str| ("application/json".to_owned(), body.to_owned());
    let text = |body: &str| ("application/text".to_owned(), body.to_owned());
    let project = json(
        "{\"attributes\":{\"Some_Key\":\"a \\\"b\\\" \u{e9}\"},\"numericProjectId\":12,\"projectId\":\"p\"}",
    );
    assert_eq!(at("project/?recursive=true"), project);
    assert_eq!(at("project/?recursive=True&alt=json"), project);
    assert_eq!(
        at("project/?recursive=true&alt=text"),
        text("attributes/Some_Key a \"b\" \u{e9}\nnumeric-project-id 12\nproject-id p\n")
    );
    assert_eq!(at("project/project-id?alt=json"), json("\"p\""));
    assert_eq!(at("project/numeric-project-id?alt=json"), json("12"));
    assert_eq!(at("instance/id"), text("5737554347302044216"));
    assert_eq!(
        at("instance/id?recursive=true"),
        text("5737554347302044216")
    );
    assert_eq!(
        at("instance/tags"),
        json("[\"http-server\",\"https-server\"]")
    );
    assert_eq!(
        at("instance/tags?alt=text"),
        text("http-server\nhttps-server\n")
    );
    assert_eq!(
        at("instance/service-accounts/default/?recursive=true"),
        json(
            "{\"aliases\":[\"default\"],\"email\":\"emulator@p.iam.gserviceaccount.com\",\
             \"scopes\":[\"https://www.googleapis.com/auth/cloud-platform\"]}"
        )
    );
    let whole = get(emulator.addr(), "?recursive=true").json();
    assert_eq!(whole["instance"]["id"], 5_737_554_347_302_044_216_u64);
    assert_eq!(whole["instance"]["guestAttributes"], serde_json::json!({}));
    assert_eq!(whole["universe"]["universeDomain"], "googleapis.com");
    assert!(whole["instance"].get("credentials").is_none());
}

#[test]
fn an_etag_is_the_same_for_both_formats_and_follows_the_value() {
    let emulator = emulator();
    let etag = |path: &str| {
        get(emulator.addr(), path)
            .header("ETag")
            .unwrap()
            .to_owned()
    };
    assert_eq!(etag("instance/tags"), etag("instance/tags?alt=text"));
    let (before, name) = (etag("?recursive=true"), etag("instance/name"));
    emulator.set("instance/attributes/a", "1").unwrap();
    assert_ne!(etag("?recursive=true"), before);
    assert_eq!(etag("instance/name"), name);
    emulator.remove("instance/attributes/a").unwrap();
    assert_eq!(etag("?recursive=true"), before);
}

#[test]
fn head_has_the_headers_of_get() {
    let emulator = emulator();
    let path = "/computeMetadata/v1/instance/name";
    let head = request(emulator.addr(), "HEAD", path, &[FLAVOR], b"");
    let get = request(emulator.addr(), "GET", path, &[FLAVOR], b"");
    assert_eq!(head.names(), get.names());
    assert_eq!(head.header("Content-Length"), Some("8"));
    assert!(head.body.is_empty());
    let directory = request(
        emulator.addr(),
        "HEAD",
        "/computeMetadata/v1/instance",
        &[FLAVOR],
        b"",
    );
    assert_eq!(directory.status, 301);
}

#[test]
fn other_machines() {
    let bare = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    assert_eq!(get(bare.addr(), "instance/service-accounts/").text(), "");
    for leaf in ["", "email", "token", "identity?audience=a"] {
        let path = format!("instance/service-accounts/default/{leaf}");
        assert_eq!(get(bare.addr(), &path).status, 404, "{path}");
    }

    let run = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    assert_eq!(
        get(run.addr(), "instance/").text(),
        "id\nregion\nservice-accounts/\nzone\n"
    );
    assert_eq!(get(run.addr(), "instance/machine-type").status, 404);

    let gke = Emulator::builder().profile(Profile::Gke).start().unwrap();
    assert_eq!(
        get(gke.addr(), "instance/attributes/cluster-name").text(),
        "emulator-cluster"
    );
}

#[test]
fn a_document_of_a_real_machine() {
    let emulator = Emulator::builder()
        .document(r#"{"computeMetadata":{"v1":{"instance":{"id":18446744073709551615,"shutdownDetails":{"TargetState":"X"}},"project":{"projectId":"q"}}}}"#)
        .start()
        .unwrap();
    assert_eq!(
        get(emulator.addr(), "instance/id").text(),
        "18446744073709551615"
    );
    assert_eq!(
        get(emulator.addr(), "instance/shutdown-details/target-state").text(),
        "X"
    );
    assert_eq!(get(emulator.addr(), "project/project-id").text(), "q");
    for bad in [
        "",
        "{",
        "[]",
        "3",
        "{\"a\":1}",
        "{\"instance\":{},\"project\":5}",
        "{\"computeMetadata\":{\"v1\":null}}",
    ] {
        let builder = Emulator::builder().document(bad).project_id("p");
        assert!(builder.start().is_err(), "{bad}");
    }
}

#[test]
fn keep_alive_serves_one_request_after_the_other() {
    use std::io::{Read, Write};
    let emulator = emulator();
    let mut stream = client::connect(emulator.addr());
    let ask =
        "GET /computeMetadata/v1/instance/name HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n";
    let mut both = Vec::new();
    stream.write_all(format!("{ask}\r\n").as_bytes()).unwrap();
    while !both.ends_with(b"\r\n\r\nemulator") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        both.push(byte[0]);
    }
    stream
        .write_all(format!("{ask}Connection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut second = Vec::new();
    stream.read_to_end(&mut second).unwrap();
    assert_eq!(parse(&both).text(), "emulator");
    assert_eq!(parse(&second).text(), "emulator");
    assert_eq!(emulator.request_count("instance/name"), 2);
}
