//! Requests that are not let in or lead to no place: the cause, and the nearest thing that would
//! have worked.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::refused::{Ask, Refused, TREE, check};
use gce_auth_emulator::{Account, Emulator};

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");
const ACCOUNT: &str = "robot@p.iam.gserviceaccount.com";

#[test]
fn the_guard_says_whom_it_refused_and_how_to_get_in() {
    let emulator = Emulator::builder().start().unwrap();
    let id = || Ask::tree("instance/id");
    let rows = vec![
        Refused {
            name: "no flavor",
            ask: Ask::new("GET", format!("{TREE}instance/id")),
            status: 403,
            why: "missing Metadata-Flavor: Google",
            instead: "-H 'Metadata-Flavor: Google'",
            mended: Some(id()),
        },
        Refused {
            name: "flavor in lower case",
            ask: Ask::new("GET", format!("{TREE}instance/id")).with(("Metadata-Flavor", "google")),
            status: 403,
            why: "Metadata-Flavor is google",
            instead: "Metadata-Flavor: Google",
            mended: Some(id()),
        },
        Refused {
            name: "a proxy",
            ask: id().with(("X-Forwarded-For", "10.0.0.1")),
            status: 403,
            why: "through a proxy",
            instead: "NO_PROXY",
            mended: Some(id()),
        },
        Refused {
            name: "another name",
            ask: id().with(("Host", "gateway.example.com:8080")),
            status: 403,
            why: "gateway.example.com, is no name of this server",
            instead: "--allow-host gateway.example.com",
            mended: Some(id().with(("Host", "metadata.google.internal"))),
        },
        Refused {
            name: "a web page",
            ask: id().with(("Origin", "https://example.com")),
            status: 403,
            why: "a web page sent it",
            instead: "from a program",
            mended: Some(id()),
        },
        Refused {
            name: "two hosts",
            ask: id()
                .with(("Host", "metadata.google.internal"))
                .with(("Host", "localhost")),
            status: 400,
            why: "more than one Host",
            instead: "RFC 9112",
            mended: None,
        },
        Refused {
            name: "an old version",
            ask: Ask::new("GET", "/computeMetadata/v1beta1/instance/id"),
            status: 403,
            why: "was shut down",
            instead: "/computeMetadata/v1/instance/id with",
            mended: Some(id()),
        },
    ];
    assert_eq!(check(&emulator, &rows), 7);
}

#[test]
fn wrong_paths_lead_to_the_nearest_one() {
    let emulator = Emulator::builder()
        .account(Account::new(ACCOUNT))
        .account(Account::new("bare@p").scopes(Vec::<String>::new()))
        .start()
        .unwrap();
    let rows = vec![
        Refused {
            name: "a directory without its slash",
            ask: Ask::tree("instance"),
            status: 301,
            why: "instance is a directory",
            instead: "/computeMetadata/v1/instance/",
            mended: Some(Ask::tree("instance/")),
        },
        Refused {
            name: "a value with a slash",
            ask: Ask::tree("instance/id/"),
            status: 404,
            why: "a value, not a directory",
            instead: "/computeMetadata/v1/instance/id?",
            mended: Some(Ask::tree("instance/id")),
        },
        Refused {
            name: "a typing error",
            ask: Ask::tree("instance/service-account/default/tokens"),
            status: 404,
            why: "there is no instance/service-account/",
            instead: "/computeMetadata/v1/instance/service-accounts/default/token?",
            mended: Some(Ask::tree("instance/service-accounts/default/token")),
        },
        Refused {
            name: "an escaped @",
            ask: Ask::tree("instance/service-accounts/robot%40p.iam.gserviceaccount.com/token"),
            status: 404,
            why: "not decoded",
            instead: "service-accounts/robot@p.iam.gserviceaccount.com/token",
            mended: Some(Ask::tree(&format!(
                "instance/service-accounts/{ACCOUNT}/token"
            ))),
        },
        Refused {
            name: "without the beginning",
            ask: Ask::new("GET", "/instance/id").with(FLAVOR),
            status: 404,
            why: "does not begin with /computeMetadata/v1/",
            instead: "/computeMetadata/v1/instance/id?",
            mended: Some(Ask::tree("instance/id")),
        },
        Refused {
            name: "another cloud",
            ask: Ask::new("PUT", "/latest/api/token").with(("Host", "169.254.169.254")),
            status: 405,
            why: "PUT is not a method",
            instead: "GET, HEAD",
            mended: None,
        },
        Refused {
            name: "another cloud, read",
            ask: Ask::new("GET", "/latest/meta-data/").with(("Host", "169.254.169.254")),
            status: 404,
            why: "AWS",
            instead: "below /computeMetadata/v1/",
            mended: None,
        },
        Refused {
            name: "an unknown account",
            ask: Ask::tree("instance/service-accounts/nobody@p/token"),
            status: 404,
            why: "the machine has no account nobody@p",
            instead: ACCOUNT,
            mended: Some(Ask::tree(&format!(
                "instance/service-accounts/{ACCOUNT}/token"
            ))),
        },
        Refused {
            name: "an account without scopes",
            ask: Ask::tree("instance/service-accounts/bare@p/token"),
            status: 404,
            why: "no scopes",
            instead: "set instance/service-accounts/bare@p/scopes",
            mended: Some(Ask::tree(
                "instance/service-accounts/bare@p/identity?audience=a",
            )),
        },
        Refused {
            name: "an attribute that is not set",
            ask: Ask::tree("instance/attributes/color"),
            status: 404,
            why: "instance/attributes/color is not set",
            instead: "set it",
            mended: None,
        },
        Refused {
            name: "another method",
            ask: Ask::new("DELETE", format!("{TREE}instance/id")).with(FLAVOR),
            status: 405,
            why: "DELETE is not a method of this path",
            instead: "GET, HEAD",
            mended: Some(Ask::tree("instance/id")),
        },
    ];
    assert_eq!(check(&emulator, &rows), 11);
}
