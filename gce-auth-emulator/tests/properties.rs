//! What holds for any document and for any bytes.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    collections::BTreeMap,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use client::{connect, exchange, get, parse, request};
use gce_auth_emulator::Emulator;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

/// Panics on the servers' threads, since the program began.
fn panics() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some("metadata-emulator") {
                COUNT.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
    COUNT.load(Ordering::SeqCst)
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Keys as users choose them; in a path they stand as they are.
fn user_key() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.@-]{1,12}"
}

/// Keys as Google chooses them.
fn schema_key() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,5}([A-Z][a-z0-9]{1,5}){0,2}"
        .prop_filter("these mean something", |key| key != "serviceAccounts")
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ -~\u{e9}\u{1f600}\n]{0,20}".prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::collection::vec("[!-~]{1,8}".prop_map(Value::from), 0..3).prop_map(Value::from),
    ]
}

fn subtree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map(schema_key(), inner.clone(), 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            prop::collection::vec(
                prop::collection::btree_map(schema_key(), inner, 1..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
                1..3
            )
            .prop_map(Value::from),
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    (
        prop::collection::btree_map(schema_key(), subtree(), 0..5),
        prop::collection::btree_map(user_key(), "[ -~]{0,20}", 0..5),
        prop::collection::btree_map(
            "[a-z]{1,8}@[a-z]{1,8}",
            prop::collection::vec("[a-z]{1,5}", 0..3),
            0..3,
        ),
    )
        .prop_map(|(instance, attributes, accounts)| {
            let mut instance: Map<String, Value> = instance.into_iter().collect();
            instance.insert("attributes".into(), json!(attributes));
            let accounts: Map<String, Value> = accounts
                .into_iter()
                .map(|(email, scopes)| {
                    let account = json!({"aliases": [], "email": email, "scopes": scopes});
                    (email, account)
                })
                .collect();
            instance.insert("serviceAccounts".into(), accounts.into());
            json!({"instance": instance, "project": {"projectId": "p"}})
        })
}

fn kebab(key: &str) -> String {
    let mut out = String::new();
    for character in key.chars() {
        if character.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

fn is_directory(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    }
}

/// Whether the names below a path were chosen by a user.
fn is_verbatim(path: &str) -> bool {
    matches!(path, "instance/attributes" | "instance/service-accounts")
}

/// What stands below a directory, by its name in a path.
fn children(value: &Value, verbatim: bool) -> Vec<(String, &Value)> {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (if verbatim { key.clone() } else { kebab(key) }, value))
            .collect(),
        Value::Array(items) if is_directory(value) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Walks what the recursive form shows, and asks for each place by its path.
fn check(emulator: &Emulator, path: &str, value: &Value, verbatim: bool) {
    let ask = |path: &str| get(emulator.addr(), path);
    if !is_directory(value) {
        let as_json = ask(&format!("{path}?alt=json"));
        assert_eq!(as_json.status, 200, "{path}");
        assert_eq!(&as_json.json(), value, "{path}");
        if let Value::String(text) = value {
            assert_eq!(ask(path).text(), text, "{path}");
        }
        assert_eq!(ask(&format!("{path}/")).status, 404, "{path}");
        return;
    }
    let slash = if path.is_empty() {
        String::new()
    } else {
        format!("{path}/")
    };
    if !path.is_empty() {
        assert_eq!(ask(path).status, 301, "{path}");
    }
    assert_eq!(
        &ask(&format!("{slash}?recursive=true")).json(),
        value,
        "{path}"
    );
    let children = children(value, verbatim);
    let listing = ask(&slash);
    let listed: Vec<&str> = listing
        .text()
        .lines()
        .map(|line| line.trim_end_matches('/'))
        .filter(|name| {
            !matches!(*name, "token" | "identity") || !path.contains("service-accounts/")
        })
        .collect();
    assert_eq!(listed.len(), children.len(), "{path}: {listed:?}");
    for (name, child) in children {
        assert!(
            listed.contains(&name.as_str()),
            "{path}: {name} not in {listed:?}"
        );
        let path = format!("{slash}{name}");
        check(emulator, &path, child, is_verbatim(&path));
    }
}

#[test]
fn every_path_of_the_recursive_form_is_reachable_and_agrees() {
    let before = panics();
    runner(24)
        .run(&document(), |document| {
            let emulator = Emulator::builder()
                .document(document.to_string())
                .start()
                .unwrap();
            let shown = get(emulator.addr(), "?recursive=true").json();
            prop_assert_eq!(&shown, &document);
            check(&emulator, "", &shown, false);
            Ok(())
        })
        .unwrap();
    assert_eq!(panics(), before);
}

#[test]
fn an_etag_changes_exactly_when_its_place_does() {
    let emulator = Emulator::builder().start().unwrap();
    let etag = |path: &str| {
        get(emulator.addr(), path)
            .header("ETag")
            .unwrap()
            .to_owned()
    };
    let other = etag("project/?recursive=true");
    runner(64)
        .run(&("[a-c]{0,2}", "[a-c]{0,2}"), |(one, two)| {
            emulator.set("instance/attributes/a", &one).unwrap();
            let first = (etag("instance/attributes/a"), etag("?recursive=true"));
            emulator.set("instance/attributes/a", &two).unwrap();
            let second = (etag("instance/attributes/a"), etag("?recursive=true"));
            prop_assert_eq!(one == two, first.0 == second.0);
            prop_assert_eq!(one == two, first.1 == second.1);
            prop_assert_eq!(&etag("project/?recursive=true"), &other);
            Ok(())
        })
        .unwrap();
}

/// Every place of a document, as a path, with its value.
fn places(path: &str, value: &Value, verbatim: bool, found: &mut BTreeMap<String, Value>) {
    let slash = if path.is_empty() || !is_directory(value) {
        path.to_owned()
    } else {
        format!("{path}/")
    };
    found.insert(slash.clone(), value.clone());
    for (name, child) in children(value, verbatim) {
        let path = format!("{slash}{name}");
        let verbatim = is_verbatim(&path);
        places(&path, child, verbatim, found);
    }
}

#[test]
fn of_any_two_documents_the_etags_differ_exactly_where_the_values_do() {
    runner(16)
        .run(&(document(), document()), |(one, mut two)| {
            // Two that have something in common.
            two["instance"]["attributes"] = one["instance"]["attributes"].clone();
            let emulator = Emulator::builder()
                .document(one.to_string())
                .start()
                .unwrap();
            let mut all = BTreeMap::new();
            places("", &one, false, &mut all);
            let etag = |path: &str| {
                let answer = get(emulator.addr(), path);
                answer.header("ETag").map(ToOwned::to_owned)
            };
            let of_one: Vec<_> = all.keys().map(|path| etag(path)).collect();
            emulator.set_json("", &two.to_string()).unwrap();
            let mut others = BTreeMap::new();
            places("", &two, false, &mut others);
            for ((path, value), before) in all.iter().zip(of_one) {
                prop_assert!(before.is_some(), "{}", path);
                let same = others.get(path) == Some(value);
                prop_assert_eq!(etag(path) == before, same, "{}", path);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_bytes_panic_the_server() {
    let before = panics();
    let emulator = Emulator::builder().start().unwrap();
    let line = (
        prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("PUT"), Just("DELETE"), Just("BREW")],
        prop_oneof![
            "/computeMetadata/v1/[a-z0-9/?=&%@.-]{0,60}",
            "/computeMetadata/v1/instance/service-accounts/default/(token|identity)[?/&=a-z%0-9_]{0,40}",
            "/computeMetadata/v1/instance/(guest-attributes|disks|tags|attributes)/[ -~]{0,30}",
            "/v1/projects/[a-z%@:/-]{0,50}",
            "/(token|tokeninfo|oauth2/v3/certs)[?=&a-z_.]{0,40}",
            "[ -~]{0,40}",
        ],
        "([A-Za-z-]{1,10}: [ -~]{0,20}\r\n){0,4}",
        prop::collection::vec(any::<u8>(), 0..60),
    )
        .prop_map(|(method, target, headers, body)| {
            let mut bytes = format!(
                "{method} {target} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            bytes.extend(body);
            bytes
        });
    let anything = prop_oneof![
        3 => line,
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    runner(400)
        .run(&anything, |bytes| {
            let mut stream = connect(emulator.addr());
            use std::io::{Read, Write};
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."));
            Ok(())
        })
        .unwrap();
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    assert_eq!(panics(), before);
}

#[test]
fn sizes_are_bounded() {
    let before = panics();
    let emulator = Emulator::builder().start().unwrap();
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let flavor = ("Metadata-Flavor", "Google");
    let long = "x".repeat(200_000);
    let headers = exchange(
        emulator.addr(),
        format!("GET {path} HTTP/1.1\r\nHost: m\r\nX-Long: {long}\r\n\r\n").as_bytes(),
    );
    assert!(headers.is_empty() || parse(&headers).status >= 400);
    let many = "A: b\r\n".repeat(1000);
    let headers = exchange(
        emulator.addr(),
        format!("GET {path} HTTP/1.1\r\nHost: m\r\n{many}\r\n").as_bytes(),
    );
    assert!(headers.is_empty() || parse(&headers).status >= 400);
    let body = vec![b'x'; 1 << 20];
    assert_eq!(
        request(emulator.addr(), "POST", path, &[flavor], &body).status,
        400
    );
    let announced = exchange(
        emulator.addr(),
        format!("POST {path} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(parse(&announced).status, 413);
    assert_eq!(panics(), before);
}
