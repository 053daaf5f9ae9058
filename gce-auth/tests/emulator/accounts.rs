//! Service accounts: named, unknown, refused, changed.

use std::time::Duration;

use futures_executor::block_on;
use gce_auth::{Credentials, ErrorKind, IdTokenCredentials, MetadataClient};
use gce_auth_emulator::{Emulator, Fault, Profile};

use super::{
    READ_ONLY, accounts, refused,
    support::{ACCOUNT, EMAIL, TOKEN, asked, builder, client, credentials, emulator},
};

#[test]
fn a_named_account_has_a_token_of_its_own() {
    let emulator = accounts(&["one@p.iam", "two@p.iam"]);
    let one = credentials(&emulator);
    let two = one.with_service_account("two@p.iam").unwrap();
    assert_ne!(one.blocking_token().unwrap(), two.blocking_token().unwrap());
    assert_eq!(two.service_account_email().as_deref(), Some("two@p.iam"));
    assert_eq!(two.blocking_account().unwrap().email(), "two@p.iam");
    let built = builder(&emulator).service_account("two@p.iam").build();
    assert_eq!(
        built.unwrap().blocking_token().unwrap(),
        two.blocking_token().unwrap()
    );
    let path = "instance/service-accounts/two@p.iam/token";
    assert_eq!(emulator.request_count(path), 1);
}

#[test]
fn an_unknown_account_is_not_found_and_the_error_says_what_to_do() {
    let emulator = emulator();
    let credentials = builder(&emulator)
        .service_account("nobody@p.iam")
        .build()
        .unwrap();
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.status(), Some(404));
    assert_eq!(error.attempts(), 1, "404 is asked once");
    assert!(!error.is_retryable());
    assert!(error.hint().unwrap().contains("attach"), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("nobody@p.iam") && !text.contains('\n'),
        "{text}"
    );
    let identity = IdTokenCredentials::builder("https://a")
        .endpoint(emulator.addr().to_string())
        .service_account("nobody@p.iam")
        .build()
        .unwrap();
    let error = block_on(identity.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("attach"), "{error}");
    for senseless in ["", "a/b", "a b", "a?b"] {
        let built = builder(&emulator).service_account(senseless).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Config, "{senseless}");
    }
}

#[test]
fn a_machine_without_an_account_says_so() {
    let emulator = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    let error = credentials(&emulator).blocking_headers().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no service account"), "{error}");
    let client = client(&emulator).build().unwrap();
    assert_eq!(client.blocking_instance_name().unwrap(), "emulator");
}

#[test]
fn a_refusal_is_asked_once_and_ends_nothing() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    emulator.fail_next(TOKEN, 1, refused(403));
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.status(), Some(403));
    assert_eq!(error.attempts(), 1);
    assert!(error.hint().is_some(), "{error}");
    // For a second the error is shared, so that no caller floods the server.
    let shared = credentials.blocking_headers().unwrap_err();
    assert_eq!(shared.kind(), ErrorKind::Forbidden);
    assert_eq!(emulator.request_count(TOKEN), 1);
    credentials.blocking_refresh().unwrap();
    assert!(credentials.blocking_token().is_ok());
    assert_eq!(emulator.request_count(TOKEN), 2);
}

#[test]
fn failures_that_pass_are_not_seen_by_anybody() {
    let faults = [
        refused(503),
        refused(429),
        refused(408),
        refused(500),
        Fault::Close,
        Fault::Reset,
        Fault::Truncate(20),
    ];
    let emulator = emulator();
    for (round, fault) in faults.into_iter().enumerate() {
        let credentials = builder(&emulator).shared(false).build().unwrap();
        emulator.fail_next(TOKEN, 2, fault.clone());
        assert!(credentials.blocking_token().is_ok(), "{fault:?}");
        assert_eq!(emulator.request_count(TOKEN), 3 * (round + 1), "{fault:?}");
    }
}

#[test]
fn a_token_of_another_identity_is_an_error_and_is_not_kept() {
    let emulator = emulator();
    let expecting = |email: &str| builder(&emulator).expect_account(email).build().unwrap();
    let wrong = expecting("somebody@else.iam");
    let error = wrong.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    let text = error.to_string();
    assert!(
        text.contains(EMAIL) && text.contains("somebody@else.iam"),
        "{text}"
    );
    assert_eq!(wrong.cached_token(), None);
    assert!(wrong.blocking_refresh().is_err());
    assert_eq!(wrong.cached_token(), None);
    // The account of the machine is exchanged.
    emulator
        .set(
            "instance/service-accounts/default/email",
            "somebody@else.iam",
        )
        .unwrap();
    wrong.blocking_wait_ready(Duration::from_secs(30)).unwrap();
    assert!(wrong.blocking_token().is_ok());
    let right = expecting(EMAIL);
    assert_eq!(
        block_on(right.headers()).unwrap_err().kind(),
        ErrorKind::InvalidResponse
    );
}

#[test]
fn a_refresh_asks_for_the_account_and_then_for_the_token() {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let old = credentials.blocking_token().unwrap();
    assert_eq!(credentials.service_account_email(), None);
    emulator.clear_requests();
    emulator.rotate_token();
    block_on(credentials.refresh()).unwrap();
    let asked = asked(&emulator);
    assert_eq!(asked[0], format!("{ACCOUNT}?recursive=true"));
    // With the scopes of the account, as google-auth has it.
    assert!(asked[1].starts_with(TOKEN), "{}", asked[1]);
    assert_eq!(asked.len(), 2);
    assert_eq!(credentials.service_account_email().as_deref(), Some(EMAIL));
    assert_ne!(credentials.cached_token(), Some(old));
    // An error of either is an error, and what was held stays.
    let held = credentials.cached_token();
    // Asked by the email that was learned, and then by the name that was wished for.
    emulator.fail_next("instance/", 2, refused(404));
    let error = credentials.blocking_refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(credentials.cached_token(), held);
    assert_eq!(
        credentials.blocking_token().ok(),
        held,
        "never an error while a valid token is in hand"
    );
}

#[test]
fn the_default_client_is_made_without_asking_anybody() {
    // No request can be counted here: that it returns is all there is.
    let client = MetadataClient::builder()
        .endpoint("metadata.invalid")
        .build()
        .unwrap();
    assert_eq!(client.endpoint().unwrap(), "metadata.invalid");
    let both = Credentials::builder()
        .client(client)
        .endpoint("metadata.invalid")
        .build();
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn the_account_is_known_once_it_was_asked_for() {
    let emulator = emulator();
    let credentials = builder(&emulator).scopes([READ_ONLY]).build().unwrap();
    assert_eq!(credentials.status().scopes_not_granted, None);
    let account = credentials.blocking_account().unwrap();
    assert_eq!(account.email(), EMAIL);
    assert_eq!(credentials.service_account_email().as_deref(), Some(EMAIL));
    let missing = credentials.status().scopes_not_granted;
    assert_eq!(missing.as_deref(), Some(&[READ_ONLY.to_owned()][..]));
}
