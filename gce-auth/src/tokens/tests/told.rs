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
    let told = "fixed credentials from the program";
    assert_eq!(fixed.info().to_string(), told);
    assert_eq!(Credentials::anonymous().info().to_string(), told);
    let named = fixed.with_service_account("a@x").unwrap();
    assert_eq!(named.0.inner.source.email().as_deref(), Some("a@x"));
    let told = "fixed credentials of a@x from the program";
    assert_eq!(named.info().to_string(), told);
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
    let world = World::new([Reply::token("t", 3600), signed]);
    let builder = IdTokenCredentials::builder("aud")
        .client(world.client.clone())
        .service_account("a@p.iam.gserviceaccount.com")
        .iam_flow(true)
        .iam_endpoint("http://iam");
    let credentials = builder.build().unwrap();
    let mut signature = pin!(credentials.sign_bytes(b"bytes"));
    assert!(poll(signature.as_mut()).is_pending());
    world.queue.run_all();
    assert!(matches!(poll(signature.as_mut()), Poll::Ready(Ok(bytes)) if bytes == b"sig"));
}

#[test]
fn id_tokens_of_the_same_account_have_its_settings() {
    let world = World::new([]);
    let builder = Credentials::builder().client(world.client);
    let builder = builder.refresh_mode(crate::RefreshMode::Blocking);
    let access = builder
        .service_account("b@x")
        .shared(false)
        .build()
        .unwrap();
    let identity = access.id_token("aud").unwrap();
    assert_eq!(identity.audience(), "aud");
    assert_eq!(identity.service_account_email().as_deref(), Some("b@x"));
    assert_eq!(identity.0.mode(), crate::RefreshMode::Blocking);
    assert!(!identity.0.inner.options.shared);
}

#[test]
fn an_account_is_resolved_for_a_task_as_well() {
    let world = World::with([account()], crate::io::fake::HandQueue::refusing(), |it| it);
    let builder = IdTokenCredentials::builder("aud").client(world.client.clone());
    let credentials = builder.shared(false).build().unwrap();
    for _ in 0..2 {
        assert!(matches!(
            poll(pin!(credentials.resolve())),
            Poll::Ready(Ok(()))
        ));
    }
    let email = credentials.service_account_email();
    assert_eq!(email.as_deref(), Some("a@p.iam.gserviceaccount.com"));
    assert_eq!(world.asked().len(), 1);
}

#[test]
fn a_refused_token_says_what_to_look_at() {
    for (status, hint) in [
        (403, "iam.workloadIdentityUser"),
        (404, "attach a service account"),
    ] {
        let world = World::new([Reply::status(status)]);
        let error = credentials(&world).unshared().blocking_token().unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn who_is_ready_or_never_will_be_does_not_wait() {
    let world = World::new([Reply::token("t", 3600)]);
    let credentials = credentials(&world).unshared();
    credentials.blocking_token().unwrap();
    world.advance(3450);
    // Stale, and its renewal fails: it is in hand all the same.
    world.transport.script([Reply::status(503)]);
    let begins = world.clock.take_sleeps().len();
    credentials
        .blocking_wait_ready(Duration::from_secs(60))
        .unwrap();
    let waiting = pin!(credentials.wait_ready(Duration::from_secs(60)));
    assert!(matches!(poll(waiting), Poll::Ready(Ok(()))));
    assert_eq!((begins, world.clock.take_sleeps().len()), (0, 0));
}

#[test]
fn a_deadline_that_cuts_an_attempt_short_is_told_with_the_failure_before_it() {
    let world = World::new([Reply::status(403)]);
    let credentials = credentials(&world).unshared();
    assert!(credentials.blocking_token().is_err());
    let error = credentials.blocking_wait_ready(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Forbidden, "{error}");
}

#[test]
fn anonymous_credentials_send_nothing_and_are_made_no_narrower() {
    let anonymous = Credentials::anonymous();
    let mut headers = http::HeaderMap::new();
    let uri = http::Uri::from_static("https://a.example/");
    anonymous
        .blocking_before_request(&http::Method::GET, &uri, &mut headers)
        .unwrap();
    assert!(!headers.contains_key("authorization"));
    #[cfg(feature = "iam")]
    {
        let rule = crate::AccessBoundaryRule::new("//storage.googleapis.com/b", ["inRole:p"]);
        let boundary = crate::CredentialAccessBoundary::new([rule.unwrap()]).unwrap();
        let error = anonymous.downscope(&boundary).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidOperation);
        assert!(error.to_string().contains("anonymous"), "{error}");
    }
}
