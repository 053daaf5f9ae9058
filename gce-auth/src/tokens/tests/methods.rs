//! Each method that both kinds of credentials have, of each kind: the macros that
//! make them are written once, and each kind is another program.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Uri};

use crate::{
    Credentials, ErrorKind, Headers, IdTokenCredentials, ProvideHeaders, RefreshMode, TokenState,
    io::fake::Reply,
    world::{START, World, account},
};

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

/// What a future comes to, once the work is done that it waits for.
fn done<T>(world: &World, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    while world.queue.run_next() {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("nothing ends it");
}

/// The access token, or the ID token, that is issued as the `n`th, for an hour.
fn access(n: u64) -> String {
    format!("ya29.{n}")
}

fn identity(n: u64) -> String {
    let claims = format!(
        r#"{{"aud":"aud","sub":"{n}","exp":{}}}"#,
        START + 3600 * (n + 1)
    );
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn bearer(headers: &Headers) -> &str {
    headers.authorization().unwrap().to_str().unwrap()
}

/// The tests of one kind of credentials: its name, those of a world, fixed ones,
/// the tokens that a server gives, and its answers.
macro_rules! tests_of {
    ($kind:ident, $name:ident, $of:expr, $fixed:expr, $token:ident, $reply:expr) => {
        mod $kind {
            use super::*;

            fn made(replies: impl IntoIterator<Item = Reply>) -> (World, $name) {
                let world = World::new(replies);
                let credentials = $of(&world);
                (world, credentials)
            }

            #[test]
            fn nothing_is_in_hand_before_the_first_token() {
                let (world, credentials) = made([$reply(0)]);
                assert!(credentials.held_token().is_none() && credentials.cached_token().is_none());
                assert_eq!(credentials.expires_at(), None);
                assert_eq!(credentials.token_state(), TokenState::Invalid);
                assert!(!credentials.is_valid() && !credentials.is_expired());
                assert!(credentials.apply(&mut HeaderMap::new()).is_err());
                assert!(credentials.blocking_wait_ready(Duration::ZERO).is_err());
                let waiting = pin!(credentials.wait_ready(Duration::from_secs(9)));
                let mut context = Context::from_waker(Waker::noop());
                assert!(waiting.poll(&mut context).is_pending());
                assert!(credentials.cached_headers().is_none());
                assert!(ProvideHeaders::cached_headers(&credentials).is_none());
                world.queue.run_all();
                let headers = credentials.cached_headers().unwrap();
                assert_eq!(bearer(&headers), format!("Bearer {}", $token(0)));
                assert_eq!(ProvideHeaders::cached_headers(&credentials), Some(headers));
            }

            #[test]
            fn a_token_that_is_in_hand_is_handed_out_by_every_method() {
                let (world, credentials) = made([$reply(0)]);
                let token = done(&world, credentials.token()).unwrap();
                assert_eq!(token.secret(), $token(0));
                let expected = format!("Bearer {}", $token(0));
                let headers = credentials.blocking_headers().unwrap();
                for headers in [
                    headers.clone(),
                    ready(credentials.headers()).unwrap(),
                    credentials.with_cached(Clone::clone).unwrap(),
                    ready(credentials.provide_headers()).unwrap(),
                    ready(Arc::new(credentials.clone()).provide_owned()).unwrap(),
                ] {
                    assert_eq!(bearer(&headers), expected);
                }
                for value in [
                    ready(credentials.authorization()).unwrap(),
                    credentials.blocking_authorization().unwrap(),
                ] {
                    assert_eq!(value, expected);
                }
                for token in [
                    credentials.blocking_token().unwrap(),
                    credentials.cached_token().unwrap(),
                    credentials.held_token().unwrap(),
                ] {
                    assert_eq!(token.secret(), $token(0));
                }
                ready(credentials.wait_ready(Duration::ZERO)).unwrap();
                credentials.blocking_wait_ready(Duration::ZERO).unwrap();
                let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(START + 3600);
                assert_eq!(credentials.expires_at(), Some(ends));
                assert_eq!(credentials.status().state, TokenState::Fresh);
                // And what differs from what a caller has, alone.
                let (tag, none) = (headers.tag(), Credentials::anonymous());
                let none = none.blocking_headers().unwrap().tag();
                assert_eq!(ready(credentials.headers_if_changed(&tag)).unwrap(), None);
                assert_eq!(credentials.blocking_headers_if_changed(&tag).unwrap(), None);
                let changed = ready(credentials.headers_if_changed(&none)).unwrap();
                assert_eq!(changed.as_ref(), Some(&headers));
                let changed = credentials.blocking_headers_if_changed(&none).unwrap();
                assert_eq!(changed, Some(headers));
                assert_eq!(world.asked().len(), 1);
            }

            #[test]
            fn a_token_that_is_not_in_hand_is_waited_for_by_every_future() {
                let none = Credentials::anonymous().blocking_headers().unwrap().tag();
                let expected = format!("Bearer {}", $token(0));
                let (world, credentials) = made([$reply(0)]);
                assert_eq!(
                    bearer(&done(&world, credentials.headers()).unwrap()),
                    expected
                );
                let (world, credentials) = made([$reply(0)]);
                let changed = done(&world, credentials.headers_if_changed(&none)).unwrap();
                assert_eq!(bearer(&changed.unwrap()), expected);
                let (world, credentials) = made([$reply(0)]);
                let provided = done(&world, credentials.provide_headers()).unwrap();
                assert_eq!(bearer(&provided), expected);
                let (world, credentials) = made([$reply(0)]);
                let owned = Arc::new(credentials).provide_owned();
                assert_eq!(bearer(&done(&world, owned).unwrap()), expected);
                let (world, credentials) = made([$reply(0)]);
                assert_eq!(done(&world, credentials.authorization()).unwrap(), expected);
                let (world, credentials) = made([$reply(0)]);
                done(&world, credentials.wait_ready(Duration::from_secs(9))).unwrap();
                assert_eq!(credentials.cached_token().unwrap().secret(), $token(0));
            }

            #[test]
            fn the_token_that_was_rejected_is_dropped_and_no_other() {
                let (_world, credentials) = made([$reply(0), $reply(1), $reply(2), $reply(3)]);
                let other: $name = $fixed("other");
                let (token, headers) = (
                    other.cached_token().unwrap(),
                    other.cached_headers().unwrap(),
                );
                let none = Credentials::anonymous().blocking_headers().unwrap();
                let first = credentials.blocking_token().unwrap();
                for not_held in [&headers, &none] {
                    assert!(!credentials.invalidate_headers(not_held));
                    assert!(!ProvideHeaders::invalidate_headers(&credentials, not_held));
                }
                assert!(!credentials.invalidate(&token));
                assert_eq!(credentials.cached_token().unwrap().secret(), $token(0));
                assert!(credentials.invalidate(&first));
                assert!(credentials.cached_token().is_none());
                let second = credentials.blocking_headers().unwrap();
                assert_eq!(bearer(&second), format!("Bearer {}", $token(1)));
                assert!(credentials.invalidate_headers(&second));
                assert!(credentials.cached_token().is_none());
                let third = credentials.blocking_headers().unwrap();
                assert!(ProvideHeaders::invalidate_headers(&credentials, &third));
                assert!(credentials.cached_token().is_none());
                assert!(!credentials.invalidate(&first), "it is held no more");
            }

            #[test]
            fn a_token_that_is_stale_or_has_expired_is_held_until_there_is_another() {
                let (world, credentials) = made([$reply(0), $reply(1)]);
                credentials.blocking_token().unwrap();
                assert!(credentials.is_valid() && !credentials.is_expired());
                assert_eq!(credentials.token_state(), TokenState::Fresh);
                world.advance(3450);
                assert_eq!(credentials.token_state(), TokenState::Stale);
                assert!(!credentials.is_valid() && credentials.is_expired());
                assert_eq!(credentials.blocking_token().unwrap().secret(), $token(0));
                let mut headers = HeaderMap::new();
                credentials.apply(&mut headers).unwrap();
                assert_eq!(headers["authorization"], format!("Bearer {}", $token(0)));
                world.advance(150);
                assert_eq!(credentials.token_state(), TokenState::Invalid);
                assert!(credentials.is_expired() && credentials.cached_token().is_none());
                let held = credentials.held_token().unwrap();
                assert_eq!(held.secret(), $token(0));
                assert_eq!(credentials.expires_at(), held.expires_at());
                assert!(held.expires_at().is_some());
            }

            #[test]
            fn in_blocking_mode_a_stale_token_is_waited_for() {
                let (world, credentials) = made([$reply(0), $reply(1)]);
                credentials.blocking_token().unwrap();
                credentials.set_refresh_mode(RefreshMode::Blocking);
                world.advance(3450);
                assert_eq!(credentials.blocking_token().unwrap().secret(), $token(1));
            }

            #[test]
            fn a_refresh_brings_another_token_to_the_next_request() {
                let (method, uri) = (Method::GET, Uri::from_static("https://x/"));
                let (world, credentials) = made([$reply(0)]);
                credentials.blocking_token().unwrap();
                let is_access = stringify!($name) == "Credentials";
                let again = |n| is_access.then(account).into_iter().chain([$reply(n)]);
                world.transport.script(again(1));
                done(&world, credentials.refresh()).unwrap();
                let mut headers = HeaderMap::new();
                ready(credentials.before_request(&method, &uri, &mut headers)).unwrap();
                assert_eq!(headers["authorization"], format!("Bearer {}", $token(1)));
                world.transport.script(again(2));
                credentials.blocking_refresh().unwrap();
                credentials
                    .blocking_before_request(&method, &uri, &mut headers)
                    .unwrap();
                assert_eq!(headers["authorization"], format!("Bearer {}", $token(2)));
                credentials.apply_token(&mut headers, "given").unwrap();
                assert_eq!(headers["authorization"], "Bearer given");
                credentials.apply(&mut headers).unwrap();
                assert_eq!(headers["authorization"], format!("Bearer {}", $token(2)));
            }

            #[test]
            fn a_copy_has_another_project_or_account() {
                let (_world, credentials) = made([]);
                assert_eq!(credentials.quota_project_id(), None);
                let billed = credentials.with_quota_project("billed").unwrap();
                assert_eq!(billed.quota_project_id(), Some("billed"));
                assert_eq!(
                    billed.with_quota_project(None).unwrap().quota_project_id(),
                    None
                );
                let error = credentials.with_quota_project("a\nb").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                let named = credentials.with_service_account("b@x").unwrap();
                assert_eq!(named.service_account_email().as_deref(), Some("b@x"));
                named.set_token(Some("set"), None).unwrap();
                assert_eq!(named.cached_token().unwrap().secret(), "set");
                named.set_token(None, None).unwrap();
                assert!(named.held_token().is_none());
            }
        }
    };
}

tests_of!(
    of_access_tokens,
    Credentials,
    |world: &World| {
        let builder = Credentials::builder().client(world.client.clone());
        builder.shared(false).build().unwrap()
    },
    |token| Credentials::fixed(token, None).unwrap(),
    access,
    |n| Reply::token(&access(n), 3600)
);
tests_of!(
    of_id_tokens,
    IdTokenCredentials,
    |world: &World| {
        let builder = IdTokenCredentials::builder("aud").client(world.client.clone());
        builder.shared(false).build().unwrap()
    },
    |token| IdTokenCredentials::fixed("aud", token, None).unwrap(),
    identity,
    |n| Reply::text(&identity(n))
);
