//! What credentials and tokens of the metadata server say of themselves.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use crate::{
    Credentials, IdTokenCredentials,
    io::fake::Reply,
    world::{START, World, account},
};

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn credentials(world: &World) -> Credentials {
    let builder = Credentials::builder().client(world.client.clone());
    builder.build().unwrap()
}

#[test]
fn a_status_says_when_the_next_attempt_is_until_then() {
    let world = World::new([Reply::token("t", 3600), Reply::status(403)]);
    let credentials = credentials(&world).unshared();
    credentials.blocking_token().unwrap();
    assert_eq!(credentials.status().next_attempt, None);
    world.advance(3450);
    credentials.blocking_token().unwrap();
    world.queue.run_all();
    let status = credentials.status();
    let next = SystemTime::UNIX_EPOCH + Duration::from_secs(START + 3455);
    assert_eq!((status.failures, status.next_attempt), (1, Some(next)));
    world.advance(5);
    assert_eq!(credentials.status().next_attempt, None, "it is due");
}

#[test]
fn a_refresh_that_joins_another_knows_the_account_afterwards() {
    let world = World::new([account(), Reply::token("t", 3600), account()]);
    let (first, second) = (credentials(&world), credentials(&world));
    let mut leads = pin!(first.refresh());
    let mut joins = pin!(second.refresh());
    assert!(poll(leads.as_mut()).is_pending() && poll(joins.as_mut()).is_pending());
    while world.queue.run_all() > 0 {
        let _ = poll(joins.as_mut());
    }
    assert!(matches!(poll(leads.as_mut()), Poll::Ready(Ok(()))));
    for known in [&first, &second] {
        assert_eq!(
            known.service_account_email().as_deref(),
            Some("a@p.iam.gserviceaccount.com")
        );
    }
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn a_fixed_credential_has_the_email_address_that_it_was_given() {
    let fixed = Credentials::fixed("t", None).unwrap();
    assert_eq!(fixed.0.inner.source.email(), None);
    let named = fixed.with_service_account("a@x").unwrap();
    assert_eq!(named.0.inner.source.email().as_deref(), Some("a@x"));
}

#[test]
fn id_tokens_say_when_they_expire_and_for_whom_they_are() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL};
    let claims = format!(r#"{{"aud":"aud","iat":{START},"exp":{}}}"#, START + 3600);
    let world = World::new([Reply::text(&format!("e30.{}.c2ln", URL.encode(claims)))]);
    let builder = IdTokenCredentials::builder("aud").client(world.client);
    let credentials = builder.build().unwrap();
    assert_eq!(credentials.0.inner.source.audience(), Some("aud"));
    let expires = credentials.blocking_token().unwrap().expires_at();
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(START + 3600);
    assert_eq!(expires, Some(expected));
}

#[cfg(feature = "iam")]
#[test]
fn id_token_credentials_sign_bytes_as_a_future_too() {
    let signed = Reply::Answer(200, r#"{"signedBlob":"c2ln"}"#.to_owned());
    let world = World::new([account(), Reply::token("t", 3600), signed]);
    let builder = IdTokenCredentials::builder("aud")
        .client(world.client.clone())
        .service_account("a@p.iam.gserviceaccount.com")
        .iam_flow()
        .iam_endpoint("http://iam");
    let credentials = builder.build().unwrap();
    let mut signature = pin!(credentials.sign_bytes(b"bytes"));
    assert!(poll(signature.as_mut()).is_pending());
    world.queue.run_all();
    assert!(matches!(poll(signature.as_mut()), Poll::Ready(Ok(bytes)) if bytes == b"sig"));
}
