//! Every source while its server fails: an error of the right kind, in time,
//! and a token again when the server is well.

use std::time::Duration;

use gce_auth::{
    Credentials, ErrorKind,
    time::{Clock as _, SystemClock},
};
use gce_auth_emulator::{Emulator, Fault};
use serde_json::Value;

use crate::files::{File, Files};

/// What an answer with this body is.
fn body(text: &str) -> Fault {
    Fault::Body {
        content_type: "application/json".to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn status(code: u16) -> Fault {
    Fault::Status {
        code,
        retry_after: None,
    }
}

/// Faults that pass.
fn passing() -> [Fault; 6] {
    [
        status(503),
        status(500),
        status(429),
        Fault::Close,
        Fault::Reset,
        Fault::Truncate(5),
    ]
}

/// Answers that make no token.
fn senseless() -> Vec<(Fault, &'static [ErrorKind])> {
    const BAD: &[ErrorKind] = &[ErrorKind::InvalidResponse];
    vec![
        (body("<html>"), BAD),
        (body("[]"), BAD),
        (body("{}"), BAD),
        (body(r#"{"access_token":"","expires_in":3600}"#), BAD),
        (body(r#"{"access_token":"a b","expires_in":3600}"#), BAD),
        (body(r#"{"access_token":"t","expires_in":null}"#), BAD),
        (
            body(r#"{"access_token":"t","expires_in":0}"#),
            &[ErrorKind::Expired],
        ),
        (
            body(r#"{"access_token":"t","expires_in":9,"token_type":"mac"}"#),
            BAD,
        ),
        (status(400), &[ErrorKind::Refused]),
        (status(403), &[ErrorKind::Refused, ErrorKind::Forbidden]),
    ]
}

/// Tests each kind of file against an emulator of its own, all at once.
fn each(test: impl Fn(&Files, &File) + Sync) {
    let count = Files::new(Emulator::builder().start().unwrap()).all().len();
    std::thread::scope(|scope| {
        for number in 0..count {
            let test = &test;
            scope.spawn(move || {
                let files = Files::new(Emulator::builder().start().unwrap());
                test(&files, &files.all()[number]);
            });
        }
    });
}

#[test]
fn two_failures_cost_time_and_not_the_token() {
    each(|files, file| {
        for fault in passing() {
            let credentials = files.load_apart(file);
            files.emulator.fail_next(file.asks, 2, fault.clone());
            let token = credentials.blocking_token();
            assert!(token.is_ok(), "{}, {fault:?}: {token:?}", file.name);
            files.emulator.heal();
        }
    });
}

#[test]
fn an_answer_that_makes_no_token_is_told_and_never_kept() {
    each(|files, file| {
        for (fault, kinds) in senseless() {
            let credentials = files.load_apart(file);
            let before = files.emulator.request_count(file.asks);
            let long = Duration::from_secs(600);
            files.emulator.fail_for(file.asks, long, fault.clone());
            let error = credentials.blocking_token().unwrap_err();
            let what = format!("{}, {fault:?}: {error}", file.name);
            assert!(kinds.contains(&error.kind()), "{what}");
            assert!(error.request().is_some(), "{what}");
            let asked = files.emulator.request_count(file.asks) - before;
            assert_eq!(asked, 1, "asking again is of no use: {what}");
            files.emulator.heal();
            recovers(&credentials, &what);
        }
    });
}

/// Servers that take their time: none answers within the budget.
fn endless() -> [Fault; 3] {
    let drip = |bytes, millis| Fault::Slow {
        bytes,
        pause: Duration::from_millis(millis),
    };
    [Fault::Hang, drip(1, 300), drip(100, 60_000)]
}

#[test]
fn a_server_that_hangs_or_drips_costs_no_more_than_the_budget() {
    const BUDGET: Duration = Duration::from_secs(2);
    each(|files, file| {
        for fault in endless() {
            let credentials = files.load_within(file, BUDGET);
            let long = Duration::from_secs(600);
            files.emulator.fail_for(file.asks, long, fault.clone());
            let began = now();
            let error = credentials.blocking_token().unwrap_err();
            let took = now().saturating_sub(began);
            let what = format!("{}, {fault:?}: {error}", file.name);
            let kinds = [ErrorKind::Timeout, ErrorKind::Unavailable];
            assert!(
                kinds.contains(&error.kind()) && error.is_retryable(),
                "{what}"
            );
            // A subject token adds to the budget, and an executable its timeout.
            let executable = "/credential_source/executable/timeout_millis";
            let own = file.document.pointer(executable).and_then(Value::as_u64);
            let most = BUDGET * 4 + Duration::from_millis(own.unwrap_or(0));
            assert!(took >= BUDGET / 2 && took < most, "{what}: {took:?}");
            files.emulator.heal();
            recovers(&credentials, &what);
        }
    });
}

#[test]
fn a_body_that_comes_slowly_is_read() {
    let slow = Fault::Slow {
        bytes: 200,
        pause: Duration::from_millis(5),
    };
    each(|files, file| {
        let credentials = files.load_apart(file);
        let before = files.emulator.request_count(file.asks);
        files.emulator.fail_next(file.asks, 1, slow.clone());
        let token = credentials.blocking_token();
        assert!(token.is_ok(), "{}: {token:?}", file.name);
        let asked = files.emulator.request_count(file.asks) - before;
        assert_eq!(asked, 1, "{}: slow is not too slow", file.name);
    });
}

#[test]
fn a_server_that_is_down_is_told_within_the_budget() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let all = files.all();
    let loaded: Vec<_> = all.iter().map(|file| files.load_apart(file)).collect();
    for path in ["/token", "/v1/"] {
        files
            .emulator
            .fail_for(path, Duration::from_secs(600), Fault::Reset);
    }
    let began = now();
    std::thread::scope(|scope| {
        for (credentials, file) in loaded.iter().zip(&all) {
            scope.spawn(|| {
                let error = credentials.blocking_token().unwrap_err();
                assert_eq!(
                    error.kind(),
                    ErrorKind::Unavailable,
                    "{}: {error}",
                    file.name
                );
                assert!(error.is_retryable() && error.attempts() > 1, "{error}");
            });
        }
    });
    let took = now().saturating_sub(began);
    assert!(took < Duration::from_secs(45), "{took:?}");
    files.emulator.heal();
    for (credentials, file) in loaded.iter().zip(&all) {
        recovers(credentials, file.name);
    }
}

/// An error of a source is shared for a second; after that, all is well.
fn recovers(credentials: &Credentials, what: &str) {
    let end = now() + Duration::from_secs(10);
    while let Err(error) = credentials.blocking_refresh() {
        assert!(now() < end, "{what}: {error}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn now() -> Duration {
    SystemClock::new().now().boot
}
