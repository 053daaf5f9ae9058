//! google-auth for Python against the emulator: a program as its users write it finds everything
//! that the emulator was told, and what it verified is what the emulator issued.

use std::path::Path;
use std::time::Duration;

use gce_auth_conformance::interop;
use gce_auth_server::{Account, Emulator, RecordedRequest};
use serde_json::json;

const PROJECT: &str = "interop-project";
const EMAIL: &str = "worker@interop-project.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://orders.example.com";
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/pubsub",
];
const TOKEN_LIFETIME: Duration = Duration::from_secs(1800);

/// How much of a lifetime may pass between a token's issue and the client's look at it.
const PASSED: f64 = 30.0;

#[test]
fn google_auth_gets_and_verifies_what_the_emulator_was_told() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let Some(client) = interop::ready_or_skip(interop::python(target)) else {
        return;
    };
    let emulator = Emulator::builder()
        .project_id(PROJECT)
        .account(Account::new(EMAIL).scopes(SCOPES))
        .token_lifetime(TOKEN_LIFETIME)
        .start()
        .unwrap();

    let url = emulator.url();
    let beside = [
        ("AUDIENCE", AUDIENCE.to_owned()),
        ("TOKENINFO_URL", format!("{url}/tokeninfo")),
        ("CERTS_URL", format!("{url}/oauth2/v1/certs")),
        ("JWKS_URL", format!("{url}/oauth2/v3/certs")),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let seen = client
        .run(
            emulator.env().into_iter().chain(beside),
            Duration::from_secs(60),
        )
        .unwrap_or_else(|failure| panic!("{failure}"));

    assert_eq!(seen.step("ping")["reachable"], true);
    assert_eq!(seen.step("project")["id"], PROJECT);

    let access = seen.step("access_token");
    assert_eq!(access["valid"], true);
    assert_eq!(access["email"], EMAIL);
    assert_eq!(access["universe"], "googleapis.com");
    assert_left(&access["seconds_left"], TOKEN_LIFETIME);
    assert!(access["token"]["length"].as_u64() > Some(20));

    // The emulator knows the token again, and whose it is.
    let info = seen.step("access_token_info");
    assert_eq!(info["status"], 200, "{info}");
    assert_eq!(info["email"], EMAIL);
    assert_eq!(info["scope"], SCOPES.join(" "));

    let identity = seen.step("id_token");
    assert_eq!(identity["valid"], true);
    assert_left(&identity["seconds_left"], Duration::from_secs(3600));

    // google-auth has verified the signature, the times and the audience; against both forms of
    // the keys it saw the same claims.
    let claims = &seen.step("id_token_by_certs")["claims"];
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["iss"], "https://accounts.google.com");
    assert_eq!(claims["email"], EMAIL);
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["google"]["compute_engine"]["project_id"], PROJECT);
    let lifetime = claims["exp"].as_i64().zip(claims["iat"].as_i64());
    assert_eq!(lifetime.map(|(exp, iat)| exp - iat), Some(3600));
    assert_eq!(claims, &seen.step("id_token_by_jwks")["claims"]);

    assert_eq!(
        *seen.step("default"),
        json!({
            "step": "default",
            "type": "google.auth.compute_engine.credentials",
            "project": PROJECT,
        })
    );

    let requests = emulator.requests();
    for path in [
        "/",
        "/computeMetadata/v1/project/project-id",
        "/computeMetadata/v1/instance/service-accounts/default/token",
        "/computeMetadata/v1/instance/service-accounts/default/identity",
    ] {
        let request = requests
            .iter()
            .find(|request| request.path == path)
            .unwrap_or_else(|| panic!("google-auth did not ask for {path}: {requests:#?}"));
        assert_asked_by_google_auth(request);
    }
    assert_eq!(emulator.request_count("/oauth2/v1/certs"), 1);
    assert_eq!(emulator.request_count("/oauth2/v3/certs"), 1);
}

fn assert_left(seconds: &serde_json::Value, lifetime: Duration) {
    let lifetime = lifetime.as_secs_f64();
    let Some(left) = seconds.as_f64() else {
        panic!("not a number of seconds: {seconds}");
    };
    assert!(
        (lifetime - PASSED..=lifetime).contains(&left),
        "{left} s left of {lifetime} s"
    );
}

fn assert_asked_by_google_auth(request: &RecordedRequest) {
    assert_eq!(request.header("metadata-flavor"), Some("Google"));
    let agent = request.header("user-agent").unwrap_or_default();
    assert!(agent.starts_with("python-requests/"), "{request:?}");

    // google-auth says who it is wherever it counts its calls.
    let counted = request.path != "/computeMetadata/v1/project/project-id";
    let api_client = request.header("x-goog-api-client").unwrap_or_default();
    assert_eq!(api_client.contains("auth/2.62.2"), counted, "{request:?}");
    assert_eq!(api_client.contains("gl-python/"), counted, "{request:?}");
}
