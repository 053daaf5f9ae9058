//! Signatures by the IAM Credentials API.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    EMAIL, STORAGE, claims,
    client::{request, token},
    emulator, iam, verify,
};

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
