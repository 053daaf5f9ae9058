//! Assertions, refresh tokens, keys and token info.

use std::path::PathBuf;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use gce_auth_emulator::{Account, Emulator};
use serde_json::{Value, json};

use super::{
    EMAIL, claims,
    client::{Answer, cloud::now, get, request, token},
    emulator, iam,
};

fn form(emulator: &Emulator, path: &str, body: &str) -> Answer {
    request(
        emulator.addr(),
        "POST",
        path,
        &[("Content-Type", "application/x-www-form-urlencoded")],
        body.as_bytes(),
    )
}

#[test]
fn an_assertion_may_be_signed_with_an_uploaded_key() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(der.as_ref())
    );
    let emulator = Emulator::builder()
        .account(Account::new(EMAIL).public_key("no key").public_key(pem))
        .account(Account::new("other@x.example"))
        .start()
        .unwrap();
    let now = now(&emulator);
    let buy = |algorithm: &str, issuer: &str| {
        let claims = json!({"iss": issuer, "aud": "https://x/token", "target_audience": "b",
                            "iat": now, "exp": now + 60});
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": algorithm})), part(&claims));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        let body = format!("assertion={message}.{signature}&grant_type={grant}");
        form(&emulator, "/token", &body).json()
    };
    let bought = buy("ES256", EMAIL);
    let id = claims(&emulator, bought["id_token"].as_str().unwrap());
    assert_eq!(id["email"], EMAIL);
    for (algorithm, issuer) in [
        ("RS256", EMAIL),
        ("none", EMAIL),
        ("ES256", "other@x.example"),
        ("ES256", "x@y"),
    ] {
        assert_eq!(buy(algorithm, issuer)["error"], "invalid_grant");
    }
}

#[test]
fn an_assertion_buys_a_token() {
    let emulator = emulator();
    let access = token(emulator.addr(), "default");
    let now = now(&emulator);
    let assertion = |claims: &Value| {
        let signed = iam(
            &emulator,
            &access,
            "signJwt",
            &json!({"payload": claims.to_string()}),
        );
        signed.json()["signedJwt"].as_str().unwrap().to_owned()
    };
    let buy = |assertion: &str| {
        form(
            &emulator,
            "/token",
            &format!(
                "assertion={assertion}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
            ),
        )
    };
    let base = json!({
        "iss": EMAIL, "aud": "https://www.googleapis.com/oauth2/v4/token", "iat": now, "exp": now + 3600,
    });
    let with = |name: &str, value: Value| {
        let mut claims = base.clone();
        claims[name] = value;
        claims
    };

    let bought = buy(&assertion(&with("target_audience", json!("https://b")))).json();
    let id = claims(&emulator, bought["id_token"].as_str().unwrap());
    assert_eq!(
        (&id["aud"], &id["email"]),
        (&json!("https://b"), &json!(EMAIL))
    );
    assert!(id.get("target_audience").is_none());

    let bought = buy(&assertion(&with("scope", json!("s t")))).json();
    assert_eq!(bought["token_type"], "Bearer");
    let target = format!(
        "/tokeninfo?access_token={}",
        bought["access_token"].as_str().unwrap()
    );
    let info = request(emulator.addr(), "GET", &target, &[], b"").json();
    assert_eq!(info["scope"], "s t");

    for (bad, error) in [
        (assertion(&base), "invalid_scope"),
        (assertion(&with("iss", json!("x@y"))), "invalid_grant"),
        (assertion(&with("aud", json!("https://b"))), "invalid_grant"),
        (assertion(&with("exp", json!(now - 1))), "invalid_grant"),
        (assertion(&with("exp", json!(now + 9000))), "invalid_grant"),
        (assertion(&with("iat", json!("x"))), "invalid_grant"),
        ("a.b.c".to_owned(), "invalid_grant"),
        (assertion(&base).replacen('.', ".e30", 1), "invalid_grant"),
        (String::new(), "invalid_request"),
    ] {
        let answer = buy(&bad);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], error);
        assert!(answer.json()["error_description"].is_string());
    }
    assert_eq!(
        form(&emulator, "/token", "grant_type=x").json()["error"],
        "unsupported_grant_type"
    );
    assert_eq!(
        form(&emulator, "/oauth2/v4/token", "").json()["error"],
        "invalid_request"
    );
    assert_eq!(
        request(emulator.addr(), "GET", "/token", &[], b"").status,
        405
    );
}

#[test]
fn a_refresh_token_is_refused_in_google_s_shape() {
    let emulator = emulator();
    let grant = "grant_type=refresh_token";
    for (body, error, description) in [
        (
            format!("{grant}&client_id=a&client_secret=b&refresh_token=1//c"),
            "invalid_grant",
            "Bad Request",
        ),
        (
            format!("{grant}&refresh_token=1//c"),
            "invalid_request",
            "Could not determine client ID from request.",
        ),
        (
            grant.into(),
            "invalid_request",
            "Missing required parameter: refresh_token",
        ),
    ] {
        let answer = form(&emulator, "/token", &body);
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.json(),
            json!({"error": error, "error_description": description})
        );
    }
}

#[test]
fn keys_are_served_in_every_form_and_shared() {
    let (one, other) = (emulator(), emulator());
    let at = |emulator: &Emulator, path: &str| {
        request(emulator.addr(), "GET", path, &[("Host", "h:1")], b"").json()
    };
    assert_eq!(at(&one, "/oauth2/v3/certs"), at(&other, "/oauth2/v3/certs"));
    let kid = at(&one, "/oauth2/v3/certs")["keys"][0]["kid"].clone();
    let certificates = at(&one, "/oauth2/v1/certs");
    let pem = certificates[kid.as_str().unwrap()].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
    for path in [
        "service_accounts/v1/metadata/x509",
        "robot/v1/metadata/x509",
    ] {
        assert_eq!(at(&one, &format!("/{path}/{EMAIL}")), certificates);
    }
    let jwks = at(&one, &format!("/service_accounts/v1/jwk/{EMAIL}"));
    assert_eq!(jwks["keys"][0]["kid"], kid);
    assert_eq!(
        at(&one, "/service_accounts/v1/jwk/x@y")["error"]["code"],
        404
    );
    let discovery = at(&one, "/.well-known/openid-configuration");
    assert_eq!(discovery["issuer"], "https://accounts.google.com");
    assert_eq!(discovery["jwks_uri"], "http://h:1/oauth2/v3/certs");
}

#[test]
fn token_info_knows_id_tokens_and_nothing_foreign() {
    let emulator = emulator();
    let id = get(
        emulator.addr(),
        "instance/service-accounts/default/identity?audience=a&format=full",
    );
    let info = |query: &str| {
        request(
            emulator.addr(),
            "GET",
            &format!("/tokeninfo?{query}"),
            &[],
            b"",
        )
    };
    let known = info(&format!("id_token={}", id.text()));
    assert_eq!(
        (known.status, &known.json()["email_verified"]),
        (200, &json!("true"))
    );
    for query in ["", "access_token=x", "id_token=a.b.c"] {
        let answer = info(query);
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("invalid_token"))
        );
    }
    let journal = format!("{:?} {emulator:?}", emulator.requests());
    assert!(!journal.contains(id.text()));
}

#[test]
fn a_kept_key_outlives_the_emulator() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let _ = std::fs::remove_dir_all(&directory);
    let start = || Emulator::builder().keys_directory(&directory).start();
    assert!(start().is_err());
    std::fs::create_dir_all(&directory).unwrap();
    let first = start().unwrap();
    let identity = get(
        first.addr(),
        "instance/service-accounts/default/identity?audience=a",
    );
    drop(first);
    assert_eq!(claims(&start().unwrap(), identity.text())["aud"], "a");

    let file = directory.join("signing-key.pem");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&file, "nonsense").unwrap();
    let error = start().unwrap_err();
    assert!(error.to_string().contains("signing-key.pem"));
    std::fs::remove_dir_all(&directory).unwrap();
}
