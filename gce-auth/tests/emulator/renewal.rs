//! Shared, rejected, stale and renewed tokens.

use std::{thread, time::Duration};

use futures_executor::block_on;
use gce_auth::{
    CertificateBinding, Credentials, ErrorKind, IdTokenCredentials, RefreshMode, TokenState,
};
use gce_auth_emulator::{Emulator, Fault};

use super::{
    PLATFORM, READ_ONLY, accounts, refused,
    support::{
        ACCOUNT, IDENTITY, TOKEN, asked, builder, client, credentials, emulator, impatient, until,
    },
    wall,
};

#[test]
fn what_would_send_the_same_request_shares_one_token() {
    let emulator = accounts(&["one@p.iam", "two@p.iam"]);
    let one = credentials(&emulator);
    let two = builder(&emulator)
        .quota_project_id("billed")
        .universe_domain("example.goog")
        .refresh_mode(RefreshMode::Blocking)
        .build()
        .unwrap();
    let three = Credentials::builder()
        .client(client(&emulator).build().unwrap())
        .build()
        .unwrap();
    let token = one.blocking_token().unwrap();
    assert_eq!(two.cached_token(), Some(token.clone()));
    assert_eq!(three.blocking_token().unwrap(), token);
    for clone in vec![one.clone(); 3] {
        assert_eq!(clone.blocking_token().unwrap(), token);
    }
    assert_eq!(emulator.request_count(TOKEN), 1);

    let alone = builder(&emulator).shared(false).build().unwrap();
    assert_eq!(alone.cached_token(), None, "starts empty");
    alone.blocking_token().unwrap();
    assert_eq!(emulator.request_count(TOKEN), 2);
    let named = builder(&emulator).service_account("two@p.iam").build();
    assert_eq!(named.unwrap().cached_token(), None);
    assert_eq!(one.with_scopes([READ_ONLY]).cached_token(), None);
}

#[test]
fn a_copy_made_for_one_call_finds_its_token_again() {
    let emulator = emulator();
    let family = credentials(&emulator);
    for _ in 0..5 {
        let token = family.with_scopes([READ_ONLY]).blocking_token();
        assert!(token.is_ok());
        let token = family.with_quota_project("q").unwrap().blocking_token();
        assert!(token.is_ok());
    }
    assert_eq!(
        emulator.request_count(TOKEN),
        2,
        "one with scopes, one without"
    );
    drop(family);
    credentials(&emulator).blocking_token().unwrap();
    assert_eq!(
        emulator.request_count(TOKEN),
        2,
        "tokens stay for some minutes after the last handle"
    );
}

#[test]
fn a_rejected_token_is_dropped_once_and_costs_one_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let rejected = credentials.blocking_token().unwrap();
    emulator.rotate_token();
    let outcomes: Vec<(bool, String)> = thread::scope(|scope| {
        let callers: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let dropped = credentials.invalidate(&rejected);
                    let token = credentials.blocking_token().unwrap();
                    (dropped, token.secret().to_owned())
                })
            })
            .collect();
        let joined = callers.into_iter().map(|caller| caller.join().unwrap());
        joined.collect()
    });
    assert_eq!(outcomes.iter().filter(|(dropped, _)| *dropped).count(), 1);
    assert!(outcomes.iter().all(|(_, token)| token != rejected.secret()));
    assert!(outcomes.iter().all(|(_, token)| *token == outcomes[0].1));
    assert_eq!(emulator.request_count(TOKEN), 2);
    let headers = credentials.blocking_headers().unwrap();
    assert!(credentials.invalidate_headers(&headers));
    assert!(!credentials.invalidate_headers(&headers));
    credentials.blocking_headers().unwrap();
    assert_eq!(emulator.request_count(TOKEN), 3);
}

#[test]
fn refreshes_that_overlap_share_one_request() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(ACCOUNT, 1, Fault::Delay(Duration::from_millis(300)));
    thread::scope(|scope| {
        let first = scope.spawn(|| credentials.blocking_refresh());
        until("the first refresh asks", || {
            emulator.request_count(ACCOUNT) == 1
        });
        let more: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| credentials.blocking_refresh()))
            .collect();
        let all = more.into_iter().chain([first]);
        assert!(all.map(|caller| caller.join().unwrap()).all(|r| r.is_ok()));
    });
    assert!(emulator.request_count(TOKEN) <= 2);
    assert_eq!(
        emulator.request_count(TOKEN),
        emulator.request_count(ACCOUNT)
    );
}

#[test]
fn a_stale_token_is_handed_out_or_waited_for_as_the_mode_says() {
    let emulator = Emulator::builder()
        .token_lifetime(Duration::from_secs(100))
        .start()
        .unwrap();
    let credentials = Credentials::builder()
        .client(impatient(&emulator))
        .build()
        .unwrap();
    let first = credentials.blocking_token().unwrap();
    assert_eq!(credentials.status().state, TokenState::Stale);
    emulator.rotate_token();
    let still = credentials.blocking_token().unwrap();
    assert_eq!(still, first, "nobody waits while a token is valid");
    credentials.set_refresh_mode(RefreshMode::Blocking);
    let renewed = credentials.blocking_token().unwrap();
    assert_ne!(renewed, first, "whoever finds it stale waits");
    emulator.fail_next(TOKEN, usize::MAX, refused(503));
    let kept = block_on(credentials.token()).unwrap();
    assert_eq!(kept, renewed, "and gets the old one where that fails");
    let kept = credentials.blocking_headers().unwrap();
    assert_eq!(kept.authorization(), Some(&renewed.authorization()));
    credentials.set_refresh_mode(RefreshMode::Background);
    assert_eq!(credentials.blocking_token().unwrap(), renewed);
}

#[test]
fn the_status_tells_what_is_known_without_asking() {
    let emulator = emulator();
    let credentials = Credentials::builder()
        .client(impatient(&emulator))
        .scopes([PLATFORM, READ_ONLY])
        .build()
        .unwrap();
    let status = credentials.status();
    assert_eq!(status.state, TokenState::Invalid);
    assert!(status.expires_at.is_none() && status.last_success.is_none());
    assert!(status.last_error.is_none() && status.next_attempt.is_none());
    assert_eq!((status.failures, status.in_flight), (0, false));
    assert_eq!(status.scopes_not_granted, None);
    assert_eq!(asked(&emulator), [""; 0]);

    let before = wall();
    emulator.fail_next(TOKEN, 2, refused(500));
    for failures in 1..=2 {
        let error = credentials.blocking_refresh().unwrap_err();
        let status = credentials.status();
        let binding = &status.certificate_binding;
        assert!(
            matches!(binding, Some(CertificateBinding::NotBound(why)) if !why.is_empty()),
            "{binding:?}"
        );
        let (at, last) = status.last_error.unwrap();
        assert_eq!(last.to_string(), error.to_string());
        assert!(at >= before - Duration::from_millis(20));
        assert_eq!(status.failures, failures);
        assert!(status.next_attempt.unwrap() > before);
        assert_eq!(status.scopes_not_granted.unwrap(), [READ_ONLY]);
    }
    emulator.fail_next(TOKEN, 1, Fault::Delay(Duration::from_millis(300)));
    assert!(credentials.cached_headers().is_none());
    // Quiet for a second after a failure, so this asked nobody.
    assert!(!credentials.status().in_flight);
    thread::scope(|scope| {
        let refresh = scope.spawn(|| credentials.blocking_refresh());
        until("the token is asked for", || {
            emulator.request_count(TOKEN) == 3
        });
        assert!(credentials.status().in_flight);
        refresh.join().unwrap().unwrap();
    });
    let status = credentials.status();
    assert_eq!(status.state, TokenState::Fresh);
    assert_eq!(status.expires_at, credentials.expires_at());
    assert!(status.last_success.unwrap() >= before);
    assert!(status.last_error.is_some(), "what went wrong is kept");
    assert_eq!((status.failures, status.in_flight), (0, false));
}

#[test]
fn asking_for_cached_headers_never_waits_and_starts_one_flight() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, Fault::Delay(Duration::from_millis(200)));
    assert!(credentials.cached_headers().is_none());
    for _ in 0..100 {
        let lent = credentials.with_cached(|_| ());
        assert!(lent.is_none() || credentials.cached_token().is_some());
    }
    until("the token has come", || {
        credentials.cached_headers().is_some()
    });
    let names = credentials.with_cached(|headers| headers.iter().count());
    assert_eq!(names, Some(1));
    assert_eq!(emulator.request_count(TOKEN), 1);

    let identity = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap();
    assert!(identity.cached_headers().is_none());
    until("the ID token has come", || {
        identity.cached_headers().is_some()
    });
    assert_eq!(emulator.request_count(IDENTITY), 1);
}

#[test]
fn waiting_until_ready_goes_on_through_refusals() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, refused(403));
    emulator.fail_next(TOKEN, 1, refused(404));
    block_on(credentials.wait_ready(Duration::from_secs(30))).unwrap();
    assert!(credentials.cached_token().is_some());
    assert_eq!(emulator.request_count(TOKEN), 3);

    let nobody = credentials.with_service_account("nobody@p.iam").unwrap();
    let error = nobody.blocking_wait_ready(Duration::from_millis(100));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}
