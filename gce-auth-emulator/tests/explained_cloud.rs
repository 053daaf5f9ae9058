//! Refusals of Google's APIs: the cause, and what would have worked.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::{
    cloud::{ACCESS_TOKEN, EXCHANGE, JWT, now, sign},
    refused::{Ask, Refused, check},
    token,
};
use gce_auth_emulator::{Account, Emulator, Provider};
use serde_json::json;

const ACCOUNT: &str = "robot@p.iam.gserviceaccount.com";
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/p/providers/q";

#[test]
fn refusals_of_iam_name_the_token_the_account_and_the_grant() {
    let caller = "caller@p.iam.gserviceaccount.com";
    let emulator = Emulator::builder()
        .account(Account::new(caller))
        .account(
            Account::new("reader@p")
                .scopes(["https://www.googleapis.com/auth/devstorage.read_only"]),
        )
        .service_account(ACCOUNT)
        .impersonation(caller, ACCOUNT)
        .strict(true)
        .start()
        .unwrap();
    let good = token(emulator.addr(), "default");
    let reader = token(emulator.addr(), "reader@p");
    let identity = client::get(
        emulator.addr(),
        "instance/service-accounts/default/identity?audience=x",
    );
    let scope = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"]});
    let generate = format!("{ACCOUNT}:generateAccessToken");
    let row = |name, ask, status, why, instead| Refused {
        name,
        ask,
        status,
        why,
        instead,
        mended: Some(Ask::iam(&good, "POST", &generate, &scope)),
    };
    let post =
        |token: &str, call: &str, body: &serde_json::Value| Ask::iam(token, "POST", call, body);
    let path = format!("/v1/projects/-/serviceAccounts/{generate}");
    let rows = vec![
        row(
            "no token",
            Ask::new("POST", path),
            401,
            "no Authorization",
            "default/token",
        ),
        row(
            "an unknown token",
            post("ya29.x", &generate, &scope),
            401,
            "never issued here",
            "default/token",
        ),
        row(
            "an ID token",
            post(identity.text(), &generate, &scope),
            401,
            "JWT",
            "access_token",
        ),
        row(
            "scopes",
            post(&reader, &generate, &scope),
            403,
            "no scope that covers",
            "cloud-platform",
        ),
        row(
            "a typing error",
            post(
                &good,
                "robt@p.iam.gserviceaccount.com:generateAccessToken",
                &scope,
            ),
            404,
            "no service account robt@p",
            ACCOUNT,
        ),
        row(
            "a grant",
            post(&good, "reader@p:signBlob", &json!({"payload": "YQ=="})),
            403,
            "iam.serviceAccounts.signBlob on reader@p",
            "EmulatorBuilder::impersonation(CALLER, \"reader@p\")",
        ),
        row(
            "a method",
            post(&good, &format!("{ACCOUNT}:generateAccessTokens"), &scope),
            404,
            "no method generateAccessTokens",
            ":generateAccessToken",
        ),
        row(
            "GET",
            Ask::iam(&good, "GET", &generate, &json!({})),
            404,
            "is asked with GET",
            "POST /v1/projects/-/",
        ),
        row(
            "no scope",
            post(&good, &generate, &json!({})),
            400,
            "no scope",
            "\"scope\": [",
        ),
        row(
            "a long life",
            post(
                &good,
                &generate,
                &json!({"scope": ["https://a.b/c"], "lifetime": "7200s"}),
            ),
            400,
            "an hour at most",
            "3600s",
        ),
        row(
            "no JSON",
            post(&good, &generate, &json!("text")),
            400,
            "no JSON object",
            "Content-Type",
        ),
        row(
            "an audience",
            post(&good, &format!("{ACCOUNT}:generateIdToken"), &json!({})),
            400,
            "no audience",
            "\"audience\"",
        ),
    ];
    assert_eq!(check(&emulator, &rows), 12);
}

#[test]
fn refusals_of_oauth_and_sts_name_what_does_not_fit() {
    let emulator = Emulator::builder()
        .account(Account::new(ACCOUNT))
        .provider(
            Provider::oidc(PROVIDER, "https://issuer.example").condition("assertion.team == 'a'"),
        )
        .strict(true)
        .start()
        .unwrap();
    let audience = format!("//iam.googleapis.com/{PROVIDER}");
    let subject = |issuer: &str, team: &str| {
        sign(
            &emulator,
            &json!({"iss": issuer, "aud": audience, "sub": "s", "team": team}),
        )
    };
    let federate = |provider: &str, subject: &str| {
        Ask::form(
            "/v1/token",
            &[
                ("grant_type", EXCHANGE),
                ("requested_token_type", ACCESS_TOKEN),
                ("subject_token_type", JWT),
                ("subject_token", subject),
                ("audience", provider),
                ("scope", client::cloud::SCOPE),
            ],
        )
    };
    let good = subject("https://issuer.example", "a");
    let assertion = |claims: serde_json::Value| {
        let signed = sign(&emulator, &claims);
        Ask::form(
            "/token",
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &signed),
            ],
        )
    };
    let claims = |more: serde_json::Value| {
        let mut all = json!({"iss": ACCOUNT, "aud": "https://oauth2.googleapis.com/token", "scope": client::cloud::SCOPE});
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        all
    };
    let row = |name, ask, status, why, instead, mended| Refused {
        name,
        ask,
        status,
        why,
        instead,
        mended,
    };
    let refresh = |token: &str| {
        Ask::form(
            "/token",
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", "x"),
                ("client_secret", "y"),
            ],
        )
    };
    let exchanged = || Some(federate(&audience, &good));
    let signed = || Some(assertion(claims(json!({}))));
    let rows = vec![
        row(
            "no grant",
            Ask::form("/v1/token", &[("a", "b")]),
            400,
            "no grant_type",
            EXCHANGE,
            exchanged(),
        ),
        row(
            "a body that is no form",
            Ask::new("POST", "/token").body("grant_type=refresh_token"),
            400,
            "no grant_type",
            "application/x-www-form-urlencoded",
            signed(),
        ),
        row(
            "another grant",
            Ask::form("/token", &[("grant_type", "password")]),
            400,
            "password",
            "jwt-bearer",
            signed(),
        ),
        row(
            "no provider",
            federate("pool", &good),
            400,
            "no name of a provider",
            "//iam.googleapis.com/projects/",
            exchanged(),
        ),
        row(
            "an unknown provider",
            federate(&audience.replace("/q", "/other"), &good),
            400,
            "no such provider",
            PROVIDER,
            exchanged(),
        ),
        row(
            "another issuer",
            federate(&audience, &subject("https://other.example", "a")),
            400,
            "issuer in ID Token https://other.example does not match",
            "issuerUri",
            exchanged(),
        ),
        row(
            "the condition",
            federate(&audience, &subject("https://issuer.example", "b")),
            400,
            "attribute condition",
            "Provider::condition",
            exchanged(),
        ),
        row(
            "an audience",
            assertion(claims(json!({"aud": "https://x"}))),
            400,
            "no token endpoint",
            "https://oauth2.googleapis.com/token",
            signed(),
        ),
        row(
            "an old assertion",
            assertion(claims(json!({"exp": now(&emulator) - 1}))),
            400,
            "is over",
            "emulator's clock",
            signed(),
        ),
        row(
            "an unknown account",
            assertion(claims(json!({"iss": "x@y"}))),
            400,
            "no service account that is known",
            ACCOUNT,
            signed(),
        ),
        row(
            "no scope",
            assertion(claims(json!({"scope": ""}))),
            400,
            "neither scope nor target_audience",
            "target_audience",
            signed(),
        ),
        row(
            "a client",
            refresh("1//x"),
            401,
            "client_id is of no user",
            "known are",
            None,
        ),
        row(
            "an unknown token",
            Ask::new("GET", "/tokeninfo?access_token=x"),
            400,
            "never issued here",
            "fresh one",
            None,
        ),
        row(
            "nothing to revoke",
            Ask::form("/revoke", &[("token", "x")]),
            400,
            "never issued here",
            "nothing is left",
            None,
        ),
        row(
            "a host of Google's",
            Ask::new("GET", "/v2/things").with(("Host", "iamcredentials.googleapis.com")),
            404,
            "nothing at this path",
            ":signBlob",
            None,
        ),
    ];
    assert_eq!(check(&emulator, &rows), 15);
}
