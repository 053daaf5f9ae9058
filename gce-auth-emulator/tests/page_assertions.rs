//! The assertions that the page writes from requests compile, and hold for the same requests.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::request;

fn program(emulator: &gce_auth_emulator::Emulator) {
    let headers = [("Metadata-Flavor", "Google")];
    for (method, target, body) in [
        ("GET", "/computeMetadata/v1/instance/zone", ""),
        (
            "GET",
            "/computeMetadata/v1/instance/attributes/?recursive=true&alt=json",
            "",
        ),
        (
            "GET",
            "/computeMetadata/v1/instance/it's?x='{}\\&y=$HOME",
            "",
        ),
        ("HEAD", "/computeMetadata/v1/instance/id", ""),
        (
            "PUT",
            "/computeMetadata/v1/instance/guest-attributes/n/k",
            "v",
        ),
        ("POST", "/token", "x"),
        ("GET", "/computeMetadata/v1/instance/zone", ""),
    ] {
        request(emulator.addr(), method, target, &headers, body.as_bytes());
    }
}

/// Between the marks: what the page in a browser writes for the requests of `program`, as
/// `conformance/page` compares.
#[rustfmt::skip]
#[test]
fn assertions_of_the_page_hold() -> Result<(), Box<dyn std::error::Error>> {
// begin
use gce_auth_emulator::Emulator;

let emulator = Emulator::builder().start()?;
program(&emulator);
assert_eq!(emulator.request_count("instance/zone"), 2);
assert_eq!(emulator.request_count("instance/attributes/"), 1);
assert_eq!(emulator.request_count("instance/it's"), 1);
assert_eq!(emulator.request_count("instance/id"), 1);
assert_eq!(emulator.request_count("instance/guest-attributes/n/k"), 1);
assert_eq!(emulator.request_count("/token"), 1);
let requests = emulator.requests();
let asked: Vec<_> = requests.iter().map(|it| (it.method.as_str(), it.path.as_str(), it.query.as_str(), it.status)).collect();
assert_eq!(asked, [
    ("GET", "/computeMetadata/v1/instance/zone", "", Some(200)),
    ("GET", "/computeMetadata/v1/instance/attributes/", "recursive=true&alt=json", Some(200)),
    ("GET", "/computeMetadata/v1/instance/it's", "x='{}\\&y=$HOME", Some(404)),
    ("HEAD", "/computeMetadata/v1/instance/id", "", Some(200)),
    ("PUT", "/computeMetadata/v1/instance/guest-attributes/n/k", "", Some(403)),
    ("POST", "/token", "", Some(400)),
    ("GET", "/computeMetadata/v1/instance/zone", "", Some(200)),
]);
// end
    Ok(())
}
