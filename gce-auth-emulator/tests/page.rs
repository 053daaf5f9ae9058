//! The live page, and the events that it listens to.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use client::{connect, get, request, token};
use gce_auth_emulator::{Emulator, Fault};
use serde_json::{Value, json};

/// Listens to the events of an emulator.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(emulator: &Emulator) -> Self {
        let mut stream = connect(emulator.addr());
        write!(
            stream,
            "GET /emulator/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n",
            emulator.addr()
        )
        .unwrap();
        Self(BufReader::new(stream))
    }

    /// The data of the next event of this name.
    fn next(&mut self, name: &str) -> Value {
        let wanted = format!("event: {name}");
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0);
            if line.trim_end() == wanted {
                line.clear();
                self.0.read_line(&mut line).unwrap();
                return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    }

    /// The next word on a path.
    fn about(&mut self, path: &str) -> Value {
        loop {
            let request = self.next("request");
            if request["path"].as_str().unwrap().ends_with(path) {
                return request;
            }
        }
    }

    /// The last word on a path.
    fn ended(&mut self, path: &str) -> Value {
        loop {
            let request = self.about(path);
            if !request["milliseconds"].is_null() {
                return request;
            }
        }
    }
}

#[test]
fn requests_are_told_as_they_come_and_as_they_end() {
    let emulator = Emulator::builder().start().unwrap();
    get(emulator.addr(), "instance/zone");
    let mut listener = Listener::new(&emulator);
    assert_eq!(listener.about("instance/zone")["status"], 200);
    let state = listener.next("state");
    assert_eq!(state["profile"], "gce");
    assert_eq!(state["waiting"], 0);

    get(emulator.addr(), "instance/id");
    let ended = listener.ended("instance/id");
    assert_eq!(ended["status"], 200);
    assert!(ended["milliseconds"].is_f64());

    let mut waiting = connect(emulator.addr());
    waiting
        .write_all(b"GET /computeMetadata/v1/instance/tags?wait_for_change=true HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n")
        .unwrap();
    let begun = listener.about("instance/tags");
    assert_eq!(
        (&begun["status"], &begun["milliseconds"]),
        (&Value::Null, &Value::Null)
    );
    let path = "/computeMetadata/v1/instance/tags";
    while listener.next("state")["waiters"] != json!([{"path": path, "count": 1}]) {}
    emulator.set("instance/tags", "a").unwrap();
    let ended = listener.about("instance/tags");
    assert_eq!(
        (&ended["id"], &ended["status"]),
        (&begun["id"], &json!(200))
    );

    emulator.fail_next("instance/name", 1, Fault::Close);
    let mut stream = connect(emulator.addr());
    stream
        .write_all(b"GET /computeMetadata/v1/instance/name HTTP/1.1\r\nHost: m\r\n\r\n")
        .unwrap();
    let closed = listener.ended("instance/name");
    assert_eq!(
        (&closed["status"], &closed["fault"]),
        (&Value::Null, &"closed".into())
    );
    assert!(closed["milliseconds"].is_f64());
}

#[test]
fn near_misses_are_told() {
    let emulator = Emulator::builder().start().unwrap();
    request(
        emulator.addr(),
        "GET",
        "/computeMetadata/v1/instance/id",
        &[],
        b"",
    );
    get(emulator.addr(), "instance/service-account/default/token");
    get(emulator.addr(), "instance");
    get(emulator.addr(), "instance/id");
    let hints: Vec<_> = emulator
        .requests()
        .into_iter()
        .map(|request| request.hint)
        .collect();
    let expected = [
        Some("missing Metadata-Flavor: Google"),
        Some("did you mean /computeMetadata/v1/instance/service-accounts/default/token?"),
        Some("ask for /computeMetadata/v1/instance/"),
        None,
    ];
    assert_eq!(hints.len(), 4);
    for (hint, part) in hints.iter().zip(expected) {
        assert_eq!(hint.is_some(), part.is_some(), "{hint:?}");
        assert!(
            hint.iter().all(|hint| hint.contains(part.unwrap())),
            "{hint:?}"
        );
    }
}

#[test]
fn no_token_is_told() {
    let emulator = Emulator::builder().start().unwrap();
    let mut listener = Listener::new(&emulator);
    listener.next("state");
    let secret = token(emulator.addr(), "default");
    let target = format!("/tokeninfo?access_token={secret}");
    let bearer = format!("Bearer {secret}");
    request(
        emulator.addr(),
        "GET",
        &target,
        &[("Authorization", &bearer)],
        b"",
    );
    let told = [listener.about("/token"), listener.ended("/tokeninfo")];
    assert_eq!(told[1]["status"], 200);
    assert!(!told.iter().any(|told| told.to_string().contains(&secret)));
}

#[test]
fn the_page_may_run_nothing_but_itself() {
    let emulator = Emulator::builder().start().unwrap();
    let host = emulator.addr().to_string();
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        request(emulator.addr(), method, path, headers, b"")
    };
    let page = ask("GET", "/emulator/", &[("Host", &host)]);
    assert_eq!(page.status, 200);
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("Metadata-Flavor"), None);
    let mut files = vec![page.text().to_owned()];
    let (mut wanted, mut asked) = (vec!["page.css".to_owned(), "app.js".to_owned()], Vec::new());
    while let Some(name) = wanted.pop() {
        let file = ask("GET", &format!("/emulator/{name}"), &[("Host", &host)]);
        assert_eq!(file.status, 200, "{name}");
        assert_eq!(file.header("Content-Security-Policy"), Some(policy));
        assert_eq!(file.header("X-Content-Type-Options"), Some("nosniff"));
        let modules = file.text().lines().filter_map(|line| {
            let import = line.strip_prefix("import ")?;
            import.split("\"./").nth(1)?.split('"').next()
        });
        let modules: Vec<String> = modules.map(Into::into).collect();
        assert!(file.text().lines().count() < 400, "{name}");
        files.push(file.text().to_owned());
        asked.push(name);
        wanted.extend(modules.into_iter().filter(|name| !asked.contains(name)));
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 13, "{asked:?}");
    for text in files {
        for outside in [
            "@import",
            ": url(",
            "http://",
            "//cdn",
            "innerHTML",
            "style=",
            "eval(",
            "onclick=",
        ] {
            assert!(!text.contains(outside), "{outside}");
        }
    }
    assert_eq!(
        ask("GET", "/emulator/other.js", &[("Host", &host)]).status,
        404
    );
    let redirect = ask("GET", "/emulator", &[("Host", &host)]);
    assert_eq!(
        redirect.header("Location"),
        Some(format!("http://{host}/emulator/").as_str())
    );
    assert_eq!(ask("POST", "/emulator/", &[("Host", &host)]).status, 405);
    assert_eq!(
        ask("GET", "/emulator/", &[("Host", "rebound.example")]).status,
        403
    );
    for path in ["/emulator/", "/emulator/v1/events"] {
        let evil = [("Host", host.as_str()), ("Origin", "https://evil.example")];
        assert_eq!(ask("GET", path, &evil).status, 403);
    }
    assert_eq!(emulator.requests(), []);
}

#[test]
fn listeners_are_bounded_and_leave_room_when_they_go() {
    let emulator = Emulator::builder().start().unwrap();
    let status = || {
        let mut listener = Listener::new(&emulator);
        let mut line = String::new();
        listener.0.read_line(&mut line).unwrap();
        (line[9..12].to_owned(), listener)
    };
    let listeners: Vec<_> = (0..32).map(|_| status()).collect();
    assert!(listeners.iter().all(|(code, _)| code == "200"));
    let host = emulator.addr().to_string();
    let headers = [("Host", host.as_str())];
    let target = "/emulator/v1/events";
    let refused = request(emulator.addr(), "GET", target, &headers, b"");
    assert_eq!(refused.status, 503);
    let why = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(why.contains("32 listen already"), "{why}");
    // The page polls, and needs no place among them.
    let news = request(
        emulator.addr(),
        "GET",
        "/emulator/v1/news",
        &[("Host", &host)],
        b"",
    );
    assert_eq!(news.status, 200);
    drop(listeners);
    while status().0 != "200" {
        std::thread::yield_now();
    }
}
