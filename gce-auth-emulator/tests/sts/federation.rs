//! Workload and workforce pools: subject tokens become Google's.

use std::time::Duration;

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
        get, request, token,
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

/// Of the own issuer, of another that has no keys configured, and of one with RSA keys.
#[test]
fn a_signature_is_held_against_the_keys_of_its_issuer_alone() {
    let account = "robot@p.iam.gserviceaccount.com";
    let strict = || Emulator::builder().strict(true).service_account(account);
    let source = strict().start().unwrap();
    // Keys that no issuer of tokens here has: those of an account elsewhere.
    let path = format!("/service_accounts/v1/jwk/{account}");
    let mut jwks = request(source.addr(), "GET", &path, &[], b"").json();
    let mut key = jwks["keys"][0].clone();
    // Without a name it may be that of any token.
    key.as_object_mut().unwrap().remove("kid");
    jwks["keys"] = json!([{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, key]);
    let [own, other, rsa] = ["own", "other", "rsa"].map(|name| format!("{POOL}/providers/{name}"));
    let emulator = strict()
        .provider(Provider::oidc(&own, OWN).audience("aud"))
        .provider(Provider::oidc(&other, GITHUB).audience("aud"))
        .provider(
            Provider::oidc(&rsa, GITHUB)
                .audience("aud")
                .jwks(jwks.to_string()),
        )
        .start()
        .unwrap();
    let token_of = |signer: &Emulator, issuer: &str| {
        let now = now(signer);
        let claims =
            json!({"iss": issuer, "sub": "me", "aud": "aud", "iat": now, "exp": now + 600});
        let bearer = token(signer.addr(), "default");
        let body = json!({"payload": claims.to_string()});
        let signed = iam(signer, &bearer, &format!("{account}:signJwt"), &body).json();
        signed["signedJwt"].as_str().unwrap().to_owned()
    };
    // What the pool of another issuer takes, the own one does not: an account made it.
    let by_account = token_of(&emulator, GITHUB);
    let elsewhere = token_of(&source, GITHUB);
    for (provider, subject, status) in [
        (&other, &by_account, 200),
        (&other, &elsewhere, 400),
        (&rsa, &elsewhere, 200),
        (&rsa, &by_account, 400),
        (&own, &token_of(&emulator, OWN), 400),
        (&own, &token_of(&source, OWN), 400),
    ] {
        let answer = federate(&emulator, provider, subject);
        assert_eq!(answer.status, status, "{provider}: {}", answer.text());
        if status == 400 {
            let refused = error(&answer).1;
            assert_eq!(refused, "Unable to verify the ID Token signature.");
        }
    }
    let identity = "instance/service-accounts/default/identity?audience=aud";
    let subject = get(emulator.addr(), identity);
    let answer = federate(&emulator, &own, subject.text());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_federated_token_lives_for_an_hour_at_most_and_has_a_scope() {
    let builder = || Emulator::builder().token_lifetime(Duration::from_secs(86_400));
    let signer = Emulator::builder().start().unwrap();
    let provider_of_own = || Provider::oidc(provider(), OWN).audience("aud");
    for (emulator, without_scope) in [
        (builder().provider(provider_of_own()).start().unwrap(), 200),
        (
            builder()
                .provider(provider_of_own())
                .strict(true)
                .start()
                .unwrap(),
            400,
        ),
    ] {
        let end = now(&emulator) + 80_000;
        let claims = json!({"iss": OWN, "sub": "me", "aud": "aud", "exp": end});
        let subject = sign(&signer, &claims);
        let answer = federate(&emulator, &provider(), &subject).json();
        assert_eq!(answer["expires_in"], 3600, "{answer}");
        let audience = format!("//iam.googleapis.com/{}", provider());
        let fields = [
            ("grant_type", EXCHANGE),
            ("audience", &audience),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", &subject),
            ("subject_token_type", JWT),
        ];
        let bare = post(&emulator, "/v1/token", &fields, &[]);
        assert_eq!(bare.status, without_scope, "{}", bare.text());
        let scope = ("scope", SCOPE);
        let aws = (
            "subject_token_type",
            "urn:ietf:params:aws:token-type:aws4_request",
        );
        let fields = [fields[0], fields[1], fields[2], fields[3], scope, aws];
        let (code, why) = error(&post(&emulator, "/v1/token", &fields, &[]));
        assert_eq!(code, "invalid_request");
        assert!(
            why.contains("the provider takes no urn:ietf:params:aws"),
            "{why}"
        );
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
    assert_eq!(
        get("/v1/projects/my-project", &[("Authorization", &bearer)]).json()["projectId"],
        "my-project"
    );
    for pool in ["locations/global/workforcePools/people", POOL] {
        let path = format!("/v1/{pool}/allowedLocations");
        assert_eq!(
            get(&path, &[("Authorization", &bearer)]).json()["encodedLocations"],
            "0xA30"
        );
        assert_eq!(get(&path, &[]).status, 401);
        let bearer = [("Authorization", bearer.as_str())];
        assert_eq!(
            request(emulator.addr(), "POST", &path, &bearer, b"").status,
            404
        );
    }
    let bearer = [("Authorization", bearer.as_str())];
    let posted = request(
        emulator.addr(),
        "POST",
        "/v1/projects/my-project",
        &bearer,
        b"",
    );
    assert_eq!(posted.status, 404);
    let certs = request(emulator.addr(), "POST", "/oauth2/v3/certs", &[], b"");
    assert_eq!(certs.status, 405);
}

#[test]
fn strict_knows_its_own_project_alone() {
    let emulator = Emulator::builder()
        .project_id("my-project")
        .numeric_project_id(7)
        .strict(true)
        .start()
        .unwrap();
    let bearer = format!("Bearer {}", token(emulator.addr(), "default"));
    for (project, status) in [("my-project", 200), ("7", 200), ("8", 403), ("other", 403)] {
        let path = format!("/v1/projects/{project}");
        let headers = [("Authorization", bearer.as_str())];
        let answer = request(emulator.addr(), "GET", &path, &headers, b"");
        assert_eq!(answer.status, status, "{project}");
    }
}
