//! Workload and workforce pools: subject tokens become Google's.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth_emulator::{Emulator, Provider};
use serde_json::{Value, json};

use super::{
    GITHUB, OWN, POOL, TARGET, WORKFORCE, boundary,
    client::{
        Answer,
        cloud::{ACCESS_TOKEN, EXCHANGE, JWT, SCOPE, error, iam, now, post, sign, token_info},
        request, token,
    },
    provider,
};

fn federate(emulator: &Emulator, provider: &str, subject: &str) -> Answer {
    let audience = format!("//iam.googleapis.com/{provider}");
    let fields = [
        ("grant_type", EXCHANGE),
        ("audience", &audience),
        ("scope", SCOPE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", subject),
        ("subject_token_type", JWT),
    ];
    post(emulator, "/v1/token", &fields, &[])
}

#[test]
fn a_workload_of_the_own_issuer_acts_as_itself_and_for_an_account() {
    let emulator = Emulator::builder()
        .impersonation(
            format!("principal://iam.googleapis.com/{POOL}/subject/me"),
            TARGET,
        )
        .start()
        .unwrap();
    let audience = format!("https://iam.googleapis.com/{}", provider());
    // Its default account may not sign, so the emulator that signs is another one; all share the
    // key.
    let signer = Emulator::builder().start().unwrap();
    let subject = |sub: &str| sign(&signer, &json!({"iss": OWN, "sub": sub, "aud": audience}));
    let answer = federate(&emulator, &provider(), &subject("me"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(body["token_type"], "Bearer");
    let left = body["expires_in"].as_u64().unwrap();
    assert!(
        (595..=600).contains(&left),
        "an exchange gives no more than the subject has: {left}"
    );
    let access = body["access_token"].as_str().unwrap();
    assert!(access.starts_with("ya29.d."));
    let info = token_info(&emulator, access, &[]).json();
    assert_eq!(
        info["principal"],
        format!("principal://iam.googleapis.com/{POOL}/subject/me")
    );

    let call = format!("{TARGET}:generateAccessToken");
    let made = iam(
        &emulator,
        access,
        &call,
        &json!({"scope": [SCOPE], "lifetime": "60s"}),
    );
    assert_eq!(made.status, 200, "{}", made.text());
    let robot = token_info(&emulator, made.json()["accessToken"].as_str().unwrap(), &[]);
    assert_eq!(robot.json()["email"], TARGET);

    let other = federate(&emulator, &provider(), &subject("other")).json();
    let other = other["access_token"].as_str().unwrap();
    let refused = iam(&emulator, other, &call, &json!({"scope": [SCOPE]}));
    assert_eq!(refused.status, 403);
    let details = &refused.json()["error"]["details"][0];
    assert_eq!(details["reason"], "IAM_PERMISSION_DENIED");
    assert_eq!(
        details["metadata"]["permission"],
        "iam.serviceAccounts.getAccessToken"
    );
}

#[test]
fn a_configured_issuer_is_verified_as_google_verifies_it() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwks = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "one", "x": number(&point[1..33]), "y": number(&point[33..]),
    }]});
    let emulator = Emulator::builder()
        .strict(true)
        .provider(
            Provider::oidc(provider(), GITHUB)
                .jwks(jwks.to_string())
                .audience("aud")
                .map("google.subject", "'gh:' + assertion.sub")
                .map("attribute.owner", "assertion.owner")
                .condition("assertion.owner == 'me'"),
        )
        .provider(Provider::oidc(format!("{POOL}/providers/off"), GITHUB).disabled(true))
        .start()
        .unwrap();
    let now = now(&emulator);
    let good = json!({"iss": GITHUB, "sub": "x", "aud": "aud", "iat": now, "exp": now + 7200, "owner": "me"});
    let make = |kid: &str, claims: &Value, spoil: bool| {
        let part = |value: &Value| number(value.to_string().as_bytes());
        let message = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "kid": kid})),
            part(claims)
        );
        let signed = if spoil { "spoiled" } else { message.as_str() };
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{message}.{}", number(signature.as_ref()))
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        make("one", &claims, false)
    };
    let answer = federate(&emulator, &provider(), &make("one", &good, false)).json();
    let left = answer["expires_in"].as_u64().unwrap();
    assert!((3590..=3600).contains(&left), "an hour at most: {left}");
    let behind = federate(&emulator, &provider(), &with("exp", json!(now - 30)));
    assert_eq!(behind.json()["expires_in"], 59, "{}", behind.text());

    for (token, code, text) in [
        (
            with("aud", json!("other")),
            "invalid_grant",
            "The audience in ID Token [other] does not match",
        ),
        (
            with("aud", Value::Null),
            "invalid_grant",
            "The audience in ID Token [] does not match",
        ),
        (
            with("iss", json!("https://x")),
            "invalid_grant",
            "The issuer in ID Token https://x does not match",
        ),
        (
            with("iss", Value::Null),
            "invalid_grant",
            "The issuer in ID Token null does not match",
        ),
        (
            with("exp", json!(now - 61)),
            "invalid_grant",
            "is stale to sign-in.",
        ),
        (
            with("iat", json!(now + 120)),
            "invalid_grant",
            "is stale to sign-in.",
        ),
        (
            with("iat", Value::Null),
            "invalid_grant",
            "ID Token issued at null is stale",
        ),
        (
            with("owner", json!("you")),
            "unauthorized_client",
            "rejected by the attribute condition",
        ),
        (
            with("sub", json!("x".repeat(128))),
            "invalid_request",
            "exceeds the 127 bytes limit",
        ),
        (
            with("sub", Value::Null),
            "invalid_request",
            "google.subject",
        ),
        (
            make("one", &good, true),
            "invalid_grant",
            "Unable to verify the ID Token signature.",
        ),
        (
            make("two", &good, false),
            "invalid_grant",
            "Error connecting to the given credential's issuer.",
        ),
        ("nonsense".into(), "invalid_grant", "Unable to parse"),
    ] {
        let answer = federate(&emulator, &provider(), &token);
        let (found, description) = error(&answer);
        assert_eq!(
            (answer.status, found.as_str()),
            (400, code),
            "{description}"
        );
        assert!(description.contains(text), "{description}");
    }
    for unknown in [
        format!("{POOL}/providers/off"),
        format!("{POOL}/providers/none"),
    ] {
        let (code, description) = error(&federate(&emulator, &unknown, &make("one", &good, false)));
        assert_eq!(code, "invalid_target");
        assert!(description.contains("disabled or deleted"));
    }
}

#[test]
fn requests_that_are_none_are_refused() {
    let emulator = Emulator::builder().start().unwrap();
    let all = [
        ("grant_type", EXCHANGE),
        (
            "audience",
            "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
        ),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", "a.b.c"),
        ("subject_token_type", JWT),
    ];
    for (name, value, code) in [
        ("grant_type", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("audience", "", "invalid_request"),
        ("audience", "https://a", "invalid_request"),
        (
            "audience",
            "//iam.googleapis.com/projects/1",
            "invalid_request",
        ),
        ("requested_token_type", "", "invalid_request"),
        ("requested_token_type", JWT, "invalid_request"),
        ("subject_token", "", "invalid_request"),
        ("subject_token_type", "", "invalid_request"),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:saml2",
            "invalid_request",
        ),
        ("x", "", "invalid_grant"),
    ] {
        let fields = all.map(|(field, of)| (field, if field == name { value } else { of }));
        let answer = post(&emulator, "/v1/token", &fields, &[]);
        assert_eq!(
            (answer.status, error(&answer).0.as_str()),
            (400, code),
            "{name}={value}"
        );
    }
    assert_eq!(
        request(emulator.addr(), "GET", "/v1/token", &[], b"").status,
        405
    );
    // As JSON, which other clients send.
    let body = json!({"grantType": EXCHANGE, "requestedTokenType": ACCESS_TOKEN, "subjectTokenType": ACCESS_TOKEN,
                      "subjectToken": token(emulator.addr(), "default"), "options": boundary()});
    let kind = [("Content-Type", "application/json")];
    let answer = request(
        emulator.addr(),
        "POST",
        "/v1/token",
        &kind,
        body.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_workforce_pool_and_the_project_of_a_pool_are_known() {
    let emulator = Emulator::builder()
        .project_id("my-project")
        .start()
        .unwrap();
    let audience = format!("//iam.googleapis.com/{WORKFORCE}");
    let subject = sign(
        &emulator,
        &json!({"iss": OWN, "sub": "ada", "aud": [audience]}),
    );
    let access = federate(&emulator, WORKFORCE, &subject).json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let info = token_info(&emulator, &access, &[]).json();
    assert_eq!(
        info["principal"],
        "principal://iam.googleapis.com/locations/global/workforcePools/people/subject/ada"
    );
    let bearer = format!("Bearer {access}");
    let get =
        |path: &str, headers: &[(&str, &str)]| request(emulator.addr(), "GET", path, headers, b"");
    let project = get("/v1/projects/123456", &[("Authorization", &bearer)]).json();
    assert_eq!(
        (&project["projectId"], &project["projectNumber"]),
        (&json!("my-project"), &json!("123456"))
    );
    assert_eq!(
        get("/v1/projects/other", &[("Authorization", &bearer)]).status,
        403
    );
    assert_eq!(get("/v1/projects/123456", &[]).status, 401);
    for pool in ["locations/global/workforcePools/people", POOL] {
        let path = format!("/v1/{pool}/allowedLocations");
        assert_eq!(
            get(&path, &[("Authorization", &bearer)]).json()["encodedLocations"],
            "0xA30"
        );
        assert_eq!(get(&path, &[]).status, 401);
    }
}
