//! What credentials of each kind say, and what their copies change of it.

use futures_executor::block_on;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::{
    Credentials, ErrorKind,
    adc::tests::files::{external, impersonation, key, load, user},
    io::{
        fake::{HandQueue, Reply},
        transport::TransportErrorKind,
    },
    world::World,
};

const TARGET: &str = "target@p.iam.gserviceaccount.com";
const ELSEWHERE: &str = "https://tokens.example/t";

pub(super) fn external_user() -> Value {
    json!({"type": "external_account_authorized_user", "client_id": "c", "client_secret": "s",
           "refresh_token": "r1", "token_url": "https://sts.googleapis.com/v1/oauthtoken",
           "audience": "//iam.googleapis.com/locations/global/workforcePools/w/providers/q",
           "scopes": ["granted"]})
}

pub(super) fn impersonated_by(source: &Value) -> Value {
    json!({"type": "impersonated_service_account", "source_credentials": source,
           "service_account_impersonation_url": impersonation(TARGET)})
}

/// All that credentials say without asking a server.
fn said(of: &Credentials) -> Value {
    json!({
        "kind": of.kind().to_string(),
        "email": of.service_account_email(),
        "scopes": of.scopes(),
        "default_scopes": of.default_scopes(),
        "granted_scopes": of.granted_scopes(),
        "token_uri": of.token_uri(),
        "universe": of.0.known_universe(),
        "quota": of.quota_project_id(),
        "project": of.0.inner.source.project_id(),
    })
}

fn with(mut said: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("changes are an object");
    };
    said.as_object_mut().unwrap().extend(changes);
    said
}

#[test]
fn every_kind_says_what_its_file_says() {
    let world = World::new([]);
    let none = Value::Null;
    let described = json!({"email": none, "default_scopes": none, "granted_scopes": none,
        "universe": "googleapis.com", "quota": none, "project": none});
    for (file, own) in [
        (
            user(),
            json!({"kind": "authorized_user", "email": "me@x", "quota": "billed",
                "scopes": ["s"], "token_uri": "https://oauth2.googleapis.com/token"}),
        ),
        (
            key(),
            json!({"kind": "service_account", "email": "sa@p.iam.gserviceaccount.com",
                "scopes": ["s"], "token_uri": "https://oauth2.googleapis.com/token",
                "project": "p"}),
        ),
        (
            external(&json!({"file": "/t"})),
            json!({"kind": "external_account", "scopes": ["s"],
                "token_uri": "https://sts.googleapis.com/v1/token"}),
        ),
        (
            external_user(),
            json!({"kind": "external_account_authorized_user", "scopes": ["granted"],
                "token_uri": "https://sts.googleapis.com/v1/oauthtoken"}),
        ),
        (
            impersonated_by(&key()),
            json!({"kind": "impersonated_service_account", "email": TARGET, "scopes": ["s"],
                "token_uri": none}),
        ),
    ] {
        let credentials = load(&world, &file, &["s"]);
        assert_eq!(said(&credentials), with(described.clone(), own));
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn a_copy_differs_in_what_was_asked_for_and_in_nothing_else() {
    let world = World::new([]);
    let (user, key, external) = (user(), key(), external(&json!({"file": "/t"})));
    let acting = impersonated_by(&key);
    for (file, scopes, uri, universe) in [
        (&user, false, true, true),
        (&key, true, true, true),
        (&external, true, true, true),
        (&external_user(), false, true, true),
        (&acting, true, false, false),
    ] {
        let original = load(&world, file, &["s"]);
        let before = said(&original);
        let kind = &before["kind"];
        let changed = |now: Value| with(before.clone(), now);
        let told = if scopes {
            changed(json!({"scopes": ["n", "m"]}))
        } else {
            before.clone()
        };
        assert_eq!(said(&original.with_scopes(["n", "m"])), told, "{kind}");
        match original.with_token_uri(ELSEWHERE) {
            Ok(copy) if uri => assert_eq!(said(&copy), changed(json!({"token_uri": ELSEWHERE}))),
            Err(error) if !uri => assert_eq!(error.kind(), ErrorKind::InvalidOperation),
            other => panic!("{kind}: {other:?}"),
        }
        let moved = original.with_universe_domain("u.example");
        assert_eq!(said(&moved), changed(json!({"universe": "u.example"})));
        // The source moves as well, where it asks in its universe.
        let named = moved.0.inner.source.universe_domain();
        assert_eq!(named == Some("u.example"), universe, "{kind}");
        let billed = original.unshared().with_quota_project("q").unwrap();
        assert_eq!(said(&billed), changed(json!({"quota": "q"})), "{kind}");
        assert_eq!(said(&original), before, "{kind}");
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn both_kinds_of_scopes_stay_apart() {
    let world = World::new([]);
    for file in [key(), external(&json!({"file": "/t"}))] {
        let credentials = load(&world, &file, &["s"]).with_default_scopes(["d"]);
        assert_eq!(credentials.scopes().unwrap(), ["s"]);
        assert_eq!(credentials.default_scopes().unwrap(), ["d"]);
        let both = credentials.with_scopes(["n"]);
        assert_eq!(both.default_scopes(), None, "they were of the other scopes");
        assert!(both.without_scopes().requires_scopes());
    }
}

#[test]
fn what_a_private_key_signs_for_one_service_is_of_the_same_account() {
    let world = World::new([]);
    let signed = load(&world, &key(), &["s"])
        .self_signed_jwt("https://one.example")
        .unwrap();
    assert_eq!(
        signed.service_account_email().as_deref(),
        Some("sa@p.iam.gserviceaccount.com")
    );
    assert_eq!(signed.blocking_project_id().unwrap().as_deref(), Some("p"));
    assert_eq!(signed.blocking_universe_domain().unwrap(), "googleapis.com");
    let moved = signed.with_universe_domain("u.example");
    assert_eq!(moved.0.inner.source.universe_domain(), Some("u.example"));
    let of_key = load(&world, &key(), &[])
        .blocking_sign_bytes(b"text")
        .unwrap();
    assert_eq!(signed.blocking_sign_bytes(b"text").unwrap(), of_key);
    // What one asks for, all have that ask for the same.
    let again = load(&world, &key(), &[])
        .self_signed_jwt("https://one.example")
        .unwrap();
    let first = signed.blocking_token().unwrap();
    world.advance(1);
    assert_eq!(again.blocking_token().unwrap().secret(), first.secret());
    let other = again.with_jwt_audience("https://two.example").unwrap();
    assert_ne!(other.blocking_token().unwrap().secret(), first.secret());
    assert!(world.transport.requests().is_empty());
}

#[test]
fn how_a_key_makes_tokens_follows_scopes_audience_and_universe() {
    let world = World::new([Reply::token("granted", 3600)]);
    let metric = |it: &Credentials| it.0.inner.source.metric().unwrap();
    let bare = load(&world, &key(), &[]);
    let signing = |it: &Credentials| it.with_jwt_access(true).unwrap();
    let audience = |it: &Credentials| it.with_jwt_audience("https://one.example").unwrap();
    for (credentials, expected) in [
        (bare.clone(), "cred-type/sa"),
        (signing(&bare), "cred-type/sa"),
        (audience(&bare), "cred-type/jwt"),
        (audience(&bare.with_scopes(["s"])), "cred-type/sa"),
        (signing(&bare.with_scopes(["s"])), "cred-type/jwt"),
        (bare.with_default_scopes(["d"]), "cred-type/sa"),
        (signing(&bare.with_default_scopes(["d"])), "cred-type/jwt"),
        (
            bare.with_scopes(["s"])
                .with_universe_domain("googleapis.com"),
            "cred-type/sa",
        ),
        (
            bare.with_scopes(["s"]).with_universe_domain("u.example"),
            "cred-type/jwt",
        ),
        (
            signing(&bare.with_scopes(["s"]))
                .with_subject("me@x")
                .unwrap(),
            "cred-type/sa",
        ),
    ] {
        assert_eq!(metric(&credentials), expected, "{credentials:?}");
    }
    // Signing stays on in its own universe, and cannot be switched off elsewhere.
    let signing = signing(&bare.with_scopes(["s"]));
    assert_eq!(
        metric(&signing.with_universe_domain("googleapis.com")),
        "cred-type/jwt"
    );
    assert_eq!(
        metric(&signing.with_jwt_access(false).unwrap()),
        "cred-type/sa"
    );
    let elsewhere = bare.with_universe_domain("u.example");
    let error = elsewhere.with_jwt_access(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(elsewhere.with_jwt_access(true).is_ok());
    for lifetime in [1, 3600].map(std::time::Duration::from_secs) {
        let signed = bare.self_signed_jwt("a").unwrap();
        assert!(signed.with_jwt_lifetime(lifetime).is_ok());
    }
}

#[test]
fn an_account_that_others_act_as_may_live_from_a_second_to_half_a_day() {
    let world = World::new([]);
    let user = load(&world, &user(), &[]);
    let seconds = std::time::Duration::from_secs;
    let lasting = |lifetime| user.impersonate(TARGET).lifetime(lifetime).build();
    for lifetime in [seconds(1), seconds(12 * 3600)] {
        assert!(lasting(lifetime).is_ok(), "{lifetime:?}");
    }
    let nanosecond = std::time::Duration::from_nanos(1);
    for lifetime in [seconds(1) - nanosecond, seconds(12 * 3600) + nanosecond] {
        assert_eq!(lasting(lifetime).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn credentials_over_others_are_billed_and_placed_on_their_own() {
    let world = World::new([]);
    let source = load(&world, &user(), &[]).with_universe_domain("u.example");
    let target = source
        .impersonate(TARGET)
        .quota_project_id("own")
        .build()
        .unwrap();
    assert_eq!(target.quota_project_id(), Some("own"));
    let plain = source.impersonate(TARGET).build().unwrap();
    assert_eq!(
        plain.quota_project_id(),
        None,
        "what the source sends is the source's"
    );
    assert_eq!(plain.blocking_universe_domain().unwrap(), "u.example");
    assert_eq!(
        plain.0.inner.options.universe_domain, None,
        "it follows its source"
    );
    assert_eq!(plain.0.mode(), source.0.mode(), "and its mode");
}

#[test]
fn an_unshared_identity_of_another_account_is_shared_with_none() {
    let world = World::new([]);
    let user = load(&world, &user(), &[]);
    for shared in [true, false] {
        let source = if shared {
            user.clone()
        } else {
            user.unshared()
        };
        let acting = source.impersonate(TARGET).build().unwrap();
        let identity = acting.id_token("aud").unwrap();
        assert_eq!(identity.0.inner.options.shared, shared);
    }
}

#[test]
fn what_is_asked_on_a_thread_is_answered_to_a_task_as_well() {
    let world = World::with([], HandQueue::refusing(), |builder| builder);
    let credentials = load(&world, &key(), &[]);
    assert_eq!(
        block_on(credentials.project_id()).unwrap().as_deref(),
        Some("p")
    );
    let signed = credentials.blocking_sign_bytes(b"text").unwrap();
    assert_eq!(block_on(credentials.sign_bytes(b"text")).unwrap(), signed);
    let identity = credentials.id_token("aud").unwrap();
    assert_eq!(block_on(identity.sign_bytes(b"text")).unwrap(), signed);
    assert_eq!(identity.signer().unwrap().sign(b"text").unwrap(), signed);
    assert_eq!(credentials.file().unwrap().project_id(), Some("p"));
    let refused = load(&world, &user(), &[]);
    let error = block_on(refused.sign_bytes(b"text")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
}

#[test]
fn the_identity_of_an_account_signs_through_iam_as_the_account_does() {
    let signed = Reply::text(r#"{"keyId":"k","signedBlob":"c2lnbmVk"}"#);
    let world = World::new([Reply::token("user", 3600), signed]);
    let acting = load(&world, &user(), &[])
        .impersonate(TARGET)
        .build()
        .unwrap();
    let identity = acting.id_token("aud").unwrap();
    assert_eq!(identity.blocking_sign_bytes(b"text").unwrap(), b"signed");
    let asked = world.transport.requests().last().unwrap().uri().to_string();
    assert!(asked.ends_with(&format!("{TARGET}:signBlob")), "{asked}");
    let audience = identity.with_audience("other").unwrap();
    assert_eq!(audience.audience(), "other");
    let kept = audience.with_quota_project("q").unwrap();
    assert_eq!(kept.audience(), "other");
}

#[test]
fn the_project_of_a_pool_is_that_of_the_resource_manager() {
    let file = external(&json!({"url": "http://127.0.0.1/"}));
    let answers = |last: Reply| {
        let replies = [
            Reply::text("subject"),
            Reply::token("federated", 3600),
            last,
        ];
        let world = World::new(replies);
        let credentials = load(&world, &file, &["s"]);
        (
            credentials.blocking_project_id(),
            world.transport.requests(),
        )
    };
    let (project, asked) = answers(Reply::text(r#"{"projectId":"found"}"#));
    assert_eq!(project.unwrap().as_deref(), Some("found"));
    let last = asked.last().unwrap();
    assert_eq!(
        last.uri(),
        "https://cloudresourcemanager.googleapis.com/v1/projects/12"
    );
    assert_eq!(last.headers()["authorization"], "Bearer federated");
    let (project, _) = answers(Reply::Answer(403, "{}".to_owned()));
    assert_eq!(project.unwrap(), None, "it does not say");
    let (project, asked) = answers(Reply::Broken(TransportErrorKind::Protocol));
    assert_eq!(project.unwrap(), None, "nor does what is no answer");
    assert!(asked.len() > 2);
    // Without a token the question cannot be asked: that is an error.
    let world = World::new([Reply::text("subject"), Reply::Answer(403, "{}".to_owned())]);
    assert!(load(&world, &file, &["s"]).blocking_project_id().is_err());
}

#[test]
fn a_pool_of_people_has_a_boundary_and_a_switch_for_it() {
    let world = World::new([]);
    let credentials = load(&world, &external_user(), &[]);
    assert!(credentials.0.inner.source.boundary_holder().is_some());
    assert!(credentials.0.inner.boundary.is_none());
    let bounded = credentials.with_regional_access_boundary(true);
    assert!(bounded.0.inner.boundary.is_some());
    assert!(
        bounded
            .with_regional_access_boundary(false)
            .0
            .inner
            .boundary
            .is_none()
    );
    assert_eq!(bounded.kind(), credentials.kind());
}

#[test]
fn a_fixed_token_is_reported_and_copied_as_the_metadata_server_s() {
    let fixed = Credentials::fixed("t", None).unwrap();
    assert_eq!(fixed.blocking_universe_domain().unwrap(), "googleapis.com");
    let (uri, mut headers) = (Uri::from_static("https://a.example/"), HeaderMap::new());
    fixed
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    assert_eq!(headers["x-goog-api-client"], "cred-type/mds");
    assert_eq!(fixed.scopes(), None);
    assert!(fixed.requires_scopes());
    let copy = fixed.with_scopes(["s"]).with_default_scopes(["d"]);
    assert_eq!(
        (copy.scopes().unwrap(), copy.default_scopes().unwrap()),
        (vec!["s".into()], vec!["d".into()])
    );
    assert_eq!(
        copy.with_quota_project("q")
            .unwrap()
            .blocking_token()
            .unwrap()
            .secret(),
        "t"
    );
    let identity = crate::IdTokenCredentials::fixed("aud", "t", None).unwrap();
    let other = identity.with_audience("other").unwrap();
    assert_eq!(other.audience(), "other");
    let mut headers = HeaderMap::new();
    other
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    assert!(
        !headers.contains_key("x-goog-api-client"),
        "google-auth names it for access tokens"
    );
}
