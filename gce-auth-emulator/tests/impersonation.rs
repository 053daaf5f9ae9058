//! The IAM Credentials API, over sockets: who may act for whom, for how long, and what tokens say.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use base64::Engine;
use client::{
    Answer,
    cloud::{SCOPE, claims, error, iam, now, post, token_info},
    request, token,
};
use gce_auth_emulator::Emulator;
use serde_json::{Value, json};

const MACHINE: &str = "emulator@emulator-project.iam.gserviceaccount.com";
const FIRST: &str = "first@my-project.iam.gserviceaccount.com";
const SECOND: &str = "second@my-project.iam.gserviceaccount.com";
const TARGET: &str = "target@my-project.iam.gserviceaccount.com";

fn resource(email: &str) -> String {
    format!("projects/-/serviceAccounts/{email}")
}

fn call(emulator: &Emulator, method: &str, mut body: Value, delegates: &[&str]) -> Answer {
    let names: Vec<String> = delegates.iter().map(|email| resource(email)).collect();
    body["delegates"] = json!(names);
    let bearer = token(emulator.addr(), "default");
    iam(emulator, &bearer, &format!("{TARGET}:{method}"), &body)
}

fn permission(answer: &Answer) -> String {
    assert_eq!(answer.status, 403, "{}", answer.text());
    let body = answer.json();
    let details = &body["error"]["details"][0]["metadata"]["permission"];
    details.as_str().unwrap().to_owned()
}

#[test]
fn a_chain_of_delegates_needs_a_grant_for_each_step() {
    let emulator = Emulator::builder()
        .impersonation(format!("serviceAccount:{MACHINE}"), FIRST)
        .impersonation(FIRST, SECOND)
        .impersonation(SECOND, TARGET)
        .start()
        .unwrap();
    let scope = || json!({"scope": [SCOPE]});
    let made = call(&emulator, "generateAccessToken", scope(), &[FIRST, SECOND]);
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json()["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(token_info(&emulator, &made, &[]).json()["email"], TARGET);
    for (method, needed) in [
        ("generateAccessToken", "getAccessToken"),
        ("generateIdToken", "getOpenIdToken"),
        ("signBlob", "signBlob"),
        ("signJwt", "signJwt"),
    ] {
        let body = json!({"scope": [SCOPE], "audience": "a", "payload": "e30="});
        let needed = format!("iam.serviceAccounts.{needed}");
        let refused = call(&emulator, method, body.clone(), &[FIRST]);
        assert_eq!(permission(&refused), needed);
        assert_eq!(
            permission(&call(&emulator, method, body.clone(), &[])),
            needed
        );
        let skipped = call(&emulator, method, body, &[SECOND]);
        assert_eq!(
            permission(&skipped),
            "iam.serviceAccounts.implicitDelegation"
        );
    }
    // A chain of tokens, each made with the one before.
    let mut bearer = token(emulator.addr(), "default");
    for email in [FIRST, SECOND, TARGET] {
        let made = iam(
            &emulator,
            &bearer,
            &format!("{email}:generateAccessToken"),
            &scope(),
        );
        bearer = made.json()["accessToken"].as_str().unwrap().into();
    }
    assert_eq!(token_info(&emulator, &bearer, &[]).json()["email"], TARGET);
    let back = iam(
        &emulator,
        &bearer,
        &format!("{FIRST}:generateAccessToken"),
        &scope(),
    );
    assert_eq!(permission(&back), "iam.serviceAccounts.getAccessToken");
}

#[test]
fn lifetimes_and_scopes_are_bounded() {
    let lenient = Emulator::builder().start().unwrap();
    let strict = || Emulator::builder().strict(true).service_account(TARGET);
    let extended = strict().lifetime_extension(TARGET).start().unwrap();
    let strict = strict().start().unwrap();
    let ask = |emulator: &Emulator, scope: Value, lifetime: Value| {
        call(
            emulator,
            "generateAccessToken",
            json!({"scope": scope, "lifetime": lifetime}),
            &[],
        )
    };
    for (lifetime, statuses) in [
        (Value::Null, [200, 200, 200]),
        (json!("1s"), [200, 200, 200]),
        (json!("3600s"), [200, 200, 200]),
        (json!("3601s"), [200, 400, 200]),
        (json!("43200s"), [200, 400, 200]),
        (json!("43201s"), [400, 400, 400]),
        (json!("0s"), [400, 400, 400]),
        (json!("-1s"), [400, 400, 400]),
        (json!("1e99s"), [400, 400, 400]),
        (json!("3600"), [400, 400, 400]),
        (json!(3600), [400, 400, 400]),
    ] {
        let found = [&lenient, &strict, &extended]
            .map(|emulator| ask(emulator, json!([SCOPE]), lifetime.clone()).status);
        assert_eq!(found, statuses, "{lifetime}");
    }
    let message =
        ask(&strict, json!([SCOPE]), json!("3601s")).json()["error"]["message"].to_string();
    assert!(message.contains("constraints/iam.allowServiceAccountCredentialLifetimeExtension"));
    for (scope, statuses) in [
        (Value::Null, [400, 400]),
        (json!([]), [400, 400]),
        (json!(SCOPE), [400, 400]),
        (json!([1]), [400, 400]),
        (json!(["bogus"]), [200, 400]),
        (json!(["email", SCOPE]), [200, 200]),
    ] {
        let found =
            [&lenient, &strict].map(|emulator| ask(emulator, scope.clone(), Value::Null).status);
        assert_eq!(found, statuses, "{scope}");
    }
    let all = ask(&lenient, json!([""]), Value::Null).json()["accessToken"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(token_info(&lenient, &all, &[]).json()["scope"], SCOPE);
}

#[test]
fn an_id_token_says_what_was_asked_for() {
    let emulator = Emulator::builder()
        .organization_number(987)
        .start()
        .unwrap();
    let ask = |body: Value| {
        let answer = call(&emulator, "generateIdToken", body, &[]);
        claims(answer.json()["token"].as_str().unwrap())
    };
    let plain = ask(json!({"audience": "a"}));
    assert_eq!(plain["aud"], "a");
    for absent in ["email", "email_verified", "google"] {
        assert_eq!(plain.get(absent), None, "{absent}");
    }
    let full =
        ask(json!({"audience": "a", "includeEmail": true, "organizationNumberIncluded": true}));
    assert_eq!(
        (&full["email"], &full["email_verified"]),
        (&json!(TARGET), &json!(true))
    );
    assert_eq!(full["google"]["organization_number"], 987);
    assert_eq!((&full["azp"], &full["sub"]), (&plain["sub"], &plain["sub"]));
    let text = ask(json!({"audience": "a", "includeEmail": "true", "useEmailAzp": "true"}));
    assert_eq!(text["azp"], TARGET);
    let without = Emulator::builder().start().unwrap();
    let body = json!({"audience": "a", "organizationNumberIncluded": true});
    let answer = call(&without, "generateIdToken", body, &[]).json();
    assert_eq!(
        claims(answer["token"].as_str().unwrap())["google"],
        json!({"organization_number": null})
    );
}

#[test]
fn strict_knows_only_accounts_that_were_configured_and_full_names() {
    let emulator = Emulator::builder()
        .strict(true)
        .service_account(TARGET)
        .start()
        .unwrap();
    let body = json!({"payload": "AAAA"});
    assert_eq!(
        call(&emulator, "signBlob", body.clone(), &[MACHINE]).status,
        200
    );
    assert_eq!(
        call(&emulator, "signBlob", body.clone(), &[FIRST]).status,
        404
    );
    let bearer = token(emulator.addr(), "default");
    let unknown = iam(&emulator, &bearer, &format!("{FIRST}:signBlob"), &body);
    assert_eq!(unknown.json()["error"]["status"], "NOT_FOUND");
    let bare = json!({"payload": "AAAA", "delegates": [MACHINE]});
    assert_eq!(
        iam(&emulator, &bearer, &format!("{TARGET}:signBlob"), &bare).status,
        400
    );
}

#[test]
fn control_requests_change_what_is_configured() {
    let emulator = Emulator::builder().start().unwrap();
    let control = |method: &str, body: &str| {
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        request(
            emulator.addr(),
            method,
            "/emulator/v1/cloud",
            &headers,
            body.as_bytes(),
        )
    };
    assert_eq!(control("GET", "").json()["strict"], false);
    let body = json!({"payload": "AAAA"});
    assert_eq!(call(&emulator, "signBlob", body.clone(), &[]).status, 200);
    let grants = json!({"impersonation": [{"member": "*", "target": FIRST}]});
    assert_eq!(
        control("PUT", &grants.to_string()).json()["impersonation"],
        grants["impersonation"]
    );
    assert_eq!(call(&emulator, "signBlob", body.clone(), &[]).status, 403);
    for bad in [
        "",
        "[]",
        r#"{"strikt":true}"#,
        r#"{"providers":[{"name":"x","issuerUri":"y"}]}"#,
    ] {
        assert_eq!(control("PUT", bad).status, 400, "{bad}");
    }
    assert_eq!(control("POST", "{}").status, 405);
    emulator.reset();
    assert_eq!(call(&emulator, "signBlob", body, &[]).status, 200);
}

#[test]
fn a_token_that_an_account_signed_itself_is_taken() {
    let emulator = Emulator::builder().service_account(TARGET).start().unwrap();
    let now = now(&emulator);
    let self_signed = |claims: Value| {
        let bearer = token(emulator.addr(), "default");
        let body = json!({ "payload": claims.to_string() });
        let signed = iam(&emulator, &bearer, &format!("{MACHINE}:signJwt"), &body);
        signed.json()["signedJwt"].as_str().unwrap().to_owned()
    };
    let status = |bearer: &str| {
        let call = format!("{TARGET}:generateAccessToken");
        iam(&emulator, bearer, &call, &json!({"scope": [SCOPE]})).status
    };
    let base = json!({"iss": MACHINE, "sub": MACHINE, "iat": now, "exp": now + 3600});
    let with = |more: &[(&str, Value)]| {
        let mut claims = base.clone();
        for (name, value) in more {
            claims[name] = value.clone();
        }
        self_signed(claims)
    };
    let scope = ("scope", json!(SCOPE));
    assert_eq!(status(&with(std::slice::from_ref(&scope))), 200);
    let api = ("aud", json!("https://iamcredentials.googleapis.com/"));
    assert_eq!(status(&with(&[api])), 200);
    for refused in [
        with(&[]),
        with(&[("aud", json!("https://storage.googleapis.com/"))]),
        with(&[scope.clone(), ("sub", json!(TARGET))]),
        with(&[scope.clone(), ("iss", json!("x")), ("sub", json!("x"))]),
        with(&[scope.clone(), ("exp", json!(now - 1))]),
        with(&[scope.clone(), ("exp", json!(now + 90_000))]),
        with(std::slice::from_ref(&scope)) + "x",
        "a.b.c".to_owned(),
    ] {
        assert_eq!(status(&refused), 401, "{refused}");
    }
    let storage = "https://www.googleapis.com/auth/devstorage.read_only";
    assert_eq!(status(&with(&[("scope", json!(storage))])), 403);
}

/// Google signs any claims; that an account signed those of another is seen by its key.
#[test]
fn in_strict_mode_no_account_signs_for_another() {
    let strict = Emulator::builder()
        .strict(true)
        .service_account(FIRST)
        .service_account(TARGET)
        .impersonation(format!("serviceAccount:{MACHINE}"), FIRST)
        .start()
        .unwrap();
    let lenient = Emulator::builder().start().unwrap();
    for (emulator, forged) in [(&strict, 400), (&lenient, 200)] {
        let bearer = token(emulator.addr(), "default");
        let now = now(emulator);
        let payload = |issuer: &str, end: i64| {
            json!({"payload": json!({
                "iss": issuer, "aud": "https://oauth2.googleapis.com/token", "iat": now,
                "exp": end, "scope": SCOPE,
            }).to_string()})
        };
        let sign = |body: Value| iam(emulator, &bearer, &format!("{FIRST}:signJwt"), &body);
        let grant = |issuer: &str| {
            let signed = sign(payload(issuer, now + 600)).json();
            let assertion = signed["signedJwt"].as_str().unwrap();
            let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let fields = [("grant_type", kind), ("assertion", assertion)];
            (post(emulator, "/token", &fields, &[]), assertion.to_owned())
        };
        let (own, assertion) = grant(FIRST);
        assert_eq!(own.status, 200, "{}", own.text());
        let (other, _) = grant(TARGET);
        assert_eq!(other.status, forged, "{}", other.text());
        if forged != 200 {
            let refused = error(&other);
            assert_eq!(refused.1, "Invalid JWT Signature.");
        }
        // Its key is published, and no other account's.
        let kid = |email: &str| {
            let path = format!("/service_accounts/v1/jwk/{email}");
            let keys = request(emulator.addr(), "GET", &path, &[], b"").json();
            keys["keys"][0]["kid"].as_str().unwrap().to_owned()
        };
        let header = assertion.split('.').next().unwrap();
        let header: Value = serde_json::from_slice(
            &base64::prelude::BASE64_URL_SAFE_NO_PAD
                .decode(header)
                .unwrap(),
        )
        .unwrap();
        assert_eq!(header["kid"], kid(FIRST));
        assert_eq!(kid(FIRST) == kid(TARGET), forged == 200);
        // What Google makes for an account is signed by Google.
        let body = json!({"audience": "a"});
        let made = iam(
            emulator,
            &bearer,
            &format!("{FIRST}:generateIdToken"),
            &body,
        )
        .json();
        let path = format!("/tokeninfo?id_token={}", made["token"].as_str().unwrap());
        assert_eq!(request(emulator.addr(), "GET", &path, &[], b"").status, 200);
        // Nor are its signatures Google's.
        let (google, _) = grant("https://accounts.google.com");
        assert_eq!(google.status, 400);
        let id_token = sign(payload("https://accounts.google.com", now + 600)).json();
        let id_token = id_token["signedJwt"].as_str().unwrap().to_owned();
        let path = format!("/tokeninfo?id_token={id_token}");
        let known = request(emulator.addr(), "GET", &path, &[], b"").status;
        assert_eq!(known, forged);
        // As Google: an end that is past, or far away, is not signed.
        for end in [now - 1, now + 43_300] {
            assert_eq!(sign(payload(FIRST, end)).status, forged);
        }
    }
}
