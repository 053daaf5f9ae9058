//! Tokens, identities, signatures: what they say, and that they verify.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::Write,
    net::TcpStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256,
        RsaPublicKeyComponents,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use client::{Answer, get, request, token};
use gce_auth_emulator::{Account, Emulator, Profile};
use serde_json::{Value, json};

const EMAIL: &str = "emulator@emulator-project.iam.gserviceaccount.com";
const STORAGE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const LOGGING: &str = "https://www.googleapis.com/auth/logging.write";
const PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

/// Verifies a signature with the keys that the emulator serves.
fn verify(emulator: &Emulator, key_id: &str, message: &[u8], signature: &[u8]) {
    let jwks = request(emulator.addr(), "GET", "/oauth2/v3/certs", &[], b"");
    assert_eq!(jwks.status, 200);
    assert!(
        jwks.header("Cache-Control")
            .unwrap()
            .contains("max-age=3600")
    );
    let jwks = jwks.json();
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == key_id)
        .unwrap();
    let number = |name: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(key[name].as_str().unwrap())
            .unwrap()
    };
    RsaPublicKeyComponents {
        n: number("n"),
        e: number("e"),
    }
    .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
    .unwrap();
}

/// The claims of a token, after its signature was verified.
fn claims(emulator: &Emulator, token: &str) -> Value {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("RS256"), &json!("JWT"))
    );
    verify(
        emulator,
        header["kid"].as_str().unwrap(),
        message.as_bytes(),
        &decode(signature),
    );
    serde_json::from_slice(&decode(claims)).unwrap()
}

fn iam(emulator: &Emulator, token: &str, method: &str, body: &Value) -> Answer {
    request(
        emulator.addr(),
        "POST",
        &format!("/v1/projects/-/serviceAccounts/{EMAIL}:{method}"),
        &[
            ("Authorization", &format!("Bearer {token}")),
            ("Content-Type", "application/json"),
        ],
        body.to_string().as_bytes(),
    )
}

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
fn an_access_token_counts_down_and_is_replaced_before_its_end() {
    let emulator = emulator();
    let ask = || get(emulator.addr(), "instance/service-accounts/default/token").json();
    let first = ask();
    assert_eq!(first["token_type"], "Bearer");
    let full = first["expires_in"].as_u64().unwrap();
    assert!((3597..=3599).contains(&full), "{full}");

    emulator.advance(Duration::from_secs(3000));
    let second = ask();
    assert_eq!(first["access_token"], second["access_token"]);
    let left = second["expires_in"].as_u64().unwrap();
    assert!((590..=599).contains(&left), "{left}");

    emulator.advance(Duration::from_secs(305));
    let third = ask();
    assert_ne!(first["access_token"], third["access_token"]);
    emulator.rotate_token();
    assert_ne!(third["access_token"], ask()["access_token"]);

    let as_text = |alt: &str| {
        let path = format!("instance/service-accounts/default/token?alt={alt}");
        get(emulator.addr(), &path)
    };
    let text = as_text("text");
    assert_eq!(text.header("Content-Type"), Some("application/text"));
    let names: Vec<&str> = text
        .text()
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.0))
        .collect();
    assert_eq!(names, ["access_token", "expires_in", "token_type"]);
    assert_eq!(as_text("json").json()["token_type"], "Bearer");
    assert_eq!(as_text("xml").status, 400);
}

#[test]
fn every_name_of_an_account_has_the_same_token_and_a_stranger_has_none() {
    let emulator = Emulator::builder()
        .account(Account::new("a@p.iam.gserviceaccount.com").alias("robot"))
        .account(Account::new("b@p.iam.gserviceaccount.com"))
        .account(Account::new("c@p.iam.gserviceaccount.com").scopes([""; 0]))
        .start()
        .unwrap();
    let address = emulator.addr();
    let default = token(address, "default");
    assert_eq!(default, token(address, "a@p.iam.gserviceaccount.com"));
    assert_eq!(default, token(address, "robot"));
    assert_ne!(default, token(address, "b@p.iam.gserviceaccount.com"));
    for unknown in ["d@p.iam.gserviceaccount.com", "c@p.iam.gserviceaccount.com"] {
        let answer = get(
            address,
            &format!("instance/service-accounts/{unknown}/token"),
        );
        assert_eq!(answer.status, 404, "{unknown}");
    }
}

#[test]
fn scopes_count_only_where_the_machine_honours_them() {
    let builder = || Emulator::builder().account(Account::new(EMAIL).scopes([STORAGE, LOGGING]));
    let ask = |emulator: &Emulator, query: &str| {
        let path = format!("instance/service-accounts/default/token?{query}");
        get(emulator.addr(), &path)
    };
    let scopes_of = |emulator: &Emulator, query: &str| {
        let answer = ask(emulator, query).json();
        let token = answer["access_token"].as_str().unwrap();
        let target = format!("/oauth2/v3/tokeninfo?access_token={token}");
        request(emulator.addr(), "GET", &target, &[], b"").json()["scope"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let both = format!("{STORAGE} {LOGGING}");
    let escaped = "scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Flogging.write";

    let gce = builder().start().unwrap();
    assert_eq!(scopes_of(&gce, escaped), both);
    assert_eq!(
        scopes_of(&gce, &format!("{escaped}&enforce_scopes=true")),
        LOGGING
    );
    for refused in [
        "enforce_scopes=true".to_owned(),
        format!("{escaped}&enforce_scopes=false"),
        "scopes=https://www.googleapis.com/auth/pubsub&enforce_scopes=1".to_owned(),
    ] {
        assert_eq!(ask(&gce, &refused).status, 400, "{refused}");
    }
    gce.set(
        "instance/attributes/enable-access-token-enforce-scopes",
        "true",
    )
    .unwrap();
    assert_eq!(scopes_of(&gce, escaped), LOGGING);
    assert_eq!(scopes_of(&gce, ""), both);

    let run = builder().profile(Profile::CloudRun).start().unwrap();
    assert_eq!(scopes_of(&run, escaped), LOGGING);
    assert_eq!(scopes_of(&run, ""), both);
}

#[test]
fn an_identity_token_verifies() {
    let emulator = emulator();
    let identity = |query: &str| {
        get(
            emulator.addr(),
            &format!("instance/service-accounts/default/identity?{query}"),
        )
    };
    let standard = claims(
        &emulator,
        identity("audience=https%3A%2F%2Fa.run.app").text(),
    );
    assert_eq!(standard["aud"], "https://a.run.app");
    assert_eq!(standard["iss"], "https://accounts.google.com");
    assert_eq!(standard["azp"], standard["sub"]);
    assert_eq!(
        standard["exp"].as_i64().unwrap() - standard["iat"].as_i64().unwrap(),
        3600
    );
    assert!(standard.get("google").is_none());

    let full = claims(
        &emulator,
        identity("format=full&audience=https://a&licenses=FALSE").text(),
    );
    assert_eq!(full["email"], EMAIL);
    assert_eq!(full["email_verified"], true);
    let machine = &full["google"]["compute_engine"];
    assert_eq!(machine["instance_id"], "5737554347302044216");
    assert!(machine.get("license_id").is_none());
    let licensed = claims(
        &emulator,
        identity("format=full&audience=https://a&licenses=TRUE").text(),
    );
    assert!(licensed["google"]["compute_engine"]["license_id"].is_array());

    for query in ["", "audience=", "format=full"] {
        let answer = identity(query);
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.text(), "non-empty audience parameter required\n");
    }

    let run = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let answer = get(
        run.addr(),
        "instance/service-accounts/default/identity?audience=a&format=full",
    );
    let serverless = claims(&run, answer.text());
    assert!(serverless.get("google").is_none());
    assert_eq!(serverless["email"], EMAIL);
}

#[test]
fn a_credential_can_be_bound_to_certificates() {
    let emulator = emulator();
    let post = |leaf: &str, body: &str| {
        request(
            emulator.addr(),
            "POST",
            &format!("/computeMetadata/v1/instance/service-accounts/default/{leaf}"),
            &[
                ("Metadata-Flavor", "Google"),
                ("Content-Type", "application/json"),
            ],
            body.as_bytes(),
        )
    };
    let body = json!({ "certificate_chain": PEM }).to_string();
    let bound = post("token", &body);
    assert_eq!(bound.status, 200);
    assert_ne!(
        bound.json()["access_token"],
        token(emulator.addr(), "default")
    );
    assert_eq!(post("identity?audience=a", &body).status, 200);
    for bad in [
        "",
        "{}",
        "[]",
        "no",
        "{\"certificate_chain\":\"\"}",
        "{\"certificate_chain\":\"x\"}",
    ] {
        assert_eq!(post("token", bad).status, 400, "{bad}");
    }
    assert_eq!(post("email", &body).status, 405);
    let waiting = get(
        emulator.addr(),
        "instance/service-accounts/default/token?wait_for_change=true",
    );
    assert_eq!(waiting.status, 400);
}

#[test]
fn a_blob_and_a_jwt_are_signed_for_who_has_a_token() {
    let emulator = emulator();
    let token = token(emulator.addr(), "default");
    let blob = BASE64_STANDARD.encode("some bytes");
    let signed = iam(&emulator, &token, "signBlob", &json!({"payload": blob})).json();
    verify(
        &emulator,
        signed["keyId"].as_str().unwrap(),
        b"some bytes",
        &BASE64_STANDARD
            .decode(signed["signedBlob"].as_str().unwrap())
            .unwrap(),
    );

    let payload = json!({"sub": "me", "n": 1}).to_string();
    let signed = iam(&emulator, &token, "signJwt", &json!({"payload": payload})).json();
    let read = claims(&emulator, signed["signedJwt"].as_str().unwrap());
    assert_eq!(read, json!({"sub": "me", "n": 1}));

    let id = iam(
        &emulator,
        &token,
        "generateIdToken",
        &json!({"audience": "b", "includeEmail": "true", "useEmailAzp": "true"}),
    )
    .json();
    let read = claims(&emulator, id["token"].as_str().unwrap());
    assert_eq!(
        (&read["aud"], &read["email"], &read["azp"]),
        (&json!("b"), &json!(EMAIL), &json!(EMAIL))
    );

    let made = iam(
        &emulator,
        &token,
        "generateAccessToken",
        &json!({"scope": [STORAGE], "lifetime": "600s"}),
    )
    .json();
    assert!(made["expireTime"].as_str().unwrap().ends_with('Z'));
    let target = format!(
        "/tokeninfo?access_token={}",
        made["accessToken"].as_str().unwrap()
    );
    let info = request(emulator.addr(), "GET", &target, &[], b"").json();
    assert_eq!(
        (&info["scope"], &info["email"]),
        (&json!(STORAGE), &json!(EMAIL))
    );
    let left: u64 = info["expires_in"].as_str().unwrap().parse().unwrap();
    assert!((590..=600).contains(&left));
    // As Google's Node client asks: a form without a word, and the token beside it.
    let bearer = format!("Bearer {}", made["accessToken"].as_str().unwrap());
    let beside = [("Authorization", &*bearer)];
    let same = request(emulator.addr(), "POST", "/tokeninfo", &beside, b"").json();
    assert_eq!(same["scope"], info["scope"]);

    let narrow = made["accessToken"].as_str().unwrap();
    let refused = iam(&emulator, narrow, "signBlob", &json!({"payload": blob}));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["status"], "PERMISSION_DENIED");
}

#[test]
fn the_iam_api_refuses_in_google_s_shape() {
    let emulator = emulator();
    let good = token(emulator.addr(), "default");
    let body = json!({"payload": "YQ=="});
    for (token, code) in [("", 401), ("ya29.c.stranger", 401)] {
        let answer = iam(&emulator, token, "signBlob", &body);
        assert_eq!(answer.status, code);
        assert_eq!(answer.json()["error"]["status"], "UNAUTHENTICATED");
        assert_eq!(
            answer.header("Content-Type"),
            Some("application/json; charset=UTF-8")
        );
    }
    for bad in [
        json!({}),
        json!([]),
        json!({"payload": "***"}),
        json!({"payload": 1}),
    ] {
        let answer = iam(&emulator, &good, "signBlob", &bad);
        assert_eq!(
            answer.json()["error"]["status"],
            "INVALID_ARGUMENT",
            "{bad}"
        );
    }
    for (method, bad) in [
        ("signJwt", json!({"payload": "[]"})),
        ("generateAccessToken", json!({"scope": []})),
        (
            "generateAccessToken",
            json!({"scope": ["s"], "lifetime": "1e99s"}),
        ),
        (
            "generateAccessToken",
            json!({"scope": ["s"], "lifetime": "-1s"}),
        ),
        ("generateIdToken", json!({"audience": ""})),
    ] {
        assert_eq!(
            iam(&emulator, &good, method, &bad).status,
            400,
            "{method} {bad}"
        );
    }
    let delegates = |delegates: Value| json!({"payload": "YQ==", "delegates": delegates});
    let resource = |account: &str| format!("projects/-/serviceAccounts/{account}");
    for (chain, code) in [
        (json!([]), 200),
        (json!([resource(EMAIL)]), 200),
        (json!([resource(EMAIL), resource("x@y")]), 404),
        (json!([EMAIL]), 200),
        (json!([1]), 400),
        (json!(EMAIL), 400),
    ] {
        let answer = iam(&emulator, &good, "signBlob", &delegates(chain.clone()));
        assert_eq!(answer.status, code, "{chain}");
    }
    assert_eq!(iam(&emulator, &good, "dance", &body).status, 404);
    let stranger = request(
        emulator.addr(),
        "POST",
        "/v1/projects/-/serviceAccounts/x@y:signBlob",
        &[("Authorization", &format!("Bearer {good}"))],
        body.to_string().as_bytes(),
    );
    assert_eq!(stranger.json()["error"]["status"], "NOT_FOUND");

    let locations = request(
        emulator.addr(),
        "GET",
        &format!("/v1/projects/-/serviceAccounts/{EMAIL}/allowedLocations"),
        &[("Authorization", &format!("Bearer {good}"))],
        b"",
    );
    assert_eq!(locations.json()["encodedLocations"], "0xA30");

    emulator.advance(Duration::from_secs(4000));
    assert_eq!(iam(&emulator, &good, "signBlob", &body).status, 401);
    let fresh = token(emulator.addr(), "default");
    emulator.revoke_tokens();
    assert_eq!(iam(&emulator, &fresh, "signBlob", &body).status, 401);
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
    let now = claims(
        &emulator,
        get(
            emulator.addr(),
            "instance/service-accounts/default/identity?audience=a",
        )
        .text(),
    )["iat"]
        .as_i64()
        .unwrap();
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
    let now = claims(
        &emulator,
        get(
            emulator.addr(),
            "instance/service-accounts/default/identity?audience=a",
        )
        .text(),
    )["iat"]
        .as_i64()
        .unwrap();
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

#[test]
fn tokens_can_come_from_elsewhere() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let emulator = Emulator::builder()
        .account(Account::new(EMAIL).scopes([STORAGE]))
        .account(Account::new("broken@p.iam.gserviceaccount.com"))
        .token_source(move |email, scopes| {
            if email != EMAIL {
                return Err(format!("no <token> for {email}"));
            }
            assert_eq!(scopes, [STORAGE]);
            let call = counted.fetch_add(1, Ordering::SeqCst);
            Ok((format!("foreign-{call}"), Duration::from_secs(1000)))
        })
        .start()
        .unwrap();
    assert_eq!(token(emulator.addr(), "default"), "foreign-0");
    assert_eq!(token(emulator.addr(), "default"), "foreign-0");
    emulator.advance(Duration::from_secs(701));
    assert_eq!(token(emulator.addr(), "default"), "foreign-1");
    emulator.rotate_token();
    assert_eq!(token(emulator.addr(), EMAIL), "foreign-2");
    let failed = get(
        emulator.addr(),
        "instance/service-accounts/broken@p.iam.gserviceaccount.com/token",
    );
    assert_eq!(failed.status, 500);
    assert_eq!(
        failed.text(),
        "no &lt;token&gt; for broken@p.iam.gserviceaccount.com\n"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_token_that_nobody_waits_for_any_more_is_there_for_the_next() {
    let (entered, entries) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let emulator = Emulator::builder()
        .token_source(move |_, _| {
            entered.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            Ok(("slow".to_owned(), Duration::from_secs(3600)))
        })
        .start()
        .unwrap();
    let mut impatient = TcpStream::connect(emulator.addr()).unwrap();
    impatient
        .write_all(
            b"GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n\
              Host: m\r\nMetadata-Flavor: Google\r\n\r\n",
        )
        .unwrap();
    entries.recv().unwrap();
    drop(impatient);
    // It was noticed that it went: the journal has the request as one without an answer.
    while emulator.requests()[0].duration.is_none() {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    assert_eq!(token(emulator.addr(), "default"), "slow");
    assert!(entries.try_recv().is_err(), "it was fetched twice");
}
