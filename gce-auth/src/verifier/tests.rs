#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod overtaken;
mod times;
mod told;

use std::{
    sync::{Arc, LazyLock},
    task,
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};

use super::*;
use crate::{
    client::config::MetadataClient,
    io::{
        clock::Clock as _,
        fake::{HandClock, HandQueue, Reply, ScriptedTransport},
        transport::TransportErrorKind,
    },
    values::error::{Error, ErrorKind},
};

const NOW: u64 = 1_700_000_000;
const HOUR: Duration = Duration::from_secs(3600);

static KEY: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// A token signed by the key, under this id, made at and good for an hour from
/// `made`.
fn token(id: &str, made: u64) -> String {
    let claims = json!({"iss": "https://accounts.google.com", "aud": "me", "sub": "1",
        "iat": made, "exp": made + 3600});
    let header = json!({"alg": "ES256", "kid": id});
    let part = |value: Value| BASE64URL.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = KEY.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL.encode(signature))
}

fn jwks(ids: &[&str]) -> String {
    let point = KEY.public_key().as_ref();
    let (x, y) = (&point[1..33], &point[33..]);
    let keys: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({"kid": id, "kty": "EC", "crv": "P-256",
                "x": BASE64URL.encode(x), "y": BASE64URL.encode(y)})
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

fn published(ids: &[&str], cache_control: &str) -> Reply {
    let headers = vec![("Cache-Control".to_owned(), cache_control.to_owned())];
    Reply::Raw(200, headers, jwks(ids))
}

struct World {
    transport: Arc<ScriptedTransport>,
    clock: Arc<HandClock>,
    queue: Arc<HandQueue>,
    verifier: IdTokenVerifier,
}

fn world(replies: impl IntoIterator<Item = Reply>) -> World {
    world_of(replies, HandQueue::new())
}

fn world_of(replies: impl IntoIterator<Item = Reply>, queue: HandQueue) -> World {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let clock = Arc::new(HandClock::at(NOW));
    let queue = Arc::new(queue);
    let client = MetadataClient::builder()
        .transport(transport.clone())
        .clock(clock.clone())
        .executor(queue.clone())
        .build_without_environment();
    let verifier = IdTokenVerifier::builder()
        .audience("me")
        .client(client)
        .build()
        .unwrap();
    World {
        transport,
        clock,
        queue,
        verifier,
    }
}

impl World {
    /// Verifies a token that was made just now.
    fn verify(&self, id: &str) -> Result<VerifiedClaims, Error> {
        let made = self.clock.now().wall.as_secs();
        self.verifier.blocking_verify(&token(id, made))
    }

    fn asked(&self) -> usize {
        self.transport.requests().len()
    }
}

#[test]
fn keys_are_fetched_once_and_kept_as_long_as_they_are_fresh() {
    let world = world([published(&["a"], "public, max-age=7200")]);
    assert_eq!(world.asked(), 0, "nothing is done before a token comes");
    let claims = world.verify("a").unwrap();
    assert_eq!((claims.subject(), claims.audience()), ("1", "me"));
    world.clock.advance(Duration::from_secs(6000));
    world.verify("a").unwrap();
    assert_eq!(world.asked(), 1);
    let request = &world.transport.requests()[0];
    assert_eq!(request.uri(), "https://www.googleapis.com/oauth2/v3/certs");
    assert!(!request.headers().contains_key("authorization"));
    world.clock.advance(Duration::from_secs(1201));
    world.verify("a").unwrap();
    assert_eq!(world.asked(), 1, "max-age has passed, and nothing waits");
    world.queue.run_all();
    assert_eq!(world.asked(), 2);
}

#[test]
fn keys_are_renewed_in_the_background_shortly_before() {
    let world = world([published(&["a"], "max-age=1000")]);
    world.verify("a").unwrap();
    world.clock.advance(Duration::from_secs(950));
    world.verify("a").unwrap();
    world.verify("a").unwrap();
    assert_eq!((world.asked(), world.queue.len()), (1, 1));
    world.queue.run_all();
    assert_eq!(world.asked(), 2);
    world.clock.advance(Duration::from_secs(500));
    world.verify("a").unwrap();
    assert_eq!((world.asked(), world.queue.len()), (2, 0));
}

#[test]
fn lifetimes_are_bounded() {
    for (cache_control, fresh_for) in [
        ("no-store", 60),
        ("max-age=1", 60),
        ("public", 3600),
        ("max-age=4294967295", 24 * 3600),
    ] {
        let world = world([published(&["a"], cache_control)]);
        world.verify("a").unwrap();
        world.clock.advance(Duration::from_secs(fresh_for - 1));
        world.verify("a").unwrap();
        assert_eq!(world.asked(), 1, "{cache_control}");
        world.clock.advance(Duration::from_secs(31));
        world.verify("a").unwrap();
        world.queue.run_all();
        assert_eq!(world.asked(), 2, "{cache_control}");
    }
}

#[test]
fn an_unknown_key_has_them_fetched_again_but_not_for_every_token() {
    let world = world([published(&["a"], "max-age=7200")]);
    world.verify("a").unwrap();
    for n in 0..100 {
        let error = world.verify(&format!("unknown-{n}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains("unknown-"), "{error}");
    }
    assert_eq!(world.asked(), 1);
    world.clock.advance(Duration::from_secs(30));
    world
        .transport
        .script([published(&["a", "b"], "max-age=7200")]);
    world.verify("b").unwrap();
    assert_eq!(world.asked(), 2);
    world.verify("a").unwrap();
    for _ in 0..100 {
        world.verify("c").unwrap_err();
    }
    assert_eq!(world.asked(), 2);
}

#[test]
fn old_keys_are_used_while_new_ones_cannot_be_had_and_not_for_ever() {
    let world = world([
        published(&["a"], "max-age=3600"),
        Reply::Broken(TransportErrorKind::Connect),
    ]);
    world.verify("a").unwrap();
    world.clock.advance(HOUR);
    world.verify("a").unwrap();
    world.queue.run_all();
    let asked = world.asked();
    assert_eq!(asked, 4, "three attempts");
    world.verify("a").unwrap();
    world.queue.run_all();
    assert_eq!(world.asked(), asked, "not at every token");
    world.clock.advance(24 * HOUR);
    let error = world.verify("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    world.transport.script([published(&["a"], "")]);
    assert_eq!(
        world.verify("a").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    world.clock.advance(Duration::from_secs(1));
    world.verify("a").unwrap();
}

#[test]
fn without_keys_the_error_is_not_the_tokens_fault() {
    for (reply, kind) in [
        (Reply::Broken(TransportErrorKind::Tls), ErrorKind::Tls),
        (
            Reply::Broken(TransportErrorKind::Timeout),
            ErrorKind::Timeout,
        ),
        (Reply::status(503), ErrorKind::Unavailable),
        (Reply::status(404), ErrorKind::InvalidResponse),
        (Reply::text("<html>"), ErrorKind::InvalidResponse),
        (Reply::text(r#"{"keys":[]}"#), ErrorKind::InvalidResponse),
        (Reply::Panic, ErrorKind::Unavailable),
    ] {
        let world = world([reply.clone()]);
        let verified = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.verify("a")));
        if let Ok(verified) = verified {
            let error = verified.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        } else {
            assert!(matches!(reply, Reply::Panic));
        }
        // Whatever it was, it passes.
        world.clock.advance(Duration::from_secs(1));
        world.transport.script([published(&["a"], "")]);
        world.verify("a").unwrap();
    }
}

#[test]
fn who_waits_shares_one_fetch() {
    let world = world([published(&["a"], "")]);
    let token = token("a", NOW);
    let mut context = task::Context::from_waker(task::Waker::noop());
    let mut waiting: Vec<_> = (0..50)
        .map(|_| Box::pin(world.verifier.verify(&token)))
        .collect();
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    drop(waiting.pop());
    assert_eq!(world.queue.len(), 1);
    world.queue.run_all();
    for future in &mut waiting {
        let task::Poll::Ready(Ok(claims)) = future.as_mut().poll(&mut context) else {
            panic!("not verified")
        };
        assert_eq!(claims.subject(), "1");
    }
    assert_eq!(world.asked(), 1);
}

#[test]
fn a_token_for_somebody_else_has_no_keys_fetched() {
    let world = world([]);
    for token in [String::new(), token("a", NOW - 3610), token("a", NOW + 60)] {
        let error = world.verifier.blocking_verify(&token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
    assert_eq!(world.asked(), 0);
}

#[test]
fn presets_know_issuer_and_keys() {
    let builder = || IdTokenVerifier::builder().audience("me");
    for (builder, issuer, end) in [
        (
            builder().google(),
            "accounts.google.com",
            "/oauth2/v3/certs",
        ),
        (
            builder().iap(),
            "https://cloud.google.com/iap",
            "public_key-jwk",
        ),
        (
            builder().firebase("project"),
            "https://securetoken.google.com/project",
            "securetoken@system.gserviceaccount.com",
        ),
        (
            builder().agents("agents.global.proj-7.system.id.goog"),
            "https://sts.googleapis.com/v1/projects/7/locations/global/workloadIdentityPools/\
             agents.global.proj-7.system.id.goog",
            "agents.global.proj-7.system.id.goog/openid/jwks",
        ),
        (
            builder().agents("agents-nonprod.global.org-3.system.id.goog"),
            "https://sts.googleapis.com/v1/organizations/3/locations/global/workloadIdentityPools/\
             agents-nonprod.global.org-3.system.id.goog",
            "/openid/jwks",
        ),
    ] {
        let verifier = builder.build().unwrap();
        assert!(verifier.0.expected.issuers.iter().any(|it| it == issuer));
        let keys::Keys::Published(url, _) = &*verifier.0.keys else {
            panic!("{issuer} publishes its keys");
        };
        assert!(url.to_string().ends_with(end), "{issuer}: {url}");
    }
    for domain in [
        "",
        "agents.global.proj-.system.id.goog",
        "agents.global.proj-7x.system.id.goog",
        "agents.global.proj-7.system.id.goog.example",
        "x.agents.global.proj-7.system.id.goog",
        "agents.global.proj-7/../8.system.id.goog",
    ] {
        let error = builder().agents(domain).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{domain}");
    }
    let verifier = builder().iap().issuer("mine").build().unwrap();
    assert_eq!(verifier.0.expected.issuers, ["mine"]);
}

#[test]
fn who_waits_for_a_fetch_that_the_executor_dropped_hears_of_it() {
    let world = world_of(
        [
            published(&["a"], "max-age=1000"),
            published(&["a", "b"], ""),
        ],
        HandQueue::dropping(),
    );
    let mut context = task::Context::from_waker(task::Waker::noop());
    for id in ["a", "b"] {
        let made = world.clock.now().wall.as_secs();
        let token = token(id, made);
        for _ in 0..3 {
            let polled = std::pin::pin!(world.verifier.verify(&token)).poll(&mut context);
            let task::Poll::Ready(Err(error)) = polled else {
                panic!("nobody will ever end this wait")
            };
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
        // No server was asked, so a caller that can may ask soon.
        world.clock.advance(Duration::from_secs(1));
        world.verify(id).unwrap();
        world.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_key_that_nobody_can_be_asked_about_is_not_the_tokens_fault() {
    let down = Reply::Broken(TransportErrorKind::Connect);
    let world = world([published(&["a"], "max-age=7200"), down]);
    world.verify("a").unwrap();
    world.clock.advance(Duration::from_secs(30));
    for _ in 0..100 {
        let error = world.verify("b").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        world.verify("a").unwrap();
    }
    assert_eq!(world.asked(), 4, "three attempts, once");
    // Where the server answers again, it has the say.
    world.clock.advance(Duration::from_secs(30));
    world.transport.script([published(&["a"], "max-age=7200")]);
    for _ in 0..2 {
        assert_eq!(world.verify("b").unwrap_err().kind(), ErrorKind::Rejected);
    }
    assert_eq!(world.asked(), 5);
}

#[test]
fn nobody_waits_for_a_server_that_is_down_where_old_keys_do() {
    let down = Reply::Broken(TransportErrorKind::Connect);
    let world = world([published(&["a"], "max-age=3600"), down]);
    world.verify("a").unwrap();
    world.clock.advance(HOUR);
    world.verify("a").unwrap();
    assert_eq!((world.asked(), world.queue.run_all()), (1, 1));
    for round in 1..=3 {
        world.clock.advance(Duration::from_secs(30));
        for _ in 0..10 {
            world.verify("a").unwrap();
        }
        assert_eq!((world.asked(), world.queue.run_all()), (1 + round * 3, 1));
    }
    world.clock.advance(Duration::from_secs(30));
    world.transport.script([published(&["b"], "max-age=3600")]);
    world.verify("a").unwrap();
    assert_eq!(world.queue.run_all(), 1);
    world.verify("b").unwrap();
    assert_eq!(world.verify("a").unwrap_err().kind(), ErrorKind::Rejected);
}

#[test]
fn keys_in_hand_verify_while_their_renewal_hangs_also_after_a_pause() {
    let world = world([published(&["a"], "max-age=3600")]);
    world.verify("a").unwrap();
    // The machine was suspended, and then the renewal hangs.
    world.clock.advance_boot(4 * HOUR);
    for _ in 0..10 {
        world.verify("a").unwrap();
        world.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(world.asked(), 1);
    assert!(
        (1..=5).contains(&world.queue.len()),
        "{}",
        world.queue.len()
    );
}
