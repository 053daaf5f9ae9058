//! What the journal tells of a request and its answer, and that it tells no secret.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::io::{Read, Write};

use client::{
    Answer,
    cloud::{ACCESS_TOKEN, EXCHANGE, JWT, SCOPE, iam, post, sign},
    connect, get, request, token,
};
use gce_auth_emulator::{Account, Emulator, Fault, FaultRule, User};
use serde_json::{Value, json};

const ROBOT: &str = "robot@p.iam.gserviceaccount.com";

fn ask(emulator: &Emulator, path: &str) -> Answer {
    let host = emulator.addr().to_string();
    let target = format!("/emulator/v1/{path}");
    request(emulator.addr(), "GET", &target, &[("Host", &host)], b"")
}

/// The last request, with everything.
fn last(emulator: &Emulator) -> Value {
    let id = emulator.requests().last().unwrap().id;
    ask(emulator, &format!("requests/{id}")).json()
}

#[test]
fn a_request_is_told_with_its_client_its_answer_and_when() {
    let emulator = Emulator::builder().start().unwrap();
    let api = "gl-python/3.12.3 auth/2.63.0 auth-request-type/at cred-type/mds";
    let headers = [
        ("Metadata-Flavor", "Google"),
        ("User-Agent", "python-requests/2.32.3"),
        ("x-goog-api-client", api),
        ("X-Trace", "abc"),
    ];
    let target = "/computeMetadata/v1/instance/id";
    let answer = request(emulator.addr(), "GET", target, &headers, b"");
    let seen = last(&emulator);
    assert_eq!(seen["client"]["name"], "Python 3.12.3, google-auth 2.63.0");
    assert_eq!(seen["client"]["asks"], "access token");
    let headers = seen["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-trace", "abc"])));
    assert_eq!(seen["answer"]["body"], answer.text());
    let names: Vec<&str> = seen["answer"]["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| header[0].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        answer
            .names()
            .into_iter()
            .filter(|name| *name != "Connection")
            .collect::<Vec<_>>()
    );
    assert_eq!(seen["answeredBy"], "emulator");
    assert!(seen["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let time = seen["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert_eq!(seen["why"], Value::Null);

    let busy = Fault::Status {
        code: 503,
        retry_after: None,
    };
    let id = emulator.add_fault(FaultRule::new(busy).times(1));
    get(emulator.addr(), "instance/id");
    assert_eq!(last(&emulator)["answeredBy"], format!("fault {id}: 503"));
    assert_eq!(ask(&emulator, "requests/12345").status, 404);
    assert_eq!(ask(&emulator, "requests/x").status, 404);
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_that_asked_is_named_where_the_kernel_tells() {
    let emulator = Emulator::builder().start().unwrap();
    let mut stream = connect(emulator.addr());
    stream
        .write_all(b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n")
        .unwrap();
    let mut answer = [0; 64];
    assert!(stream.read(&mut answer).unwrap() > 0);
    // It is found a moment later, as long as the connection is open.
    let process = loop {
        if let Some(process) = emulator.requests()[0].process.clone() {
            break process;
        }
        std::thread::yield_now();
    };
    assert_eq!(process.pid, std::process::id());
    assert!(process.name.starts_with("journal"), "{}", process.name);
}

#[test]
fn news_are_told_once_with_the_end_of_what_was_under_way() {
    let emulator = Emulator::builder().start().unwrap();
    for _ in 0..5 {
        get(emulator.addr(), "instance/id");
    }
    let first = ask(&emulator, "news?after=0&limit=2").json();
    assert_eq!(first["requests"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["leftOut"], &first["lastId"]),
        (&json!(3), &json!(5))
    );
    let mut waiting = connect(emulator.addr());
    waiting
        .write_all(b"GET /computeMetadata/v1/instance/tags?wait_for_change=true HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n")
        .unwrap();
    while emulator.waiting() == 0 {
        std::thread::yield_now();
    }
    let begun = ask(&emulator, "news?after=5").json();
    assert_eq!(begun["requests"].as_array().unwrap().len(), 1);
    assert_eq!(begun["requests"][0]["status"], Value::Null);
    assert_eq!(begun["state"]["waiters"][0]["count"], 1);
    let nothing = ask(&emulator, "news?after=6&pending=6").json();
    assert_eq!(nothing["requests"], json!([]));
    emulator.set("instance/tags", "a").unwrap();
    let mut answer = [0; 64];
    assert!(waiting.read(&mut answer).unwrap() > 0);
    let ended = ask(&emulator, "news?after=6&pending=6").json();
    assert_eq!(ended["requests"][0]["status"], 200);
    assert_eq!(ended["leftOut"], 0);
    get(emulator.addr(), "instance/id");
    emulator.clear_requests();
    let cleared = ask(&emulator, "news?after=6").json();
    assert_eq!(
        (&cleared["leftOut"], &cleared["requests"]),
        (&json!(0), &json!([]))
    );
    for wrong in [
        "after=x",
        "after=%2B1",
        "limit=-1",
        "limit=1001",
        "limit=",
        "limit=1&limit=x",
        "pending=&pending=x",
        "pending=1,x",
    ] {
        assert_eq!(
            ask(&emulator, &format!("news?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
}

#[test]
fn what_a_web_token_says_is_told_and_no_signature() {
    let emulator = Emulator::builder().start().unwrap();
    let path = "instance/service-accounts/default/identity?audience=https%3A%2F%2Fa";
    let identity = get(emulator.addr(), path);
    let seen = last(&emulator);
    assert_eq!(seen["answer"]["body"], "[JWT 1]");
    assert_eq!(seen["webTokens"][0]["claims"]["aud"], "https://a");
    assert_eq!(seen["webTokens"][0]["header"]["alg"], "RS256");
    assert_eq!(seen["webTokens"][0]["lifetimeSeconds"], 3600);
    let signature = identity.text().rsplit('.').next().unwrap();
    assert!(!seen.to_string().contains(signature));
}

/// Every secret that the emulator hands out or is shown, by every way in which it is.
#[test]
fn no_secret_is_told() {
    let user = User::new(
        "u@example.com",
        "client-id",
        "client-s3cret",
        "1//refresh-s3cret",
    );
    let emulator = Emulator::builder()
        .account(Account::new(ROBOT))
        .user(user)
        .start()
        .unwrap();
    let mut secrets = vec![
        "client-s3cret".to_owned(),
        "1//refresh-s3cret".to_owned(),
        "refresh-s3cret".to_owned(),
    ];
    let mut keep = |text: &str| {
        // Of a web token, its signature: what it says may be told.
        let secret = text.rsplit('.').next().unwrap();
        assert!(secret.len() > 20, "{text}");
        secrets.push(secret.to_owned());
    };
    let access = token(emulator.addr(), "default");
    keep(&access);
    let text = get(
        emulator.addr(),
        "instance/service-accounts/default/token?alt=text",
    );
    assert!(text.text().contains(&access));
    keep(
        get(
            emulator.addr(),
            "instance/service-accounts/default/identity?audience=a&format=full",
        )
        .text(),
    );
    let scope = json!({"scope": [SCOPE]});
    keep(
        iam(
            &emulator,
            &access,
            &format!("{ROBOT}:generateAccessToken"),
            &scope,
        )
        .json()["accessToken"]
            .as_str()
            .unwrap(),
    );
    let audience = json!({"audience": "a"});
    keep(
        iam(
            &emulator,
            &access,
            &format!("{ROBOT}:generateIdToken"),
            &audience,
        )
        .json()["token"]
            .as_str()
            .unwrap(),
    );
    let payload = json!({"payload": "YWJj"});
    keep(
        iam(&emulator, &access, &format!("{ROBOT}:signBlob"), &payload).json()["signedBlob"]
            .as_str()
            .unwrap(),
    );
    let assertion = sign(
        &emulator,
        &json!({"iss": ROBOT, "aud": "https://oauth2.googleapis.com/token", "scope": SCOPE}),
    );
    keep(&assertion);
    let bearer = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    keep(
        post(&emulator, "/token", &bearer, &[]).json()["access_token"]
            .as_str()
            .unwrap(),
    );
    let grant = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "1//refresh-s3cret"),
        ("client_id", "client-id"),
        ("client_secret", "client-s3cret"),
    ];
    keep(
        post(&emulator, "/token", &grant, &[]).json()["access_token"]
            .as_str()
            .unwrap(),
    );
    // As JSON, as a query, escaped, and broken off.
    let body = r#"{"grantType":"refresh_token","refreshToken":"1//refresh-s3cret","client\u005fsecret":"client-s3cret"}"#;
    request(
        emulator.addr(),
        "POST",
        "/token",
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    );
    request(
        emulator.addr(),
        "POST",
        "/token?client%5Fsecret=client-s3cret&refresh_token=1//refresh-s3cret",
        &[],
        b"",
    );
    request(
        emulator.addr(),
        "POST",
        "/token",
        &[],
        br#"{"client_secret": "client-s3cret"#,
    );
    let basic = format!("Basic {}", {
        use base64::Engine;
        base64::prelude::BASE64_STANDARD.encode("client-id:client-s3cret")
    });
    post(
        &emulator,
        "/v1/introspect",
        &[("token", &access)],
        &[("Authorization", &basic)],
    );
    secrets.push(basic["Basic ".len()..].to_owned());
    let exchange = [
        ("grant_type", EXCHANGE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token_type", ACCESS_TOKEN),
        ("subject_token", access.as_str()),
        (
            "options",
            r#"{"accessBoundary":{"accessBoundaryRules":[{"availableResource":"//storage.googleapis.com/projects/_/buckets/b","availablePermissions":["inRole:roles/storage.objectViewer"]}]}}"#,
        ),
    ];
    let downscoped = post(&emulator, "/v1/token", &exchange, &[]).json();
    secrets.push(downscoped["access_token"].as_str().unwrap().to_owned());
    let subject = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", JWT),
        ("subject_token", &assertion),
    ];
    post(&emulator, "/v1/token", &subject, &[]);
    request(
        emulator.addr(),
        "GET",
        &format!("/tokeninfo?access_token={access}"),
        &[],
        b"",
    );
    request(
        emulator.addr(),
        "GET",
        &format!("/computeMetadata/v1/{access}"),
        &[],
        b"",
    );
    emulator
        .set(
            "instance/attributes/pem",
            "-----BEGIN PRIVATE KEY-----\nMIIs3cretkey\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
    get(emulator.addr(), "instance/attributes/pem");
    get(emulator.addr(), "instance/?recursive=true");
    secrets.push("MIIs3cretkey".into());

    let told = [
        ask(&emulator, "requests").text().to_owned(),
        ask(&emulator, "news?after=0").text().to_owned(),
        format!("{:?}", emulator.requests()),
        emulator
            .requests()
            .iter()
            .map(|request| {
                ask(&emulator, &format!("requests/{}", request.id))
                    .text()
                    .to_owned()
            })
            .collect(),
    ];
    assert!(emulator.requests().len() > 20 && secrets.len() > 12);
    for told in &told {
        for secret in &secrets {
            assert!(!told.contains(secret), "{secret} is told");
        }
    }
    // What is no secret is there.
    assert!(told[0].contains("client-id") && told[0].contains(ROBOT));
}
