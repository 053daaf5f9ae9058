//! Driving the emulator from another program.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use client::{Answer, get, request, token};
use gce_auth_emulator::Emulator;
use serde_json::{Value, json};

fn control(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Answer {
    let host = emulator.addr().to_string();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    request(
        emulator.addr(),
        method,
        &format!("/emulator/v1/{path}"),
        &[("Host", &host)],
        body.as_bytes(),
    )
}

fn emulator() -> Emulator {
    Emulator::builder()
        .set("instance/attributes/a", "1")
        .start()
        .unwrap()
}

#[test]
fn the_document_is_read_and_changed() {
    let emulator = emulator();
    let ask = |method: &str, path: &str, body: &Value| control(&emulator, method, path, body);
    assert_eq!(
        ask("GET", "document/instance/id", &Value::Null).text(),
        "5737554347302044216"
    );
    assert_eq!(
        ask("GET", "document/", &Value::Null).json()["instance"]["attributes"],
        json!({"a": "1"})
    );
    assert_eq!(
        ask("PUT", "document/instance/attributes", &json!({"b": "2"})).status,
        200
    );
    assert_eq!(get(emulator.addr(), "instance/attributes/").text(), "b\n");
    assert_eq!(
        ask("DELETE", "document/instance/attributes/b", &Value::Null).status,
        200
    );
    assert_eq!(
        ask("DELETE", "document/instance/attributes/b", &Value::Null).status,
        404
    );
    assert_eq!(ask("GET", "document/nothing", &Value::Null).status, 404);
    assert_eq!(ask("PUT", "document/", &json!(1)).status, 409);
    assert_eq!(ask("PUT", "document/instance/id/x", &json!(1)).status, 409);
}

#[test]
fn requests_are_shown_and_counted_and_those_of_control_are_not() {
    let emulator = emulator();
    let path = "instance/service-accounts/default/token";
    get(emulator.addr(), &format!("{path}?scopes=a%2Cb"));
    get(emulator.addr(), path);
    let shown = control(&emulator, "GET", "requests", &Value::Null).json();
    assert_eq!(shown["requests"].as_array().unwrap().len(), 2);
    assert_eq!(shown["requests"][0]["query"], "scopes=a%2Cb");
    let headers = shown["requests"][0]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["metadata-flavor", "Google"])));
    let expect = |times: u64, parameters: &Value| {
        let body = json!({"path": path, "times": times, "parameters": parameters});
        control(&emulator, "POST", "assertions", &body)
    };
    assert_eq!(expect(2, &json!({})).status, 200);
    assert_eq!(expect(1, &json!({"scopes": "a,b"})).status, 200);
    let wrong = expect(2, &json!({"scopes": "a,b"}));
    assert_eq!((wrong.status, &wrong.json()["count"]), (409, &json!(1)));
    control(&emulator, "DELETE", "requests", &Value::Null);
    assert_eq!(emulator.requests(), []);
}

#[test]
fn faults_clock_and_tokens_are_driven_and_reset() {
    let emulator = emulator();
    let post = |path: &str, body: &Value| control(&emulator, "POST", path, body).status;
    let status = || get(emulator.addr(), "instance/id").status;

    let busy = json!({"kind": "status", "code": 503, "retryAfter": 1});
    assert_eq!(
        post("faults", &json!({"path": "/", "times": 1, "fault": busy})),
        200
    );
    assert_eq!((status(), status()), (503, 200));
    assert_eq!(
        post(
            "faults",
            &json!({"path": "/", "forSeconds": 60, "fault": busy})
        ),
        200
    );
    assert_eq!(status(), 503);
    assert_eq!(post("clock", &json!({"advanceSeconds": 61})), 200);
    assert_eq!(status(), 200);
    assert_eq!(
        post(
            "faults",
            &json!({"path": "/", "allowed": 1, "perSeconds": 60, "fault": busy})
        ),
        200
    );
    assert_eq!((status(), status()), (200, 503));
    control(&emulator, "DELETE", "faults", &Value::Null);
    let chance = json!({"path": "/", "probability": 1, "seed": 7, "fault": busy});
    assert_eq!((post("faults", &chance), status()), (200, 503));
    assert_eq!(
        control(&emulator, "DELETE", "faults", &Value::Null).status,
        200
    );
    assert_eq!(status(), 200);

    let first = token(emulator.addr(), "default");
    assert_eq!(post("tokens/rotate", &Value::Null), 200);
    assert_ne!(token(emulator.addr(), "default"), first);
    assert_eq!(post("tokens/revoke", &Value::Null), 200);

    for kind in [
        json!({"kind": "close"}),
        json!({"kind": "reset"}),
        json!({"kind": "hang"}),
        json!({"kind": "delay", "milliseconds": 1}),
        json!({"kind": "missing-flavor"}),
        json!({"kind": "wrong-flavor", "flavor": "x"}),
        json!({"kind": "slow", "bytes": 1, "milliseconds": 1}),
        json!({"kind": "truncate", "bytes": 1}),
        json!({"kind": "body", "contentType": "a/b", "text": "{"}),
    ] {
        assert_eq!(
            post("faults", &json!({"path": "/", "fault": kind})),
            200,
            "{kind}"
        );
    }
    for bad in [
        json!({}),
        json!([]),
        json!({"path": "/"}),
        json!({"path": "/", "fault": {"kind": "status", "code": 7}}),
        json!({"path": "/", "fault": {"kind": "dance"}}),
        json!({"path": "/", "probability": 2, "fault": {"kind": "close"}}),
        json!({"path": "/", "probability": 1, "times": 1, "fault": {"kind": "close"}}),
        json!({"path": "/", "time": 1, "fault": {"kind": "close"}}),
        json!({"path": "/", "seed": 1, "fault": {"kind": "close"}}),
        json!({"path": "/", "fault": {"kind": "close", "bytes": 1}}),
        json!({"path": "/", "times": null, "fault": {"kind": "close"}}),
        json!({"path": "/", "times": -1, "fault": {"kind": "close"}}),
        json!({"path": "/", "times": 0, "fault": {"kind": "close"}}),
        json!({"path": "/", "forSeconds": 0, "fault": {"kind": "close"}}),
        json!({"path": "/", "times": 1, "forSeconds": 1, "fault": {"kind": "close"}}),
    ] {
        assert_eq!(post("faults", &bad), 400, "{bad}");
    }
    assert_eq!(post("clock", &json!({"advanceSeconds": "x"})), 400);
    control(&emulator, "DELETE", "faults", &Value::Null);

    let lifetimes = || control(&emulator, "GET", "tokens", &Value::Null).json();
    let at_first = json!({"lifetimeSeconds": 3599, "renewalSeconds": 299});
    assert_eq!(lifetimes(), at_first);
    let short = json!({"lifetimeSeconds": 60, "renewalSeconds": 10});
    assert_eq!((post("tokens", &short), lifetimes()), (200, short));
    let path = "instance/service-accounts/default/token";
    let left = get(emulator.addr(), path).json()["expires_in"].clone();
    assert!((58..=60).contains(&left.as_u64().unwrap()), "{left}");
    let token_before = token(emulator.addr(), "default");
    emulator.advance(std::time::Duration::from_secs(51));
    assert_ne!(token(emulator.addr(), "default"), token_before);
    for bad in [
        json!({"lifetimeSeconds": 0}),
        json!({"lifetimeSeconds": "60"}),
        json!({"renewalSeconds": -1}),
        json!({"lifetimeSeconds": 40_000_000}),
        json!({"lifetime": 60}),
        json!([]),
    ] {
        assert_eq!(post("tokens", &bad), 400, "{bad}");
    }
    assert_eq!(post("dance", &Value::Null), 404);

    emulator.set("instance/attributes/a", "2").unwrap();
    assert_eq!(post("reset", &Value::Null), 200);
    assert_eq!(get(emulator.addr(), "instance/attributes/a").text(), "1");
    assert_eq!(emulator.requests().len(), 1);
    assert_eq!(lifetimes(), at_first);
}

#[test]
fn keys_of_the_document_may_have_every_letter_and_numbers_stay_exact() {
    let emulator = emulator();
    let ask = |method: &str, path: &str, body: &Value| control(&emulator, method, path, body);
    let place = "document/instance/attributes/a%23b%3Fc%20d";
    assert_eq!(ask("PUT", place, &json!("x")).status, 200);
    let all = ask("GET", "document/instance/attributes", &Value::Null).json();
    assert_eq!(all, json!({"a": "1", "a#b?c d": "x"}));
    assert_eq!(ask("DELETE", place, &Value::Null).status, 200);
    let plain = "document/instance/attributes/100%";
    assert_eq!(ask("PUT", plain, &json!("x")).status, 200);
    assert_eq!(ask("GET", plain, &Value::Null).text(), "\"x\"");
    assert_eq!(ask("GET", "document/%FF", &Value::Null).status, 400);
    let id = "document/instance/id";
    assert_eq!(ask("PUT", id, &json!(u64::MAX)).status, 200);
    assert_eq!(ask("GET", id, &Value::Null).text(), u64::MAX.to_string());
}

#[test]
fn the_clock_is_set_moved_back_and_stopped() {
    let emulator = emulator();
    let post = |body: &Value| control(&emulator, "POST", "clock", body);
    let set = post(&json!({"now": "2031-01-31T12:00:00Z", "frozen": true})).json();
    assert_eq!(set["frozen"], true);
    assert!(
        set["now"]
            .as_str()
            .unwrap()
            .starts_with("2031-01-31T12:00:0")
    );
    let back = post(&json!({"advanceSeconds": -3600})).json();
    assert!(
        back["now"]
            .as_str()
            .unwrap()
            .starts_with("2031-01-31T11:00:0")
    );
    assert_eq!(
        control(&emulator, "GET", "clock", &Value::Null).json(),
        back
    );
    assert_eq!(post(&json!({"frozen": false})).json()["frozen"], false);
    for wrong in [
        json!({}),
        json!({"now": "soon"}),
        json!({"frozen": "yes"}),
        json!({"advanceSeconds": 1.5}),
        json!({"advanceSeconds": 10_000_000_000_u64}),
    ] {
        assert_eq!(post(&wrong).status, 400, "{wrong}");
    }
}

#[test]
fn accepted_tokens_are_shown_without_the_tokens_and_revoked_one_by_one() {
    let emulator = emulator();
    let first = token(emulator.addr(), "default");
    control(&emulator, "POST", "tokens/rotate", &Value::Null);
    let second = token(emulator.addr(), "default");
    let answer = control(&emulator, "GET", "tokens/current", &Value::Null);
    assert!(!answer.text().contains("ya29"), "{}", answer.text());
    let all = answer.json();
    assert_eq!(all["count"], 2);
    assert_eq!(all["tokens"][0]["lifetimeSeconds"], 3599);
    assert!(
        all["tokens"][0]["principal"]
            .as_str()
            .unwrap()
            .starts_with("serviceAccount:")
    );
    let id = all["tokens"][0]["id"].as_str().unwrap();
    let path = format!("tokens/current/{id}");
    assert_eq!(
        control(&emulator, "DELETE", &path, &Value::Null).status,
        200
    );
    assert_eq!(
        control(&emulator, "DELETE", &path, &Value::Null).status,
        404
    );
    let accepted = |token: &str| {
        let target = format!("/tokeninfo?access_token={token}");
        request(emulator.addr(), "GET", &target, &[], b"").status == 200
    };
    assert_eq!(u8::from(accepted(&first)) + u8::from(accepted(&second)), 1);
}

#[test]
fn faults_are_listed_and_taken_away_one_by_one() {
    let emulator = emulator();
    let busy = json!({"path": "instance/", "client": "py", "times": 3,
        "fault": {"kind": "status", "code": 503}});
    let hang = json!({"path": "/x", "fault": {"kind": "hang"}});
    let add = |rule| control(&emulator, "POST", "faults", rule).json()["id"].clone();
    let (first, second) = (add(&busy), add(&hang));
    let answer = request(
        emulator.addr(),
        "GET",
        "/computeMetadata/v1/instance/id",
        &[("Metadata-Flavor", "Google"), ("User-Agent", "py")],
        b"",
    );
    assert_eq!(answer.status, 503);
    let shown = control(&emulator, "GET", "faults", &Value::Null).json();
    assert_eq!(
        shown,
        json!({"faults": [
            {"id": first, "hits": 1, "path": "/computeMetadata/v1/instance/", "client": "py", "times": 3,
                "fault": {"kind": "status", "code": 503}},
            {"id": second, "hits": 0, "path": "/x", "fault": {"kind": "hang"}},
        ]})
    );
    let take = |id: &Value| control(&emulator, "DELETE", &format!("faults/{id}"), &Value::Null);
    assert_eq!((take(&first).status, take(&first).status), (200, 404));
    assert_eq!(take(&json!("x")).status, 404);
    let left = control(&emulator, "GET", "faults", &Value::Null).json();
    assert_eq!(left["faults"].as_array().unwrap().len(), 1);
    let recorded = control(&emulator, "GET", "requests", &Value::Null).json();
    assert_eq!(recorded["requests"][0]["status"], 503);
    assert_eq!(recorded["requests"][0]["fault"], "503");
    assert!(recorded["requests"][0]["milliseconds"].is_f64());
}

#[test]
fn no_web_page_and_no_other_name_gets_in() {
    let emulator = emulator();
    let host = emulator.addr().to_string();
    let ask = |headers: &[(&str, &str)]| {
        request(
            emulator.addr(),
            "GET",
            "/emulator/v1/requests",
            headers,
            b"",
        )
        .status
    };
    assert_eq!(ask(&[("Host", &host)]), 200);
    assert_eq!(ask(&[("Host", &host), ("Origin", &emulator.url())]), 200);
    assert_eq!(ask(&[("Host", "rebound.example")]), 403);
    assert_eq!(
        ask(&[("Host", &host), ("Origin", "https://evil.example")]),
        403
    );
    assert_eq!(ask(&[("Host", &host), ("Origin", "null")]), 403);
    assert_eq!(ask(&[("Host", &host), ("X-Forwarded-For", "1.2.3.4")]), 403);
    let answer = request(
        emulator.addr(),
        "GET",
        "/emulator/v1/requests",
        &[("Host", &host)],
        b"",
    );
    assert_eq!(answer.header("Metadata-Flavor"), None);
}

#[test]
fn the_description_names_what_there_is() {
    let emulator = emulator();
    let description = control(&emulator, "GET", "openapi.json", &Value::Null).json();
    let paths = description["paths"].as_object().unwrap();
    for (path, operations) in paths {
        if path == "/events" {
            // It goes on as long as its client listens.
            continue;
        }
        let path = path
            .trim_start_matches('/')
            .replace("{path}", "instance")
            .replace("{id}", "1");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let known = operations.get(method.to_lowercase()).is_some();
            let answer = control(&emulator, method, &path, &Value::Null);
            assert_eq!(answer.status != 405, known, "{method} {path}");
            if !known {
                let allow = answer.header("Allow").unwrap();
                assert_eq!(
                    allow.split(", ").count(),
                    operations.as_object().unwrap().len()
                );
            }
        }
    }
}
