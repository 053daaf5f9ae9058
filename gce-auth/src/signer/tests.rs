#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    Credentials, RetryPolicy,
    client::config::MetadataClient,
    io::{
        env::Environment,
        fake::{HandClock, HandQueue, Reply, ScriptedTransport},
        identity::ClientIdentity,
        transport::{Limits, TransportErrorKind},
    },
    values::error::ErrorKind,
    world::Folder,
};

const EMAIL: &str = "signer@project.iam.gserviceaccount.com";
const SIGNED: &str = r#"{"keyId":"key-1","signedBlob":"AQID"}"#;

struct World {
    transport: Arc<ScriptedTransport>,
    clock: Arc<HandClock>,
    credentials: Credentials,
}

fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    world_with(RetryPolicy::new(), replies)
}

fn world_with(retry: RetryPolicy, replies: impl IntoIterator<Item = Reply>) -> World {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(1_700_000_000));
    let client = MetadataClient::builder()
        .transport(transport.clone())
        .clock(clock.clone())
        .retry(retry)
        .build_without_environment();
    let credentials = Credentials::builder()
        .client(client)
        .quota_project_id("billed")
        .build()
        .unwrap();
    World {
        transport,
        clock,
        credentials,
    }
}

impl World {
    fn signer(&self) -> Signer {
        Signer::builder()
            .credentials(self.credentials.clone())
            .service_account(EMAIL)
            .iam_endpoint("http://127.0.0.1:1")
            .build()
            .unwrap()
    }

    fn paths(&self) -> Vec<String> {
        let requests = self.transport.requests();
        let paths = requests.iter().map(|request| request.uri().to_string());
        paths
            .map(|uri| uri.rsplit(['/', ':']).next().unwrap_or_default().to_owned())
            .collect()
    }
}

fn api(status: u16, body: &str) -> Reply {
    Reply::Raw(status, Vec::new(), body.to_owned())
}

#[test]
fn a_signature_carries_the_headers_of_the_credentials() {
    let world = world([Reply::token("ya29.one", 3600), api(200, SIGNED)]);
    let signature = world.signer().blocking_sign_bytes(b"bytes").unwrap();
    let shown = format!("{signature:?}");
    assert_eq!(shown, r#"Signature { key_id: "key-1", bytes: [3 bytes] }"#);
    assert_eq!(signature.key_id(), "key-1");
    assert_eq!(signature.bytes(), [1, 2, 3]);
    let requests = world.transport.requests();
    let headers = requests[1].headers();
    assert_eq!(headers["authorization"], "Bearer ya29.one");
    assert_eq!(headers["x-goog-user-project"], "billed");
    assert!(!headers.contains_key("metadata-flavor"));
    let limits = &world.transport.limits()[1];
    assert_eq!(limits.attempt, Duration::from_secs(15));
}

#[test]
fn email_and_universe_are_asked_for_once() {
    let world = world([
        Reply::text(EMAIL),
        Reply::text("universe.example"),
        Reply::token("ya29.one", 3600),
        api(200, SIGNED),
        api(200, SIGNED),
    ]);
    let signer = Signer::new(world.credentials.clone());
    signer.blocking_sign_bytes(b"a").unwrap();
    signer.blocking_sign_bytes(b"b").unwrap();
    assert_eq!(
        signer.blocking_fetch_service_account_email().unwrap(),
        EMAIL
    );
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(
        requests[4].uri().host(),
        Some("iamcredentials.universe.example")
    );
    assert!(requests[0].uri().path().ends_with("/default/email"));
}

#[test]
fn a_domain_that_is_none_ends_the_first_request_to_it() {
    let world = world([]);
    let moved = world.credentials.with_universe_domain("no domain/at all");
    let builder = Signer::builder().credentials(moved).service_account(EMAIL);
    let error = builder
        .build()
        .unwrap()
        .blocking_sign_bytes(b"")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(world.transport.requests().is_empty());
}

#[test]
fn an_account_without_an_email_cannot_sign() {
    let world = world([Reply::text("project.svc.id.goog")]);
    let error = Signer::new(world.credentials)
        .blocking_sign_bytes(b"")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    assert!(error.hint().unwrap().contains("service_account"), "{error}");
}

#[test]
fn failures_are_tried_three_times_as_google_auth_does() {
    for status in [500, 502, 503, 504] {
        let world = world([Reply::token("t", 3600), api(status, "")]);
        let error = world.signer().blocking_sign_bytes(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!((error.attempts(), error.status()), (3, Some(status)));
        let sleeps = world.clock.take_sleeps();
        assert_eq!(sleeps.len(), 2);
        for (sleep, nominal) in sleeps.iter().zip([1.0, 2.0]) {
            assert!((0.9 * nominal..=1.1 * nominal).contains(&sleep.as_secs_f64()));
        }
    }
}

#[test]
fn a_failure_in_between_is_bridged_with_the_headers_of_the_moment() {
    let world = world([
        Reply::token("ya29.one", 3600),
        Reply::Broken(TransportErrorKind::Closed),
        api(200, SIGNED),
    ]);
    world.signer().blocking_sign_bytes(b"x").unwrap();
    assert_eq!(world.paths(), ["token", "signBlob", "signBlob"]);
}

#[test]
fn a_refusal_is_final_and_names_request_and_role() {
    for status in [400, 403, 404, 501] {
        let world = world([Reply::token("t", 3600), api(status, "")]);
        let error = world.signer().blocking_sign_bytes(b"x").unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Refused, 1));
        assert!(error.request().unwrap().ends_with(":signBlob"));
        assert!(world.clock.take_sleeps().is_empty());
    }
}

#[test]
fn what_passes_is_repeated_unless_google_auth_does_not() {
    let busy = api(429, "");
    let broken = Reply::Broken(TransportErrorKind::Closed);
    for failure in [busy, api(408, ""), broken] {
        let replies = || [Reply::token("t", 3600), failure.clone(), api(200, SIGNED)];
        let ours = world(replies());
        ours.signer().blocking_sign_bytes(b"x").unwrap();
        assert_eq!(ours.paths(), ["token", "signBlob", "signBlob"]);
        let theirs = world_with(RetryPolicy::google_auth(), replies());
        let error = theirs.signer().blocking_sign_bytes(b"x").unwrap_err();
        assert_eq!(error.attempts(), 1, "{error}");
    }
    let theirs = world_with(
        RetryPolicy::google_auth(),
        [Reply::token("t", 3600), api(503, "")],
    );
    let error = theirs.signer().blocking_sign_bytes(b"x").unwrap_err();
    assert_eq!(error.attempts(), 3, "{error}");
}

#[test]
fn a_rejected_token_is_dropped() {
    let world = world([Reply::token("old", 3600), api(401, "")]);
    let signer = world.signer();
    assert_eq!(
        signer.blocking_sign_bytes(b"x").unwrap_err().status(),
        Some(401)
    );
    assert!(world.credentials.cached_token().is_none());
}

#[test]
fn a_broken_tls_connection_is_not_retried() {
    let broken = Reply::Broken(TransportErrorKind::Tls);
    let world = world([Reply::token("t", 3600), broken]);
    let error = world.signer().blocking_sign_bytes(b"x").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Tls, 1));
}

#[test]
fn a_signed_jwt_is_a_secret() {
    let jwt = r#"{"keyId":"key-1","signedJwt":"aaaa.bbbb.cccc"}"#;
    let world = world([Reply::token("t", 3600), api(200, jwt)]);
    let signer = world.signer();
    let jwt = signer.blocking_sign_jwt(r#"{"exp":1}"#).unwrap();
    assert_eq!((jwt.key_id(), jwt.secret()), ("key-1", "aaaa.bbbb.cccc"));
    assert!(!format!("{jwt:?} {signer:?}").contains("bbbb"));
    let error = signer.blocking_sign_jwt("[]").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn senseless_settings_are_refused_early() {
    for builder in [
        Signer::builder().service_account("default"),
        Signer::builder().iam_endpoint("iam"),
        Signer::builder().delegates(["a@b"]),
        Signer::builder()
            .service_account(EMAIL)
            .delegates(["default"]),
    ] {
        let credentials = world([]).credentials;
        let error = builder.credentials(credentials).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn delegates_are_named_in_every_request() {
    let jwt = r#"{"keyId":"key-1","signedJwt":"aaaa.bbbb.cccc"}"#;
    let world = world([Reply::token("t", 3600), api(200, SIGNED), api(200, jwt)]);
    let signer = Signer::builder()
        .credentials(world.credentials.clone())
        .service_account(EMAIL)
        .delegates(["one@p.iam.gserviceaccount.com", "1134"])
        .iam_endpoint("http://127.0.0.1:1")
        .build()
        .unwrap();
    signer.blocking_sign_bytes(b"x").unwrap();
    signer.blocking_sign_jwt("{}").unwrap();
    for request in &world.transport.requests()[1..] {
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body["delegates"],
            serde_json::json!([
                "projects/-/serviceAccounts/one@p.iam.gserviceaccount.com",
                "projects/-/serviceAccounts/1134"
            ])
        );
    }
    assert!(format!("{signer:?}").contains("one@p."));
}

#[test]
fn a_workload_with_a_certificate_shows_it_at_the_mtls_host() {
    let folder = Folder::new();
    let bundle = folder.join("x509.credential-bundle.private-key.pem");
    let pem = concat!(
        include_str!("../../tests/data/agent.pem"),
        include_str!("../../tests/data/agent.key")
    );
    std::fs::write(bundle, pem).unwrap();
    for (wanted, host) in [
        (None, "iamcredentials.mtls.u.example"),
        (Some("false"), "iamcredentials.u.example"),
    ] {
        let transport = Arc::new(ScriptedTransport::new([
            Reply::token("t", 3600),
            api(200, SIGNED),
        ]));
        let environment = Environment {
            use_client_certificate: wanted.map(str::to_owned),
            ..Environment::default()
        };
        let client = MetadataClient::builder()
            .transport(transport.clone())
            .workload_credentials_dir(&*folder)
            .build_in(&environment);
        let credentials = Credentials::builder()
            .client(client)
            .universe_domain("u.example");
        let signer = Signer::builder()
            .credentials(credentials.build().unwrap())
            .service_account(EMAIL)
            .build()
            .unwrap();
        signer.blocking_sign_bytes(b"x").unwrap();
        let requests = transport.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.uri().host(), Some(host));
        let identity = request.extensions().get::<ClientIdentity>();
        assert_eq!(identity.is_some(), host.contains("mtls"));
    }
}

#[test]
fn waiting_for_a_thread_costs_a_signature_its_budget() {
    let transport = Arc::new(ScriptedTransport::new([
        Reply::token("t", 3600),
        api(503, ""),
    ]));
    let clock = Arc::new(HandClock::at(1));
    let queue = Arc::new(HandQueue::new());
    let client = MetadataClient::builder()
        .transport(transport)
        .clock(clock.clone())
        .executor(queue.clone())
        .build_without_environment();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let signer = Signer::builder()
        .credentials(credentials)
        .service_account(EMAIL)
        .iam_endpoint("http://127.0.0.1:1")
        .build()
        .unwrap();
    let mut call = std::pin::pin!(signer.sign_bytes(b"bytes"));
    let mut poll = || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        call.as_mut().poll(&mut context)
    };
    assert!(poll().is_pending());
    // One wait of 1 s does not fit any more.
    clock.advance(Duration::from_millis(59_500));
    queue.run_all();
    let std::task::Poll::Ready(Err(error)) = poll() else {
        panic!("it still waits")
    };
    assert_eq!(error.attempts(), 1, "{error}");
    assert!(clock.take_sleeps().is_empty());
}

#[test]
fn a_changed_account_is_followed_after_a_refresh() {
    let info = |email: &str| Reply::Answer(200, format!(r#"{{"email":"{email}","scopes":[]}}"#));
    let world = world([Reply::text("old@p.example")]);
    let signer = Signer::new(world.credentials.clone());
    let email = || signer.blocking_fetch_service_account_email().unwrap();
    assert_eq!(email(), "old@p.example");
    world
        .transport
        .script([info("new@p.example"), Reply::token("t", 3600)]);
    world.credentials.blocking_refresh().unwrap();
    assert_eq!(email(), "new@p.example");
}

#[test]
fn settings_of_the_builder_are_those_of_each_request() {
    let world = world([Reply::token("ya29.one", 3600), api(503, "")]);
    let limits = Limits {
        attempt: Duration::from_secs(3),
        ..Limits::new()
    };
    let signer = Signer::builder()
        .credentials(world.credentials.clone())
        .service_account(EMAIL)
        .iam_endpoint("http://127.0.0.1:1")
        .limits(limits)
        .retry(RetryPolicy::new().attempts(2))
        .build()
        .unwrap();
    assert_eq!(signer.credentials().quota_project_id(), Some("billed"));
    let error = signer.blocking_sign_bytes(b"a").unwrap_err();
    assert_eq!(error.attempts(), 2);
    assert_eq!(world.transport.limits()[1].attempt, Duration::from_secs(3));
}

#[test]
fn a_signature_is_handed_out_and_debug_shows_no_jwt() {
    let signature = Signature {
        key_id: "k".to_owned(),
        bytes: vec![1, 2, 3],
    };
    assert_eq!(signature.into_bytes(), [1, 2, 3]);
    let jwt = SignedJwt {
        key_id: "k".to_owned(),
        jwt: "eyJ.eyJ.c2ln".to_owned().into(),
    };
    let shown = format!("{jwt:?}");
    assert!(
        shown.contains("SignedJwt") && !shown.contains("eyJ"),
        "{shown}"
    );
}
