use std::{
    future::Future,
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Uri};

#[cfg(feature = "tls")]
use crate::{BindIdToken, CertificateBinding};
use crate::{
    IdTokenCredentials, IdTokenCredentialsBuilder, RefreshMode,
    io::fake::Reply,
    world::{START as NOW, World},
};

fn jwt(audience: &str, expires_in: u64) -> String {
    let claims = format!(r#"{{"aud":"{audience}","exp":{}}}"#, NOW + expires_in);
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", encode("{}"), encode(&claims))
}

fn info() -> Reply {
    Reply::Answer(
        200,
        r#"{"email":"a@p.example","aliases":[],"scopes":["s"]}"#.to_owned(),
    )
}

impl World {
    fn builder(&self) -> IdTokenCredentialsBuilder {
        let builder = IdTokenCredentials::builder("aud");
        builder.client(self.client.clone()).shared(false)
    }
}

#[test]
fn the_account_is_known_when_it_is_resolved_or_named() {
    let world = World::new([info()]);
    let credentials = world.builder().build().unwrap();
    assert_eq!(credentials.service_account_email(), None);
    credentials.blocking_resolve().unwrap();
    credentials.blocking_resolve().unwrap();
    assert_eq!(
        credentials.service_account_email().as_deref(),
        Some("a@p.example")
    );
    assert_eq!(world.transport.requests().len(), 1);
    let copy = credentials.with_audience("other").unwrap();
    assert_eq!(copy.service_account_email().as_deref(), Some("a@p.example"));
    assert!(credentials.with_audience("").is_err());
    let named = world.builder().service_account("b@x").build().unwrap();
    named.blocking_resolve().unwrap();
    assert_eq!(named.service_account_email().as_deref(), Some("b@x"));
    assert_eq!(world.transport.requests().len(), 1);
}

#[test]
fn many_requests_that_wait_for_a_token_hold_one_thread() {
    let world = World::new([Reply::text(&jwt("aud", 3600))]);
    let credentials = world.builder().build().unwrap();
    let mut maps = vec![HeaderMap::new(); 20];
    let mut context = Context::from_waker(Waker::noop());
    let (method, uri) = (Method::GET, Uri::default());
    let mut waiting: Vec<_> = maps
        .iter_mut()
        .map(|map| Box::pin(credentials.before_request(&method, &uri, map)))
        .collect();
    for request in &mut waiting {
        assert!(request.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(world.queue.run_all(), 1);
    for request in &mut waiting {
        let polled = request.as_mut().poll(&mut context);
        assert!(matches!(polled, Poll::Ready(Ok(()))));
    }
    drop(waiting);
    assert!(maps.iter().all(|map| map.contains_key("authorization")));
    assert_eq!(world.transport.requests().len(), 1);
}

#[test]
fn a_request_gets_a_token_and_a_project_and_no_metric() {
    let world = World::new([Reply::text(&jwt("aud", 3600))]);
    let credentials = world.builder().quota_project_id("billed").build().unwrap();
    let mut headers = HeaderMap::new();
    assert!(credentials.apply(&mut headers).is_err());
    assert!(!credentials.is_expired() && !credentials.is_valid());
    let uri = Uri::default();
    credentials
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    assert!(
        headers["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Bearer e30.")
    );
    assert_eq!(headers["x-goog-user-project"], "billed");
    assert!(!headers.contains_key("x-goog-api-client"));
    let tag = credentials.blocking_headers().unwrap().tag();
    assert!(
        credentials
            .blocking_headers_if_changed(&tag)
            .unwrap()
            .is_none()
    );
    world.clock.advance(Duration::from_secs(3375));
    assert_eq!(credentials.token_state(), crate::TokenState::Stale);
    assert!(credentials.is_expired() && credentials.cached_token().is_some());
    assert_eq!(
        credentials
            .with_quota_project(None)
            .unwrap()
            .quota_project_id(),
        None
    );
    credentials.apply_token(&mut headers, "x").unwrap();
    assert_eq!(headers["authorization"], "Bearer x");
}

#[test]
fn in_blocking_mode_a_stale_token_is_not_handed_out() {
    let world = World::new([
        Reply::text(&jwt("aud", 3600)),
        Reply::text(&jwt("aud", 7200)),
    ]);
    let credentials = world.builder().refresh_mode(RefreshMode::Blocking);
    let credentials = credentials.build().unwrap();
    let first = credentials.blocking_token().unwrap();
    world.clock.advance(Duration::from_secs(3450));
    let second = credentials.blocking_token().unwrap();
    assert!(second.expires_at() > first.expires_at());
    assert_eq!(world.asked().len(), 2);
}

#[test]
#[cfg(feature = "tls")]
fn the_status_says_whether_the_token_is_bound_to_a_certificate() {
    let world = World::new([Reply::text(&jwt("aud", 3600))]);
    let credentials = world.builder().bind_id_token(BindIdToken::Never);
    let credentials = credentials.build().unwrap();
    assert_eq!(credentials.status().certificate_binding, None);
    credentials.blocking_token().unwrap();
    let binding = credentials.status().certificate_binding.unwrap();
    assert!(
        matches!(binding, CertificateBinding::NotBound(_)),
        "{binding:?}"
    );
}

#[cfg(feature = "iam")]
mod granted {
    use std::{
        error::Error as StdError,
        sync::{Arc, Mutex},
    };

    use serde_json::Value;

    use super::*;
    use crate::{
        Credentials, JwtAlgorithm, JwtSigner, MetadataClient, RetryPolicy,
        io::{
            clock::Clock,
            fake::{HandClock, HandQueue, ScriptedTransport},
        },
        task::under_way,
        values::error::ErrorKind,
    };

    fn body(world: &World, n: usize) -> Value {
        let requests = world.transport.requests();
        let form = String::from_utf8(requests[n].body().clone()).unwrap();
        let token = form
            .strip_prefix("assertion=")
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        serde_json::json!([read(parts[0]), read(parts[1]), parts[2]])
    }

    fn granted() -> Reply {
        Reply::Answer(200, format!(r#"{{"id_token":"{}"}}"#, jwt("aud", 3600)))
    }

    #[test]
    fn iam_signs_and_the_token_endpoint_gives() {
        let world = World::new([
            info(),
            Reply::Answer(503, String::new()),
            Reply::Answer(200, r#"{"signedBlob":"c2ln"}"#.to_owned()),
            Reply::Answer(500, String::new()),
            granted(),
        ]);
        let signing = Credentials::builder()
            .client(world.client.clone())
            .universe_domain("u.example")
            .shared(false)
            .build()
            .unwrap();
        signing.set_token(Some("ya29.t"), None).unwrap();
        let credentials = world
            .builder()
            .iam_flow(true)
            .credentials(signing)
            .additional_claims(r#"{"role":"r"}"#)
            .build()
            .unwrap();
        credentials.blocking_refresh().unwrap();
        assert_eq!(world.clock.take_sleeps().len(), 2);
        let requests = world.transport.requests();
        assert_eq!(
            requests[2].uri(),
            "https://iamcredentials.u.example/v1/projects/-/serviceAccounts/a@p.example:signBlob"
        );
        assert_eq!(requests[2].headers()["authorization"], "Bearer ya29.t");
        assert_eq!(requests[2].headers()["x-goog-api-client"], "cred-type/mds");
        assert_eq!(
            requests[4].uri(),
            "https://www.googleapis.com/oauth2/v4/token"
        );
        let assertion = body(&world, 4);
        assert_eq!(
            assertion[0],
            serde_json::json!({"typ": "JWT", "alg": "RS256"})
        );
        assert_eq!(assertion[1]["iss"], "a@p.example");
        assert_eq!(assertion[1]["target_audience"], "aud");
        assert_eq!(assertion[1]["role"], "r");
        assert_eq!(assertion[2], "c2ln");
        world
            .transport
            .script([Reply::Answer(200, r#"{"signedBlob":"AQI="}"#.to_owned())]);
        assert_eq!(credentials.blocking_sign_bytes(b"x").unwrap(), [1, 2]);
        assert_eq!(credentials.signer_email().as_deref(), Some("a@p.example"));
        let signer = credentials.signer().unwrap();
        world
            .transport
            .script([Reply::Answer(200, r#"{"signedBlob":"AwQ="}"#.to_owned())]);
        assert_eq!(signer.sign(b"x").unwrap(), [3, 4]);
        assert_eq!(signer.algorithm(), JwtAlgorithm::Rs256);
        assert_eq!(signer.key_id(), None);
        world.transport.script([Reply::Answer(403, String::new())]);
        let error = signer.sign(b"x").unwrap_err();
        assert!(error.to_string().contains(":signBlob"), "{error}");
    }

    #[test]
    fn a_changed_account_is_followed_after_a_refresh() {
        let other = r#"{"email":"b@p.example","aliases":[],"scopes":["s"]}"#;
        let other = Reply::Answer(200, other.to_owned());
        let world = World::new([info(), granted(), other, granted()]);
        let builder = world.builder().iam_flow(true).signer(Arc::new(Mine(true)));
        let credentials = builder.build().unwrap();
        credentials.blocking_token().unwrap();
        assert_eq!(credentials.signer_email().as_deref(), Some("a@p.example"));
        credentials.blocking_refresh().unwrap();
        assert_eq!(credentials.signer_email().as_deref(), Some("b@p.example"));
    }

    #[test]
    fn a_budget_without_end_is_one() {
        let transport = Arc::new(ScriptedTransport::new([granted()]));
        let client = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::new(HandClock::at(NOW)))
            .retry(RetryPolicy::new().budget(Duration::MAX))
            .endpoint("metadata")
            .build_without_environment();
        let builder = IdTokenCredentials::builder("aud")
            .client(client)
            .shared(false);
        let builder = builder.iam_flow(true).service_account("b@x");
        let credentials = builder.signer(Arc::new(Mine(true))).build().unwrap();
        credentials.blocking_token().unwrap();
        assert_eq!(transport.requests().len(), 1);
    }

    #[test]
    fn copies_that_ask_for_the_same_share_the_token() {
        let world = World::new([granted(), granted(), granted()]);
        let builder = world.builder().shared(true).iam_flow(true);
        let builder = builder.service_account("b@x").signer(Arc::new(Mine(true)));
        let credentials = builder.build().unwrap();
        let copy = credentials.with_audience("aud").unwrap();
        for same in [&credentials, &copy] {
            same.blocking_token().unwrap();
        }
        assert_eq!(world.transport.requests().len(), 1);
        let moved = copy.with_token_uri("https://elsewhere.example/t").unwrap();
        moved.blocking_token().unwrap();
        assert_eq!(world.transport.requests().len(), 2);
    }

    #[derive(Debug)]
    struct Mine(bool);

    impl JwtSigner for Mine {
        fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
            assert!(bytes.contains(&b'.'));
            if self.0 {
                Ok(b"sig".to_vec())
            } else {
                Err("the key is lost".into())
            }
        }

        fn algorithm(&self) -> JwtAlgorithm {
            JwtAlgorithm::Es256
        }

        fn key_id(&self) -> Option<String> {
            Some("k1".to_owned())
        }
    }

    /// Takes so many seconds, and notes how much time what it asks for would have.
    #[derive(Debug)]
    struct Slow(u64, Arc<HandClock>, Mutex<Option<Duration>>);

    impl JwtSigner for Slow {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
            let left = under_way::left(Duration::MAX, self.1.now());
            *self.2.lock().unwrap() = Some(left);
            self.1.advance(Duration::from_secs(self.0));
            Ok(b"sig".to_vec())
        }
    }

    #[test]
    fn a_slow_signer_takes_its_time_from_the_budget() {
        for (seconds, requests) in [(9, 1), (60, 0)] {
            let world = World::new([granted()]);
            let signer = Arc::new(Slow(seconds, Arc::clone(&world.clock), Mutex::default()));
            let builder = world.builder().iam_flow(true).service_account("b@x");
            let credentials = builder.signer(Arc::clone(&signer) as _).build().unwrap();
            let total = credentials.0.inner.source.budget();
            let outcome = credentials.blocking_token();
            assert_eq!(*signer.2.lock().unwrap(), Some(total));
            assert_eq!(world.transport.requests().len(), requests);
            if requests == 0 {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
                assert!(error.to_string().contains("signer"), "{error}");
            }
        }
    }

    #[test]
    fn a_signer_of_the_programs_signs_instead_and_copies_keep_it() {
        let world = World::new([granted()]);
        let builder = || world.builder().iam_flow(true).service_account("b@x");
        let credentials = builder().signer(Arc::new(Mine(true))).build().unwrap();
        let copy = credentials
            .with_token_uri("https://sts.example/token")
            .unwrap();
        let kept = copy.signer().unwrap();
        assert_eq!(kept.key_id().as_deref(), Some("k1"));
        assert_eq!(copy.blocking_sign_bytes(b".").unwrap(), b"sig");
        copy.blocking_token().unwrap();
        assert_eq!(
            world.transport.requests()[0].uri(),
            "https://sts.example/token"
        );
        let assertion = body(&world, 0);
        assert_eq!(
            assertion[0],
            serde_json::json!({"typ": "JWT", "alg": "ES256", "kid": "k1"})
        );
        assert_eq!(assertion[1]["aud"], "https://sts.example/token");
        let lost = builder().signer(Arc::new(Mine(false))).build().unwrap();
        let error = lost.blocking_token().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Signing);
        assert!(error.to_string().contains("the key is lost"));
        assert_eq!(world.transport.requests().len(), 1);
    }

    #[test]
    fn settings_of_the_other_flow_are_refused() {
        let world = World::new([]);
        for builder in [
            world.builder().token_uri("https://t/"),
            world.builder().additional_claims("{}"),
            world.builder().signer(Arc::new(Mine(true))),
            world.builder().iam_endpoint("http://127.0.0.1:1"),
            world.builder().iam_flow(true).iam_endpoint("iam"),
            world
                .builder()
                .iam_flow(true)
                .bind_id_token(BindIdToken::Always),
            world.builder().iam_flow(true).token_uri("nonsense"),
            world.builder().iam_flow(true).additional_claims("[]"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.hint().is_some(), "{error}");
        }
        let plain = world.builder().iam_flow(true).iam_flow(false);
        let plain = plain.build().unwrap();
        assert!(plain.with_token_uri("https://t/").is_err());
        let error = plain.blocking_sign_bytes(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation);
        assert!(error.hint().unwrap().contains("iam_flow"));
        assert!(plain.signer().is_none());
    }

    #[test]
    fn one_cut_connection_fails_google_auths_flow_alone() {
        let cut = Reply::Broken(crate::transport::TransportErrorKind::Closed);
        let token = |world: &World| {
            let builder = world.builder().iam_flow(true).service_account("b@x");
            let credentials = builder.signer(Arc::new(Mine(true))).build().unwrap();
            credentials.blocking_token()
        };
        let ours = World::new([cut.clone(), granted()]);
        token(&ours).unwrap();
        assert_eq!(ours.transport.requests().len(), 2);

        let theirs = World::with([cut, granted()], HandQueue::new(), |builder| {
            builder.retry(RetryPolicy::google_auth())
        });
        let error = token(&theirs).unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("oauth2/v4/token"));
        assert_eq!(theirs.transport.requests().len(), 1);
    }

    #[test]
    fn a_hanging_iam_ends_with_the_budget_of_the_operation() {
        let hangs = Reply::Broken(crate::transport::TransportErrorKind::Timeout);
        let world = World::new([info(), hangs]);
        let signing = Credentials::builder()
            .client(world.client.clone())
            .universe_domain("u.example")
            .shared(false)
            .build()
            .unwrap();
        signing.set_token(Some("ya29.t"), None).unwrap();
        let builder = world.builder().iam_flow(true).credentials(signing);
        let error = builder.build().unwrap().blocking_token().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let slept: Duration = world.clock.take_sleeps().iter().sum();
        assert!(slept <= Duration::from_secs(10), "{slept:?}");
        let longest = world.transport.limits().iter().map(|it| it.attempt).max();
        assert_eq!(longest, Some(Duration::from_secs(10)), "of 15 s");
    }
}
