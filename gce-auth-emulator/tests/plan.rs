//! What goes wrong by plan, and for whom.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{io::ErrorKind, net::TcpStream, time::Duration};

use client::{get, request};
use gce_auth_emulator::{Emulator, Fault, FaultRule};

const BUSY: Fault = Fault::Status {
    code: 503,
    retry_after: Some(1),
};

/// Returns once connections are accepted.
fn opened(emulator: &Emulator) {
    while TcpStream::connect(emulator.addr()).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn a_plan_from_a_file_holds_from_the_first_request_and_again_after_a_reset() {
    let file = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plan.toml");
    std::fs::write(
        &file,
        r#"
        [tokens]
        lifetime = 600

        [[faults]]
        path = "instance/id"
        times = 1
        fault = { kind = "status", code = 503, retry-after = 1 }

        [[faults]]
        path = "instance/zone"
        allowed = 1
        per-seconds = 60
        fault = { kind = "status", code = 429, retry-after = 6 }
        "#,
    )
    .unwrap();
    let emulator = Emulator::builder().plan_file(&file).start().unwrap();
    for _ in 0..2 {
        let first = get(emulator.addr(), "instance/id");
        assert_eq!(
            (first.status, first.header("Retry-After")),
            (503, Some("1"))
        );
        assert_eq!(get(emulator.addr(), "instance/id").status, 200);
        assert_eq!(get(emulator.addr(), "instance/zone").status, 200);
        let limited = get(emulator.addr(), "instance/zone");
        assert_eq!(
            (limited.status, limited.header("Retry-After")),
            (429, Some("6"))
        );
        let recorded = emulator.requests();
        assert_eq!(recorded[0].status, Some(503));
        assert_eq!(recorded[0].fault.as_deref(), Some("503, Retry-After 1"));
        assert_eq!((recorded[1].status, &recorded[1].fault), (Some(200), &None));
        assert!(recorded[1].duration.is_some());
        let token = get(emulator.addr(), "instance/service-accounts/default/token");
        assert!(token.json()["expires_in"].as_u64().unwrap() <= 600);
        emulator.reset();
    }
    std::fs::remove_file(&file).unwrap();
    let gone = Emulator::builder().plan_file(&file).start().unwrap_err();
    assert!(gone.to_string().contains("plan.toml"), "{gone}");
}

#[test]
fn a_plan_that_means_nothing_stops_the_start() {
    let error = Emulator::builder()
        .plan("[[fault]]\npath = \"/\"")
        .start()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("not a plan") && text.contains("line 1"),
        "{text}"
    );
}

#[test]
fn one_client_fails_and_the_others_do_not() {
    let emulator = Emulator::builder()
        .fault(FaultRule::new(BUSY).client("gl-python"))
        .start()
        .unwrap();
    let ask = |name: &str, value: &str| {
        request(
            emulator.addr(),
            "GET",
            "/computeMetadata/v1/instance/id",
            &[("Metadata-Flavor", "Google"), (name, value)],
            b"",
        )
        .status
    };
    assert_eq!(ask("X-Goog-Api-Client", "gl-python/3.12 auth/2.63.0"), 503);
    assert_eq!(ask("User-Agent", "GL-Python"), 503);
    assert_eq!(ask("User-Agent", "gcloud-golang/0.1"), 200);
    assert_eq!(ask("Referer", "gl-python"), 200);
}

#[test]
fn a_fault_can_be_taken_away_alone() {
    let emulator = Emulator::builder().start().unwrap();
    let id = emulator.add_fault(FaultRule::new(BUSY).path("instance/id"));
    emulator.add_fault(FaultRule::new(BUSY).path("instance/zone"));
    assert!(emulator.remove_fault(id));
    assert!(!emulator.remove_fault(id));
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    assert_eq!(get(emulator.addr(), "instance/zone").status, 503);
}

#[test]
fn connections_are_refused_until_the_cold_start_is_over() {
    let emulator = Emulator::builder()
        .plan("cold-start = { seconds = 3600 }")
        .https("127.0.0.1:0".parse().unwrap())
        .start()
        .unwrap();
    for address in [emulator.addr(), emulator.https_addr().unwrap()] {
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    emulator.advance(Duration::from_secs(3599));
    assert!(TcpStream::connect(emulator.addr()).is_err());
    emulator.advance(Duration::from_secs(1));
    opened(&emulator);
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
    TcpStream::connect(emulator.https_addr().unwrap()).unwrap();
}

#[test]
fn a_cold_start_ends_by_itself_and_an_emulator_can_end_before_it() {
    let emulator = Emulator::builder()
        .refuse_for(Duration::from_millis(1))
        .start()
        .unwrap();
    opened(&emulator);
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);

    let cold = Emulator::builder()
        .refuse_for(Duration::MAX)
        .start()
        .unwrap();
    let address = cold.addr();
    assert!(
        Emulator::builder()
            .address(address)
            .start()
            .unwrap_err()
            .is_address()
    );
    drop(cold);
    Emulator::builder().address(address).start().unwrap();
}

#[test]
fn a_cold_start_can_answer_503() {
    let emulator = Emulator::builder()
        .plan("cold-start = { seconds = 3600, status = 503, retry-after = 1 }")
        .start()
        .unwrap();
    assert_eq!(get(emulator.addr(), "instance/id").status, 503);
    emulator.advance(Duration::from_secs(3600));
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_refuses_too() {
    use std::os::unix::net::UnixStream;
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cold.sock");
    let _ = std::fs::remove_file(&path);
    let emulator = Emulator::builder()
        .unix_socket(&path)
        .refuse_for(Duration::from_secs(3600))
        .start()
        .unwrap();
    let refused = UnixStream::connect(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    emulator.advance(Duration::from_secs(3600));
    while UnixStream::connect(&path).is_err() {
        std::thread::yield_now();
    }
    drop(emulator);
    assert!(!path.exists());
}
