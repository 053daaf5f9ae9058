//! What credentials of files say of themselves.

use serde_json::json;

use crate::{
    adc::tests::files::{external, impersonation, key, load, user},
    io::fake::Reply,
    world::World,
};

const TARGET: &str = "target@p.iam.gserviceaccount.com";

#[test]
fn every_kind_says_whose_it_is_and_what_google_auth_reports() {
    let world = World::new([]);
    let mut acting_external = external(&json!({"file": "/t"}));
    acting_external["service_account_impersonation_url"] = impersonation(TARGET).into();
    let acting = json!({"type": "impersonated_service_account", "source_credentials": user(),
        "service_account_impersonation_url": impersonation(TARGET)});
    for (file, kind, email, metric) in [
        (
            user(),
            "user credentials",
            Some("me@x"),
            Some("cred-type/u"),
        ),
        (
            key(),
            "service account credentials",
            Some("sa@p.iam.gserviceaccount.com"),
            Some("cred-type/sa"),
        ),
        (
            acting,
            "impersonated credentials",
            Some(TARGET),
            Some("cred-type/imp"),
        ),
        (
            acting_external,
            "external account credentials",
            Some(TARGET),
            None,
        ),
        (
            external(&json!({"file": "/t"})),
            "external account credentials",
            None,
            None,
        ),
    ] {
        let credentials = load(&world, &file, &["s"]);
        let source = &credentials.0.inner.source;
        assert_eq!(credentials.info().credential_type, kind);
        assert_eq!(source.email().as_deref(), email, "{kind}");
        assert_eq!(source.metric(), metric, "{kind}");
        assert_eq!(source.audience(), None, "{kind}");
        let number = kind.starts_with("external").then_some("12");
        assert_eq!(source.project_number(), number, "{kind}");
        if let Ok(identity) = credentials.id_token("aud") {
            assert_eq!(identity.service_account_email().as_deref(), email);
            assert_eq!(identity.0.inner.source.audience(), Some("aud"));
        }
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn an_account_that_acts_for_a_user_has_no_boundary() {
    let world = World::new([]);
    let own = load(&world, &key(), &["s"]);
    assert!(own.0.inner.source.boundary_holder().is_some());
    let acting = own.with_subject("me@x").unwrap();
    assert!(acting.0.inner.source.boundary_holder().is_none());
}

#[test]
fn a_saved_token_does_not_come_back_after_it_was_renewed() {
    let world = World::new([Reply::token("second", 3600), Reply::token("third", 3600)]);
    let mut file = user();
    file["token"] = "saved".into();
    file["expiry"] = "2023-11-14T23:13:20Z".into();
    let first = load(&world, &file, &[]);
    assert_eq!(first.blocking_token().unwrap().secret(), "saved");
    first.blocking_refresh().unwrap();
    let token = first.blocking_token().unwrap();
    assert_eq!(token.secret(), "second");
    assert!(first.invalidate(&token));
    let again = load(&world, &file, &[]);
    assert_eq!(again.blocking_token().unwrap().secret(), "third");
}
