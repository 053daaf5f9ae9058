//! What changes while the emulator runs: values, waiters, faults, and its own end.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::mpsc,
    thread,
    time::Duration,
};

use client::{connect, exchange, get, parse, request, token};
use gce_auth_emulator::{Emulator, Fault};

fn emulator() -> Emulator {
    Emulator::builder().start().unwrap()
}

/// Sends a request and returns before the answer.
fn ask(emulator: &Emulator, path: &str) -> TcpStream {
    let mut stream = connect(emulator.addr());
    write!(
        stream,
        "GET /computeMetadata/v1/{path} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> client::Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

/// Returns once so many requests wait for a change.
fn waiting(emulator: &Emulator, count: usize) {
    while emulator.waiting() != count {
        thread::yield_now();
    }
}

/// Returns once the emulator has seen this many requests for the path.
fn seen(emulator: &Emulator, path: &str, count: usize) {
    while emulator.request_count(path) < count {
        thread::yield_now();
    }
}

#[test]
fn waiters_are_woken_by_a_change_and_by_nothing_else() {
    let emulator = emulator();
    let waiters: Vec<_> = (0..50)
        .map(|_| ask(&emulator, "instance/maintenance-event?wait_for_change=true"))
        .collect();
    let directory = ask(
        &emulator,
        "instance/?recursive=true&wait_for_change=true&alt=json",
    );
    waiting(&emulator, 51);
    emulator.set("project/attributes/other", "1").unwrap();
    emulator
        .set("instance/maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
        .unwrap();
    for waiter in waiters {
        let answer = answer(waiter);
        assert_eq!(answer.text(), "MIGRATE_ON_HOST_MAINTENANCE");
    }
    assert_eq!(
        answer(directory).json()["maintenanceEvent"],
        "MIGRATE_ON_HOST_MAINTENANCE"
    );
}

#[test]
fn a_stale_etag_is_answered_at_once_and_a_current_one_waits() {
    let emulator = emulator();
    let path = "instance/attributes/?recursive=true&wait_for_change=true";
    for stale in ["0", "NONE"] {
        let answer = get(emulator.addr(), &format!("{path}&last_etag={stale}"));
        assert_eq!(answer.text(), "{}");
    }
    let current = get(emulator.addr(), "instance/attributes/?recursive=true");
    let etag = current.header("ETag").unwrap().to_owned();
    let timed_out = get(
        emulator.addr(),
        &format!("{path}&last_etag={etag}&timeout_sec=0"),
    );
    assert_eq!(
        (timed_out.status, timed_out.header("ETag")),
        (200, Some(&*etag))
    );

    let waiter = ask(&emulator, &format!("{path}&last_etag={etag}"));
    waiting(&emulator, 1);
    emulator.set("instance/attributes/a", "1").unwrap();
    assert_eq!(answer(waiter).text(), "{\"a\":\"1\"}");
}

#[test]
fn a_value_that_is_removed_ends_the_wait_with_404() {
    let emulator = emulator();
    emulator.set("instance/attributes/a", "1").unwrap();
    let waiter = ask(&emulator, "instance/attributes/a?wait_for_change=true");
    waiting(&emulator, 1);
    emulator.remove("instance/attributes/a").unwrap();
    assert_eq!(answer(waiter).status, 404);
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let emulator = emulator();
    let waiters: Vec<_> = (0..20)
        .map(|_| ask(&emulator, "instance/id?wait_for_change=true"))
        .collect();
    waiting(&emulator, 20);
    drop(waiters);
    waiting(&emulator, 0);
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
}

#[test]
fn guest_attributes_are_kept_when_they_are_allowed() {
    let emulator = emulator();
    let send = |method: &str, path: &str, body: &[u8]| {
        request(
            emulator.addr(),
            method,
            &format!("/computeMetadata/v1/instance/guest-attributes/{path}"),
            &[("Metadata-Flavor", "Google")],
            body,
        )
    };
    let off = send("GET", "?recursive=true", b"");
    assert_eq!(off.status, 403);
    assert_eq!(off.text(), "Guest attributes endpoint access is disabled.");
    assert_eq!(send("PUT", "ns/key", b"v").status, 403);

    emulator
        .set("project/attributes/enable-guest-attributes", "TRUE")
        .unwrap();
    assert_eq!(send("PUT", "hostkeys/ssh-rsa", b"AAAA").status, 200);
    assert_eq!(send("GET", "hostkeys/ssh-rsa", b"").text(), "AAAA");
    assert_eq!(send("GET", "", b"").text(), "hostkeys/\n");
    assert_eq!(send("GET", "hostkeys/", b"").text(), "ssh-rsa\n");
    assert_eq!(
        send("GET", "?recursive=true", b"").text(),
        "{\"hostkeys\":{\"ssh-rsa\":\"AAAA\"}}"
    );
    assert_eq!(send("PUT", "one", b"v").status, 405);
    assert_eq!(send("PUT", "one/two/three", b"v").status, 405);
    assert_eq!(send("PUT", "ns/key", b"\xff").status, 400);
    assert_eq!(send("DELETE", "hostkeys/ssh-rsa", b"").status, 200);
    assert_eq!(send("GET", "hostkeys/ssh-rsa", b"").status, 404);
    assert_eq!(send("DELETE", "hostkeys", b"").status, 200);
    assert_eq!(send("DELETE", "hostkeys", b"").status, 404);
    emulator
        .set("instance/attributes/enable-guest-attributes", "FALSE")
        .unwrap();
    assert_eq!(send("GET", "", b"").status, 403);
}

#[test]
fn faults_hit_as_often_as_they_shall() {
    let emulator = emulator();
    let path = "instance/service-accounts/default/token";
    let ask = || get(emulator.addr(), path);
    emulator.fail_next(
        path,
        1,
        Fault::Status {
            code: 429,
            retry_after: Some(7),
        },
    );
    emulator.fail_next(
        path,
        1,
        Fault::Status {
            code: 999,
            retry_after: None,
        },
    );
    emulator.fail_next(path, 1, Fault::MissingFlavor);
    emulator.fail_next(
        path,
        1,
        Fault::Body {
            content_type: "application/json".into(),
            bytes: b"{\"access".to_vec(),
        },
    );
    emulator.fail_next(path, 1, Fault::Delay(Duration::from_millis(1)));

    let busy = ask();
    assert_eq!((busy.status, busy.header("Retry-After")), (429, Some("7")));
    assert_eq!(busy.header("Metadata-Flavor"), Some("Google"));
    assert_eq!(ask().status, 999);
    let impostor = ask();
    assert_eq!(
        (impostor.status, impostor.header("Metadata-Flavor")),
        (200, None)
    );
    assert_eq!(ask().text(), "{\"access");
    assert_eq!(ask().status, 200);
    assert_eq!(ask().status, 200);
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    assert_eq!(emulator.request_count(path), 6);
}

#[test]
fn connections_break_hang_and_heal() {
    let emulator = emulator();
    let bytes = b"GET /computeMetadata/v1/instance/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n";
    emulator.fail_next("instance/id", 1, Fault::Close);
    assert!(exchange(emulator.addr(), bytes).is_empty());

    emulator.fail_next("instance/id", 1, Fault::Truncate(5));
    let cut = parse(&exchange(emulator.addr(), bytes));
    assert_eq!(
        (cut.header("Content-Length"), cut.text()),
        (Some("19"), "57375")
    );

    emulator.fail_next("/", usize::MAX, Fault::Hang);
    let mut hanging = connect(emulator.addr());
    hanging.write_all(bytes).unwrap();
    seen(&emulator, "instance/id", 3);
    emulator.heal();
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    drop(emulator);
    let mut rest = Vec::new();
    assert!(matches!(hanging.read_to_end(&mut rest), Ok(0) | Err(_)));
    assert!(rest.is_empty());
}

#[test]
fn bodies_can_be_slow_and_connections_reset() {
    let emulator = emulator();
    let path = "instance/id";
    let slow = Fault::Slow {
        bytes: 7,
        pause: Duration::from_millis(1),
    };
    emulator.fail_next(path, 1, slow);
    let answer = get(emulator.addr(), path);
    assert_eq!(answer.text(), "5737554347302044216");
    assert_eq!(answer.header("Content-Length"), Some("19"));

    emulator.fail_next(path, 1, Fault::WrongFlavor("google".into()));
    let answer = get(emulator.addr(), path);
    assert_eq!(answer.header("Metadata-Flavor"), Some("google"));

    emulator.fail_next(path, 1, Fault::Reset);
    let mut stream = ask(&emulator, path);
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn faults_can_last_for_a_time_and_limit_a_rate() {
    let emulator = emulator();
    let busy = |code| Fault::Status {
        code,
        retry_after: None,
    };
    let status = |path: &str| get(emulator.addr(), path).status;
    emulator.fail_for("instance/", Duration::from_secs(600), busy(503));
    assert_eq!((status("instance/id"), status("instance/name")), (503, 503));
    assert_eq!(status("project/project-id"), 200);
    emulator.advance(Duration::from_secs(601));
    assert_eq!(status("instance/id"), 200);

    emulator.fail_sometimes("instance/", 0.5, 42, busy(500));
    let draw = || [(); 20].map(|()| status("instance/id"));
    let first = draw();
    assert!(first.contains(&200) && first.contains(&500));
    emulator.heal();
    emulator.fail_sometimes("instance/", 0.5, 42, busy(500));
    assert_eq!(draw(), first);
    emulator.heal();

    emulator.limit_rate("instance/", 2, Duration::from_secs(600), busy(429));
    let statuses = [(); 4].map(|()| status("instance/id"));
    assert_eq!(statuses, [200, 200, 429, 429]);
    emulator.advance(Duration::from_secs(601));
    assert_eq!(status("instance/id"), 200);
}

#[test]
fn dropped_means_gone() {
    let emulator = emulator();
    let address = emulator.addr();
    let mut idle = connect(address);
    let waiter = ask(&emulator, "instance/id?wait_for_change=true");
    waiting(&emulator, 1);
    drop(emulator);
    assert!(TcpStream::connect(address).is_err());
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
    let (done, rest) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut waiter = waiter;
        let _ = waiter.read_to_end(&mut bytes);
        done.send(bytes).unwrap();
    });
    assert!(
        rest.recv_timeout(Duration::from_secs(30))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn many_at_once_share_nothing_but_the_key() {
    let emulators: Vec<_> = (0..50)
        .map(|number| {
            Emulator::builder()
                .project_id(format!("project-{number}"))
                .start()
                .unwrap()
        })
        .collect();
    for (number, emulator) in emulators.iter().enumerate() {
        let id = get(emulator.addr(), "project/project-id");
        assert_eq!(id.text(), format!("project-{number}"));
        assert_eq!(emulator.request_count("project/project-id"), 1);
    }
    assert_ne!(
        token(emulators[0].addr(), "default"),
        token(emulators[1].addr(), "default")
    );
}

#[test]
fn an_emulator_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let emulator = emulator();
    shared(&emulator);
    thread::scope(|scope| {
        for number in 0..4 {
            let emulator = &emulator;
            scope.spawn(move || {
                let path = format!("instance/attributes/key-{number}");
                emulator.set(&path, "v").unwrap();
                assert_eq!(get(emulator.addr(), &path).text(), "v");
            });
        }
    });
    assert_eq!(emulator.requests().len(), 4);
}

#[test]
fn the_environment_leads_here() {
    let emulator = emulator();
    let host = emulator.addr().to_string();
    assert_eq!(emulator.url(), format!("http://{host}"));
    let env = emulator.env();
    for name in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
        assert!(env.contains(&(name.into(), host.clone())));
    }
    assert!(env.contains(&("METADATA_SERVER_DETECTION".into(), "assume-present".into())));
}

#[test]
fn ipv6_works_where_the_machine_has_it() {
    match Emulator::builder()
        .address("[::1]:0".parse().unwrap())
        .start()
    {
        Ok(emulator) => {
            assert!(emulator.url().starts_with("http://[::1]:"));
            assert_eq!(get(emulator.addr(), "instance/id").status, 200);
        }
        Err(error) => assert!(error.is_address()),
    }
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let emulator = emulator();
    let error = Emulator::builder()
        .address(emulator.addr())
        .start()
        .unwrap_err();
    assert!(error.is_address());
    assert!(error.to_string().contains(&emulator.addr().to_string()));
    let error = Emulator::builder()
        .set("instance/id", "x")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("instance/id"));
}
