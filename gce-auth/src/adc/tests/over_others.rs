//! Credentials that are made of those of files.

use serde_json::{Value, json};

use crate::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, DefaultOptions, ErrorKind,
    IdTokenCredentials, Signer, SubjectToken,
    adc::tests::files::{external, impersonated, impersonation, key, load, user},
    io::fake::Reply,
    world::World,
};

const TARGET: &str = "target@p.iam.gserviceaccount.com";
const PROVIDER: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";

fn boundary() -> CredentialAccessBoundary {
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]);
    CredentialAccessBoundary::new([rule.unwrap()]).unwrap()
}

fn options(world: &World) -> DefaultOptions {
    DefaultOptions::new().client(world.client.clone())
}

fn hosts(world: &World) -> Vec<String> {
    let requests = world.transport.requests();
    let host = |it: &http::Request<Vec<u8>>| it.uri().host().unwrap().to_owned();
    requests.iter().map(host).collect()
}

#[test]
fn what_is_unshared_fetches_for_itself_on_behalf_of_an_account() {
    let token = |token| Reply::token(token, 3600);
    let replies = [
        token("user"),
        token("narrow"),
        token("again"),
        impersonated("t"),
    ];
    let world = World::new(replies);
    let narrow = load(&world, &user(), &[]).downscope(&boundary()).unwrap();
    let narrow = narrow.unshared();
    narrow.blocking_token().unwrap();
    let acting = narrow.impersonate(TARGET).build().unwrap();
    acting.blocking_token().unwrap();
    let last = world.transport.requests().pop().unwrap();
    assert_eq!(last.headers()["authorization"], "Bearer again");
}

#[test]
fn what_is_shared_serves_an_account_with_the_token_in_hand() {
    let token = |token| Reply::token(token, 3600);
    let world = World::new([token("federated"), token("narrow"), impersonated("t")]);
    // What a program supplies is found by no other credentials.
    let supplied = SubjectToken::supplier(|| Ok("subject".to_owned()));
    let builder = Credentials::external_account(PROVIDER, supplied).options(options(&world));
    let narrow = builder.build().unwrap().downscope(&boundary()).unwrap();
    narrow.blocking_token().unwrap();
    let acting = narrow.impersonate(TARGET).build().unwrap();
    acting.blocking_token().unwrap();
    let last = world.transport.requests().pop().unwrap();
    assert_eq!(last.headers()["authorization"], "Bearer narrow");
}

#[test]
fn what_is_made_twice_of_the_same_asks_once() {
    let world = World::new([
        Reply::token("user", 3600),
        Reply::token("narrow", 3600),
        Reply::token("unshared", 3600),
    ]);
    let user = load(&world, &user(), &[]);
    let narrow = || user.downscope(&boundary()).unwrap();
    assert_eq!(narrow().blocking_token().unwrap().secret(), "narrow");
    assert_eq!(narrow().blocking_token().unwrap().secret(), "narrow");
    assert_eq!(world.transport.requests().len(), 2);
    let named = narrow();
    assert_eq!(named.service_account_email().as_deref(), Some("me@x"));
    assert_eq!((named.scopes(), named.default_scopes()), (None, None));
    // A copy that shares nothing exchanges the same token of the source.
    let apart = narrow().unshared();
    let copy = apart.with_quota_project("q").unwrap();
    assert_eq!(apart.blocking_token().unwrap().secret(), "unshared");
    assert_eq!(copy.blocking_token().unwrap().secret(), "unshared");
    assert_eq!(world.transport.requests().len(), 4);
}

#[test]
fn identities_of_the_same_account_ask_once() {
    let claims = "eyJhdWQiOiJhdWQiLCJleHAiOjE3MDAwMDM2MDB9";
    let jwt = format!("e30.{claims}.c2ln");
    let token = || Reply::text(&format!(r#"{{"token":"{jwt}","id_token":"{jwt}"}}"#));
    let twice = |of: &Credentials| {
        for _ in 0..2 {
            let identity = of.id_token("aud").unwrap();
            assert_eq!(identity.blocking_token().unwrap().secret(), jwt);
        }
    };
    let world = World::new([token()]);
    twice(&load(&world, &key(), &[]));
    assert_eq!(world.transport.requests().len(), 1);
    let world = World::new([Reply::token("user", 3600), token()]);
    twice(
        &load(&world, &user(), &[])
            .impersonate(TARGET)
            .build()
            .unwrap(),
    );
    assert_eq!(world.transport.requests().len(), 2);
    let world = World::new([token()]);
    for _ in 0..2 {
        let builder = IdTokenCredentials::builder("aud").client(world.client.clone());
        let builder = builder
            .iam_flow(true)
            .service_account("b@x.iam.gserviceaccount.com");
        let signing = Credentials::fixed("t", None).unwrap();
        let identity = builder.credentials(signing).build().unwrap();
        assert_eq!(identity.audience(), "aud");
        assert_eq!(
            identity.service_account_email().as_deref(),
            Some("b@x.iam.gserviceaccount.com")
        );
        let other = identity.with_audience("other").unwrap();
        assert_eq!(other.audience(), "other");
        let moved = other
            .with_service_account("c@x.iam.gserviceaccount.com")
            .unwrap();
        assert_eq!(moved.audience(), "other");
        assert_eq!(
            moved.service_account_email().as_deref(),
            Some("c@x.iam.gserviceaccount.com")
        );
        let billed = moved.with_quota_project("q").unwrap();
        assert_eq!(billed.quota_project_id(), Some("q"));
        assert_eq!(billed.audience(), "other");
    }
}

#[test]
fn only_access_tokens_are_asked_for_at_a_url_of_its_own() {
    let signed = Reply::text(r#"{"keyId":"k","signedBlob":"c2lnbmVk"}"#);
    let world = World::new([Reply::token("user", 3600), impersonated("t"), signed]);
    let builder = load(&world, &user(), &[]).impersonate(TARGET);
    let acting = builder
        .access_token_url("https://own.example/x")
        .build()
        .unwrap();
    acting.blocking_token().unwrap();
    assert_eq!(acting.blocking_sign_bytes(b"text").unwrap(), b"signed");
    assert_eq!(
        hosts(&world),
        [
            "oauth2.googleapis.com",
            "own.example",
            "iamcredentials.googleapis.com"
        ]
    );
}

#[test]
fn an_account_acts_for_a_user_in_the_default_universe_alone() {
    let world = World::new([
        Reply::token("user", 3600),
        Reply::text(r#"{"keyId":"k","signedJwt":"e30.e30.c2ln"}"#),
        Reply::token("for-the-user", 3600),
    ]);
    let user = load(&world, &user(), &[]);
    let acting = user.impersonate(TARGET).build().unwrap();
    assert!(acting.0.inner.source.boundary_holder().is_some());
    let acting = acting.with_subject("ada@x").unwrap();
    assert!(
        acting.0.inner.source.boundary_holder().is_none(),
        "a user has none"
    );
    assert_eq!(acting.blocking_token().unwrap().secret(), "for-the-user");
    let sent: Value = serde_json::from_slice(world.transport.requests()[1].body()).unwrap();
    let claims: Value = serde_json::from_str(sent["payload"].as_str().unwrap()).unwrap();
    assert_eq!(claims["sub"], "ada@x");
    let elsewhere = user.with_universe_domain("u.example").impersonate(TARGET);
    let elsewhere = elsewhere.subject("ada@x").build().unwrap();
    let error = elsewhere.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    assert_eq!(world.transport.requests().len(), 3);
}

#[test]
fn scopes_of_an_account_and_of_an_external_one_follow_google_auth() {
    let world = World::new([]);
    let user = load(&world, &user(), &[]);
    let acting = user.impersonate(TARGET).scopes(["s"]).build().unwrap();
    // An account that is acted as has one list: it is the default that counts.
    let both = acting.with_both_scopes(
        Some(crate::values::scope::Scopes::new(Vec::<String>::new())),
        Some(crate::values::scope::Scopes::new(["d"])),
    );
    assert_eq!(
        (both.scopes().unwrap(), both.default_scopes()),
        (vec!["d".to_owned()], None)
    );
    let mut file = external(&json!({"file": "/t"}));
    file["service_account_impersonation_url"] = impersonation(TARGET).into();
    file["quota_project_id"] = "billed".into();
    let acting = load(&world, &file, &["s"]);
    assert_eq!(acting.quota_project_id(), Some("billed"));
    let both = acting.with_both_scopes(
        Some(crate::values::scope::Scopes::new(["n"])),
        Some(crate::values::scope::Scopes::new(["d"])),
    );
    assert_eq!(both.scopes().unwrap(), ["n"]);
    assert_eq!(both.default_scopes().unwrap(), ["d"]);
    let plain = external(&json!({"file": "/t"}));
    let mut billed = plain.clone();
    billed["quota_project_id"] = "billed".into();
    assert_eq!(
        load(&world, &billed, &[]).quota_project_id(),
        Some("billed")
    );
    assert_eq!(load(&world, &plain, &[]).quota_project_id(), None);
}

#[test]
fn a_person_of_a_pool_without_a_way_to_a_token_is_refused_at_once() {
    let world = World::new([]);
    let file = |token: Value, expiry: &str| {
        json!({"type": "external_account_authorized_user", "token": token, "expiry": expiry,
               "audience": "//iam.googleapis.com/locations/global/workforcePools/w/providers/q"})
    };
    let good = file("saved".into(), "2023-11-14T23:13:20Z").to_string();
    let loaded = options(&world).load_json(&good).unwrap().credentials;
    assert_eq!(loaded.blocking_token().unwrap().secret(), "saved");
    let expired = file("saved".into(), "2023-11-14T22:13:20Z").to_string();
    let error = options(&world).load_json(&expired).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("refresh_token"), "{error}");
}

#[test]
fn what_a_program_supplies_must_not_be_empty() {
    let world = World::new([Reply::token("federated", 3600)]);
    let with = |token: SubjectToken| {
        let builder = Credentials::external_account(PROVIDER, token).options(options(&world));
        builder.build().unwrap().blocking_token()
    };
    assert!(with(SubjectToken::supplier(|| Ok("subject".to_owned()))).is_ok());
    let error = with(SubjectToken::supplier(|| Ok(String::new()))).unwrap_err();
    assert!(error.to_string().contains("empty token"), "{error}");
    for (region, id, secret) in [("", "i", "s"), ("r", "", "s"), ("r", "i", "")] {
        let keys = move || Ok(crate::AwsKeys::new(region, id, secret));
        let error = with(SubjectToken::aws_supplier(keys)).unwrap_err();
        assert!(error.to_string().contains("empty region or key"), "{error}");
    }
    assert_eq!(world.transport.requests().len(), 1);
}

#[test]
fn the_account_that_signs_is_never_guessed() {
    let world = World::new([]);
    let user = load(&world, &external(&json!({"file": "/t"})), &["s"]);
    let signer = Signer::builder().credentials(user).build().unwrap();
    let error = signer.blocking_fetch_service_account_email().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    assert!(
        world.transport.requests().is_empty(),
        "no metadata server knows it"
    );
}

#[test]
fn a_person_signs_nothing_with_less_rights_either() {
    let world = World::new([]);
    let narrow = load(&world, &user(), &[]).downscope(&boundary()).unwrap();
    let narrower = narrow.downscope(&boundary()).unwrap();
    for credentials in [narrow, narrower] {
        let signer = Signer::builder().credentials(credentials).build().unwrap();
        let error = signer.blocking_sign_bytes(b"text").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{error}");
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn where_credentials_come_from_is_told_in_a_sentence() {
    let world = World::new([]);
    let told = load(&world, &user(), &[]).info().to_string();
    assert_eq!(told, "user credentials of me@x from the program");
}
