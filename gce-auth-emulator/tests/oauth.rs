//! Google's OAuth endpoints, over sockets.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::time::Duration;

use client::{
    Answer,
    cloud::{SCOPE, claims, error, iam, post, sign, token_info},
    get, request, token,
};
use gce_auth_emulator::{Emulator, User};
use serde_json::{Value, json};

const ROBOT: &str = "robot@my-project.iam.gserviceaccount.com";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

fn refresh(emulator: &Emulator, more: &[(&str, &str)]) -> Answer {
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("client_id", "emulator.apps.googleusercontent.com"),
        ("client_secret", "emulator-client-secret"),
        ("refresh_token", "1//emulator-refresh-token"),
    ];
    for (name, value) in more {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    post(emulator, "/token", &fields, &[])
}

fn text(answer: &Answer, name: &str) -> String {
    let body = answer.json();
    body[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {body}"))
        .to_owned()
}

#[test]
fn the_built_in_user_has_tokens() {
    let emulator = Emulator::builder().start().unwrap();
    let answer = refresh(&emulator, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["expires_in"], 3599);
    assert!(text(&answer, "scope").contains(SCOPE));
    let id = claims(&text(&answer, "id_token"));
    assert_eq!(id["aud"], "emulator.apps.googleusercontent.com");
    assert_eq!(id["email"], "developer@example.com");
    let info = token_info(&emulator, &text(&answer, "access_token"), &[]).json();
    assert_eq!(info["email"], "developer@example.com");
    assert_eq!(info["azp"], "emulator.apps.googleusercontent.com");
    assert_eq!(info["access_type"], "offline");

    let narrow = refresh(&emulator, &[("scope", SCOPE)]);
    assert_eq!(
        (
            text(&narrow, "scope").as_str(),
            narrow.json().get("id_token")
        ),
        (SCOPE, None)
    );
    let wide = refresh(
        &emulator,
        &[("scope", &format!("{SCOPE} https://mail.google.com/"))],
    );
    let (code, description) = error(&wide);
    assert_eq!(code, "invalid_scope");
    assert!(description.ends_with(&format!(
        "{{valid=[{SCOPE}], invalid=[https://mail.google.com/]}}"
    )));
}

#[test]
fn a_refresh_is_refused_as_google_refuses_it() {
    let other = User::new("eve@example.com", "client", "secret", "2//other");
    let proof =
        User::new("ada@example.com", "client", "secret", "3//proof").reauthentication("rapt");
    let second = User::new("bob@example.com", "second", "other", "4//second");
    let emulator = Emulator::builder()
        .user(other)
        .user(proof)
        .user(second)
        .start()
        .unwrap();
    let client = [("client_id", "client"), ("client_secret", "secret")];
    let ask = |more: &[(&str, &str)]| {
        let mut fields = client.to_vec();
        for (name, value) in more {
            fields.retain(|(field, _)| field != name);
            fields.push((name, value));
        }
        refresh(&emulator, &fields)
    };
    assert_eq!(ask(&[("refresh_token", "2//other")]).status, 200);
    for (more, status, code, description) in [
        (
            [("refresh_token", "1//unknown")],
            400,
            "invalid_grant",
            "Bad Request",
        ),
        (
            [("refresh_token", "")],
            400,
            "invalid_request",
            "Missing required parameter: refresh_token",
        ),
        (
            [("client_secret", "x")],
            401,
            "invalid_client",
            "The provided client secret is invalid.",
        ),
    ] {
        let answer = ask(&more);
        assert_eq!(answer.status, status);
        assert_eq!(error(&answer), (code.into(), description.into()));
    }
    // By a client that is not known, and by one that it was not issued to.
    for (id, secret, code) in [
        ("x", "secret", "invalid_client"),
        ("second", "other", "unauthorized_client"),
    ] {
        let strange = ask(&[
            ("client_id", id),
            ("client_secret", secret),
            ("refresh_token", "2//other"),
        ]);
        assert_eq!((strange.status, error(&strange).0.as_str()), (401, code));
    }

    for (rapt, subtype) in [(None, "rapt_required"), (Some("x"), "invalid_rapt")] {
        let mut more = vec![("refresh_token", "3//proof")];
        more.extend(rapt.map(|rapt| ("rapt", rapt)));
        let answer = ask(&more);
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.json(),
            json!({
                "error": "invalid_grant",
                "error_description": format!("reauth related error ({subtype})"),
                "error_uri": "https://support.google.com/a/answer/9368756",
                "error_subtype": subtype,
            })
        );
    }
    assert_eq!(
        ask(&[("refresh_token", "3//proof"), ("rapt", "rapt")]).status,
        200
    );
}

#[test]
fn revocation_takes_the_refresh_token_with_it_until_a_reset() {
    let emulator = Emulator::builder().start().unwrap();
    let revoke = |token: &str| post(&emulator, "/revoke", &[("token", token)], &[]);
    let first = text(&refresh(&emulator, &[]), "access_token");
    let second = text(&refresh(&emulator, &[]), "access_token");
    assert_eq!(revoke(&first).json(), json!({}));
    assert_eq!(token_info(&emulator, &second, &[]).status, 400);
    assert_eq!(
        error(&refresh(&emulator, &[])).1,
        "Token has been expired or revoked."
    );
    for unknown in [&*first, "1//emulator-refresh-token", "x"] {
        let answer = revoke(unknown);
        assert_eq!(
            (answer.status, error(&answer).0.as_str()),
            (400, "invalid_token"),
            "{unknown}"
        );
    }
    emulator.reset();
    // A token that has expired takes nothing with it.
    let expired = text(&refresh(&emulator, &[]), "access_token");
    emulator.advance(Duration::from_secs(3601));
    assert_eq!(error(&revoke(&expired)).0, "invalid_token");
    assert_eq!(refresh(&emulator, &[]).status, 200);
    assert_eq!(revoke("1//emulator-refresh-token").status, 200);
    assert_eq!(refresh(&emulator, &[]).status, 400);

    // The metadata server hands a revoked token out no more.
    let machine = token(emulator.addr(), "default");
    let target = format!("/revoke?token={machine}");
    assert_eq!(
        request(emulator.addr(), "GET", &target, &[], b"").status,
        200
    );
    let next = token(emulator.addr(), "default");
    assert_ne!(machine, next);
    let body = json!({"scope": [SCOPE]});
    assert_eq!(
        iam(
            &emulator,
            &machine,
            &format!("{ROBOT}:generateAccessToken"),
            &body
        )
        .status,
        401
    );
    assert_eq!(
        iam(
            &emulator,
            &next,
            &format!("{ROBOT}:generateAccessToken"),
            &body
        )
        .status,
        200
    );
    assert_eq!(post(&emulator, "/revoke", &[], &[]).status, 400);
    assert_eq!(
        request(emulator.addr(), "PUT", "/revoke", &[], b"").status,
        405
    );
}

#[test]
fn an_account_may_act_as_a_user_and_strict_checks_more() {
    let lenient = Emulator::builder().start().unwrap();
    let strict = Emulator::builder()
        .strict(true)
        .service_account(ROBOT)
        .start()
        .unwrap();
    let buy = |emulator: &Emulator, claims: &Value| {
        let assertion = sign(emulator, claims);
        post(
            emulator,
            "/token",
            &[("grant_type", JWT_BEARER), ("assertion", &assertion)],
            &[],
        )
    };
    let base = json!({"iss": ROBOT, "aud": "https://oauth2.googleapis.com/token", "scope": SCOPE});
    let with = |name: &str, value: &str| {
        let mut claims = base.clone();
        claims[name] = value.into();
        claims
    };
    let user = buy(&lenient, &with("sub", "ada@example.com"));
    let info = token_info(&lenient, &text(&user, "access_token"), &[]).json();
    assert_eq!(info["email"], "ada@example.com");
    assert_eq!(
        error(&buy(&lenient, &with("sub", "ada"))).0,
        "invalid_grant"
    );
    // Itself is no user that it acts as.
    let own = buy(&lenient, &with("sub", ROBOT));
    assert!(text(&own, "access_token").starts_with("ya29.c."));
    let (code, description) = error(&buy(&lenient, &with("target_audience", "")));
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("invalid_request", "target_audience must not be empty")
    );
    for missing in ["iat", "exp"] {
        let mut claims = base.clone();
        claims[missing] = Value::Null;
        let (_, description) = error(&buy(&lenient, &claims));
        assert_eq!(description, "Invalid JWT: iat and exp are required.");
    }
    assert_eq!(buy(&strict, &base).status, 200);
    for (claims, code) in [
        (
            with("iss", "other@my-project.iam.gserviceaccount.com"),
            "invalid_grant",
        ),
        (
            with("aud", "https://elsewhere.example/token"),
            "invalid_grant",
        ),
        (with("scope", "storage"), "invalid_scope"),
    ] {
        assert_eq!(buy(&lenient, &claims).status, 200, "{claims}");
        let answer = buy(&strict, &claims);
        assert_eq!(
            (answer.status, error(&answer).0.as_str()),
            (400, code),
            "{claims}"
        );
    }
    // The signature is wrong before the account is unknown.
    let spoiled = sign(
        &strict,
        &with("iss", "other@my-project.iam.gserviceaccount.com"),
    );
    let (message, _) = spoiled.rsplit_once('.').unwrap();
    let spoiled = format!("{message}.AAAA");
    let fields = [("grant_type", JWT_BEARER), ("assertion", spoiled.as_str())];
    let (_, description) = error(&post(&strict, "/token", &fields, &[]));
    assert_eq!(description, "Invalid JWT Signature.");
    let own = format!("{}/token", strict.url());
    let assertion = sign(&strict, &with("aud", &own));
    let host = own
        .trim_start_matches("http://")
        .trim_end_matches("/token")
        .to_owned();
    let fields = [
        ("grant_type", JWT_BEARER),
        ("assertion", assertion.as_str()),
    ];
    assert_eq!(
        post(&strict, "/token", &fields, &[("Host", &host)]).status,
        200
    );
}

#[test]
fn an_id_token_means_something_until_it_ends() {
    let emulator = Emulator::builder().start().unwrap();
    let path = "instance/service-accounts/default/identity?audience=a";
    let token = get(emulator.addr(), path);
    let target = format!("/tokeninfo?id_token={}", token.text());
    let ask = |method: &str| request(emulator.addr(), method, &target, &[], b"");
    emulator.advance(Duration::from_secs(3500));
    assert_eq!(ask("GET").json()["aud"], "a");
    assert_eq!(ask("PUT").status, 405);
    emulator.advance(Duration::from_secs(101));
    let ended = ask("GET");
    assert_eq!(ended.status, 400);
    assert_eq!(
        error(&ended),
        ("invalid_token".into(), "Invalid Value".into())
    );
}
