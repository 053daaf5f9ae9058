//! Requests that are refused at their place, by a fault, or by another server: the cause, and what
//! would have worked.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::{
    exchange, parse,
    refused::{Ask, Refused, TREE, check},
};
use gce_auth_emulator::{Account, Emulator, Fault, FaultRule, Profile};

const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

#[test]
fn parameters_that_are_wrong_are_named_with_what_is_right() {
    let emulator = Emulator::builder().start().unwrap();
    let account = |rest: &str| Ask::tree(&format!("instance/service-accounts/default/{rest}"));
    let row = |name, ask, why, instead, mended| Refused {
        name,
        ask,
        status: 400,
        why,
        instead,
        mended: Some(mended),
    };
    let identity = || account("identity?audience=https://example.com");
    let rows = vec![
        row(
            "no audience",
            account("identity"),
            "one audience",
            "?audience=",
            identity(),
        ),
        row(
            "a format",
            account("identity?audience=a&format=jwt"),
            "neither standard nor full",
            "format=full",
            account("identity?audience=a&format=full"),
        ),
        row(
            "alt",
            Ask::tree("instance/id?alt=xml"),
            "neither json nor text",
            "alt=json",
            Ask::tree("instance/id?alt=json"),
        ),
        row(
            "alt of a listing",
            Ask::tree("instance/?alt=json"),
            "no other form",
            "recursive=true",
            Ask::tree("instance/?alt=json&recursive=true"),
        ),
        row(
            "a wait without an end",
            Ask::tree("instance/id?wait_for_change=true&timeout_sec=soon"),
            "timeout_sec is not",
            "timeout_sec=60",
            Ask::tree("instance/id?wait_for_change=true&timeout_sec=0"),
        ),
        row(
            "a wait for a listing",
            Ask::tree("instance/?wait_for_change=true"),
            "not waited for",
            "recursive=true",
            Ask::tree("instance/?wait_for_change=true&recursive=true&timeout_sec=0"),
        ),
        row(
            "a wait for a token",
            account("token?wait_for_change=true"),
            "no change to wait for",
            "leave wait_for_change out",
            account("token"),
        ),
        row(
            "enforced scopes without any",
            account("token?enforce_scopes=true"),
            "without scopes",
            "scopes=",
            account(
                "token?enforce_scopes=true&scopes=https://www.googleapis.com/auth/cloud-platform",
            ),
        ),
        row(
            "a bound token without certificates",
            Ask::new(
                "POST",
                format!("{TREE}instance/service-accounts/default/token"),
            )
            .with(FLAVOR)
            .body("{}"),
            "bound to certificates",
            "use GET",
            account("token"),
        ),
        row(
            "who may log in",
            Ask::tree("oslogin/authorize"),
            "who and what",
            "policy=login",
            Ask::tree("oslogin/authorize?email=a&policy=login"),
        ),
    ];
    assert_eq!(check(&emulator, &rows), 10);
}

#[test]
fn what_a_machine_does_not_have_is_said_with_how_to_have_it() {
    let emulator = Emulator::builder().start().unwrap();
    let row = |name, ask, status, why, instead| Refused {
        name,
        ask,
        status,
        why,
        instead,
        mended: None,
    };
    let large = "x".repeat((1 << 20) + 1);
    let rows = vec![
        row(
            "guest attributes",
            Ask::tree("instance/guest-attributes/"),
            403,
            "does not allow guest attributes",
            "enable-guest-attributes to TRUE",
        ),
        row(
            "workload certificates",
            Ask::tree("instance/workload-identities"),
            412,
            "no workload certificates",
            "set instance/",
        ),
        row(
            "a large body",
            Ask::new("PUT", format!("{TREE}instance/guest-attributes/a/b"))
                .with(FLAVOR)
                .body(large),
            413,
            "1 MiB",
            "send less",
        ),
    ];
    assert_eq!(check(&emulator, &rows), 3);
    emulator
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .unwrap();
    assert_eq!(Ask::tree("instance/guest-attributes/").send(&emulator), 200);

    let gke = Emulator::builder()
        .profile(Profile::Gke)
        .account(Account::new("denied@p").denied(true))
        .account(Account::new("missing@p").missing(true))
        .account(Account::workload_pool("p"))
        .start()
        .unwrap();
    let account = |rest: &str| Ask::tree(&format!("instance/service-accounts/{rest}"));
    let rows = vec![
        row(
            "GKE's guard",
            Ask::new("GET", TREE),
            403,
            "missing Metadata-Flavor",
            "-H",
        ),
        row(
            "denied",
            account("denied@p/token"),
            403,
            "IAM lets the pod not",
            "workloadIdentityUser",
        ),
        row(
            "missing",
            account("missing@p/token"),
            404,
            "does not exist",
            "create it",
        ),
        row(
            "not annotated",
            account("p.svc.id.goog/identity?audience=a"),
            404,
            "no ID tokens",
            "iam.gke.io/gcp-service-account",
        ),
    ];
    assert_eq!(check(&gke, &rows), 4);
}

#[test]
fn faults_upstreams_and_what_is_no_http_are_named() {
    let emulator = Emulator::builder().start().unwrap();
    let busy = Fault::Status {
        code: 429,
        retry_after: None,
    };
    let id = emulator.add_fault(FaultRule::new(busy).times(1));
    let ask = Ask::tree("instance/id");
    let row = Refused {
        name: "a fault",
        ask: ask.clone(),
        status: 429,
        why: &format!("fault {id} hit it"),
        instead: &format!("DELETE /emulator/v1/faults/{id}"),
        mended: Some(ask),
    };
    check(&emulator, &[row]);

    let above = Emulator::builder()
        .upstream(emulator.url())
        .start()
        .unwrap();
    let row = Refused {
        name: "an upstream",
        ask: Ask::tree("instance/attributes/none"),
        status: 404,
        why: "the upstream answered so",
        instead: "lies over",
        mended: None,
    };
    check(&above, &[row]);
    assert!(above.requests()[0].answer.as_ref().unwrap().relayed);

    assert_eq!(
        parse(&exchange(emulator.addr(), b"\x16\x03\x01 TLS\r\n\r\n")).status,
        400
    );
    let seen = emulator.requests().pop().unwrap().explanation.unwrap();
    assert!(seen.why.starts_with("not HTTP"), "{seen}");
    assert!(seen.instead.unwrap().contains("--https"));
}
