//! The Security Token Service, over sockets.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

#[path = "../client/mod.rs"]
mod client;
mod federation;

use std::time::Duration;

use client::{
    Answer,
    cloud::{ACCESS_TOKEN, EXCHANGE, SCOPE, encode, error, iam, post, token_info},
    token,
};
use gce_auth_emulator::{Emulator, User};
use serde_json::json;

const POOL: &str = "projects/123456/locations/global/workloadIdentityPools/ci";

const WORKFORCE: &str = "locations/global/workforcePools/people/providers/okta";

const GITHUB: &str = "https://token.actions.githubusercontent.com";

const OWN: &str = "https://accounts.google.com";

const TARGET: &str = "robot@my-project.iam.gserviceaccount.com";

fn provider() -> String {
    format!("{POOL}/providers/github")
}

fn downscope(emulator: &Emulator, token: &str, options: &str) -> Answer {
    let fields = [
        ("grant_type", EXCHANGE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("options", options),
    ];
    post(emulator, "/v1/token", &fields, &[])
}

fn boundary() -> String {
    json!({"accessBoundary": {"accessBoundaryRules": [{
        "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
        "availabilityCondition": {
            "expression": "resource.name.startsWith('projects/_/buckets/b/objects/in/')",
        },
    }]}})
    .to_string()
}

#[test]
fn a_downscoped_token_is_held_to_its_boundary() {
    let emulator = Emulator::builder().start().unwrap();
    let source = token(emulator.addr(), "default");
    // As it is, and escaped once more, as google-auth for Python sends it.
    for options in [boundary(), encode(&boundary())] {
        let answer = downscope(&emulator, &source, &options);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let narrow = answer.json()["access_token"].as_str().unwrap().to_owned();
        let check = |resource: &str, permission: &str| {
            let asked = [("resource", resource), ("permission", permission)];
            token_info(&emulator, &narrow, &asked).status
        };
        let object = "//storage.googleapis.com/projects/_/buckets/b/objects/in/x";
        assert_eq!(check(object, "inRole:roles/storage.objectViewer"), 200);
        assert_eq!(check(object, "inRole:roles/storage.objectAdmin"), 403);
        assert_eq!(
            check(
                &object.replace("in/", "out/"),
                "inRole:roles/storage.objectViewer"
            ),
            403
        );
        let info = token_info(&emulator, &narrow, &[]).json();
        assert_eq!(
            info["access_boundary"]["accessBoundaryRules"]
                .as_array()
                .unwrap()
                .len(),
            1
        );

        let denied = iam(
            &emulator,
            &narrow,
            &format!("{TARGET}:signBlob"),
            &json!({"payload": "AAAA"}),
        );
        assert_eq!(denied.json()["error"]["status"], "PERMISSION_DENIED");
        let (code, _) = error(&downscope(&emulator, &narrow, &boundary()));
        assert_eq!(code, "invalid_request");
    }
    for (token, options, code) in [
        ("ya29.unknown", boundary(), "invalid_grant"),
        (source.as_str(), String::new(), "invalid_request"),
        (source.as_str(), "{}".into(), "invalid_request"),
        (
            source.as_str(),
            boundary().replace("inRole:", ""),
            "invalid_request",
        ),
    ] {
        assert_eq!(
            error(&downscope(&emulator, token, &options)).0,
            code,
            "{options}"
        );
    }
    // It ends with the token that it came from.
    emulator.advance(Duration::from_secs(3000));
    let left = downscope(&emulator, &source, &boundary()).json()["expires_in"]
        .as_u64()
        .unwrap();
    assert!((590..=599).contains(&left), "{left}");
}

#[test]
fn external_users_refresh_are_introspected_and_revoked() {
    let user = User::new("ada@example.com", "client", "secret", "refresh").scopes([SCOPE]);
    let emulator = Emulator::builder().user(user).strict(true).start().unwrap();
    let basic = [("Authorization", "Basic Y2xpZW50OnNlY3JldA==")];
    let refresh = |headers: &[(&str, &str)], refresh_token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        post(&emulator, "/v1/oauthtoken", &fields, headers)
    };
    let answer = refresh(&basic, "refresh").json();
    let access = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        (&answer["token_type"], &answer["scope"]),
        (&json!("Bearer"), &json!(SCOPE))
    );
    // The token of a user has the end of its source, which is not repeated.
    let narrow = downscope(&emulator, &access, &boundary()).json();
    assert!(narrow["access_token"].is_string() && narrow.get("expires_in").is_none());

    let introspect = |headers: &[(&str, &str)], token: &str| {
        post(
            &emulator,
            "/v1/introspect",
            &[("token", token), ("token_type_hint", ACCESS_TOKEN)],
            headers,
        )
    };
    let known = introspect(&basic, &access).json();
    assert_eq!(known["active"], true);
    assert_eq!(
        (&known["username"], &known["client_id"]),
        (&json!("ada@example.com"), &json!("client"))
    );
    let time = |name: &str| known[name].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(time("exp") - time("iat"), 3599);
    assert_eq!(
        introspect(&basic, "ya29.unknown").json(),
        json!({"active": false})
    );
    let wrong = [("Authorization", "Basic Y2xpZW50OndyZW9uZw==")];
    for headers in [&wrong[..], &[]] {
        let answer = introspect(headers, &access);
        assert_eq!(
            (answer.status, error(&answer).0.as_str()),
            (401, "invalid_client")
        );
    }
    assert_eq!(
        error(&post(&emulator, "/v1/introspect", &[], &basic)).0,
        "invalid_request"
    );
    let hint = post(
        &emulator,
        "/v1/introspect",
        &[("token", "x"), ("token_type_hint", "y")],
        &basic,
    );
    assert_eq!(error(&hint).0, "unsupported_token_type");

    assert_eq!(error(&refresh(&wrong, "refresh")).0, "invalid_client");
    assert_eq!(error(&refresh(&[], "refresh")).0, "invalid_request");
    assert_eq!(error(&refresh(&basic, "other")).0, "invalid_grant");
    assert_eq!(
        error(&post(
            &emulator,
            "/v1/oauthtoken",
            &[("grant_type", "x")],
            &basic
        ))
        .0,
        "unsupported_grant_type"
    );

    let revoke = |token: &str| post(&emulator, "/v1/revoke", &[("token", token)], &basic).status;
    assert_eq!((revoke(&access), revoke(&access)), (200, 200));
    assert_eq!(introspect(&basic, &access).json(), json!({"active": false}));
    let (code, description) = error(&refresh(&basic, "refresh"));
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("invalid_grant", "Token has been expired or revoked.")
    );
    assert_eq!(post(&emulator, "/v1/revoke", &[], &basic).status, 400);
}

#[test]
fn a_client_introspects_with_its_own_secret() {
    let user = |id: &str, secret: &str| User::new(format!("{id}@example.com"), id, secret, id);
    let start = |strict: bool| {
        let builder = Emulator::builder().user(user("one", "first"));
        let builder = builder.user(user("two", "second"));
        let builder = builder.strict(strict);
        builder.start().unwrap()
    };
    for (strict, of_none) in [(false, 200), (true, 401)] {
        let emulator = start(strict);
        let access = token(emulator.addr(), "default");
        let ask = |id: &str, secret: &str| {
            let client = [("client_id", id), ("client_secret", secret)];
            let client = client.iter().filter(|(_, value)| !value.is_empty());
            let mut fields = vec![("token", access.as_str())];
            fields.extend(client);
            let answer = post(&emulator, "/v1/introspect", &fields, &[]);
            assert!(answer.status != 200 || answer.json()["active"] == true);
            answer.status
        };
        assert_eq!(ask("one", "first"), 200);
        assert_eq!(ask("two", "second"), 200);
        assert_eq!(ask("two", "first"), 401, "the secret of another client");
        assert_eq!(ask("one", ""), 401);
        assert_eq!(ask("three", "third"), of_none);
        assert_eq!(ask("", ""), of_none);
    }
}
