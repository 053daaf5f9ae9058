//! What credentials of one process share, and what they do not.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    Credentials, IdTokenCredentials, MetadataClient, RetryPolicy,
    io::fake::{HandQueue, Reply},
    values::error::ErrorKind,
    world::World,
};

fn built(world: &World) -> Credentials {
    let builder = Credentials::builder().client(world.client.clone());
    builder.build().unwrap()
}

#[test]
fn credentials_that_are_made_for_each_call_fetch_once() {
    let world = World::new([Reply::token("t", 3600)]);
    for _ in 0..50 {
        assert_eq!(built(&world).blocking_token().unwrap().secret(), "t");
    }
    assert_eq!(world.asked().len(), 1);
    // Some minutes after the last of them, it is forgotten.
    world.advance(300);
    built(&world).blocking_token().unwrap();
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn id_tokens_for_one_audience_are_fetched_once() {
    let identity = |audience: &str| {
        let claims = format!(r#"{{"aud":"{audience}","exp":1700003600}}"#);
        Reply::text(&format!(
            "e30.{}.c2ln",
            BASE64_URL_SAFE_NO_PAD.encode(claims)
        ))
    };
    let world = World::new([identity("one"), identity("two")]);
    let built = |audience: &str| {
        let builder = IdTokenCredentials::builder(audience).client(world.client.clone());
        builder.build().unwrap()
    };
    for audience in ["one", "one", "two"] {
        built(audience).blocking_token().unwrap();
    }
    let copy = built("one").with_audience("two").unwrap();
    assert_eq!(copy.audience(), "two");
    copy.blocking_token().unwrap();
    let asked = world.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("audience=one") && asked[1].contains("audience=two"));
}

#[test]
fn unshared_credentials_leave_nothing_behind() {
    let world = World::new([Reply::token("t", 3600)]);
    for _ in 0..2 {
        let builder = Credentials::builder().client(world.client.clone());
        builder
            .shared(false)
            .build()
            .unwrap()
            .blocking_token()
            .unwrap();
    }
    assert_eq!(world.asked().len(), 2);
}

/// The same server by the same transport and clock, with other settings.
fn other(world: &World, queue: &Arc<HandQueue>, retry: RetryPolicy) -> MetadataClient {
    MetadataClient::builder()
        .transport(Arc::clone(&world.transport) as _)
        .clock(Arc::clone(&world.clock) as _)
        .executor(Arc::clone(queue) as _)
        .retry(retry)
        .endpoint("metadata")
        .build_without_environment()
}

#[test]
fn a_hasty_retry_policy_fails_nobody_with_another_one() {
    let world = World::new([
        Reply::status(503),
        Reply::status(503),
        Reply::token("t", 3600),
    ]);
    let once = RetryPolicy::new().attempts(1);
    let hasty = other(&world, &world.queue, once);
    let hasty = Credentials::builder().client(hasty).build().unwrap();
    let error = hasty.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let patient = built(&world);
    assert_eq!(patient.blocking_token().unwrap().secret(), "t");
    assert_eq!(patient.status().failures, 0);
    // The value is shared.
    assert_eq!(hasty.blocking_token().unwrap().secret(), "t");
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn a_thousand_cold_callers_with_two_settings_ask_twice() {
    let world = World::new([Reply::token("t", 3600)]);
    let once = RetryPolicy::new().attempts(1);
    let hasty = other(&world, &world.queue, once);
    let mut waiting: Vec<_> = (0..1000)
        .map(|n| {
            let client = if n % 2 == 0 { &world.client } else { &hasty };
            let builder = Credentials::builder().client(client.clone());
            let credentials = builder.build().unwrap();
            Box::pin(async move { credentials.token().await })
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    for call in &mut waiting {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(world.queue.run_all(), 2);
    for call in &mut waiting {
        assert!(
            matches!(call.as_mut().poll(&mut context), Poll::Ready(Ok(token)) if token.secret() == "t")
        );
    }
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn credentials_of_both_kinds_have_the_same_methods() {
    let world = World::new([Reply::token("t", 3600)]);
    let token = "ya29.fixed";
    let access = Credentials::fixed(token, None).unwrap();
    let identity = IdTokenCredentials::fixed("aud", token, None).unwrap();
    assert_eq!(identity.audience(), "aud");
    let headers = (
        access.with_cached(Clone::clone).unwrap(),
        identity.with_cached(Clone::clone).unwrap(),
    );
    assert_eq!(headers.0, headers.1);
    assert_eq!(
        access.blocking_authorization().unwrap(),
        identity.blocking_authorization().unwrap()
    );
    identity.blocking_wait_ready(Duration::ZERO).unwrap();
    identity.set_token(Some("other"), None).unwrap();
    assert_eq!(identity.blocking_token().unwrap().secret(), "other");
    let tag = headers.1.tag();
    let changed = identity.blocking_headers_if_changed(&tag).unwrap().unwrap();
    let waited = futures_executor::block_on(identity.headers_if_changed(&tag));
    assert_eq!(waited.unwrap(), Some(changed.clone()));
    let tag = changed.tag();
    let same = futures_executor::block_on(identity.headers_if_changed(&tag));
    assert_eq!(same.unwrap(), None);
    assert!(identity.invalidate_headers(&changed));
    assert!(identity.cached_token().is_none());
    let named = IdTokenCredentials::builder("aud").client(world.client);
    let named = named.build().unwrap().with_service_account("b@x").unwrap();
    assert_eq!(named.service_account_email().as_deref(), Some("b@x"));
    assert!(named.with_service_account("a/b").is_err());
}

/// Every client asks by the transport of `world`.
fn ask_in(world: &World, clients: &[&MetadataClient]) {
    for (asked, client) in clients.iter().enumerate() {
        assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
        assert_eq!(world.asked().len(), asked + 1);
    }
}

#[test]
fn credentials_name_the_client_that_they_were_made_with() {
    let world = World::new([Reply::text("vm")]);
    let access = built(&world);
    let identity = IdTokenCredentials::builder("aud").client(world.client.clone());
    let identity = identity.build().unwrap();
    let its_identity = access.id_token("aud").unwrap();
    ask_in(
        &world,
        &[access.client(), identity.client(), its_identity.client()],
    );
}

#[cfg(feature = "iam")]
#[test]
fn credentials_of_a_source_name_its_client() {
    use crate::{AccessBoundaryRule, CredentialAccessBoundary};
    let world = World::new([Reply::text("vm")]);
    let access = built(&world);
    let impersonated = access.impersonate("b@p.iam.gserviceaccount.com");
    let impersonated = impersonated.build().unwrap();
    let its_identity = impersonated.id_token("aud").unwrap();
    let rule = AccessBoundaryRule::new("//storage/b", ["inRole:roles/x"]).unwrap();
    let boundary = CredentialAccessBoundary::new([rule]).unwrap();
    let narrow = access.downscope(&boundary).unwrap();
    ask_in(
        &world,
        &[
            impersonated.client(),
            its_identity.client(),
            narrow.client(),
        ],
    );
}
