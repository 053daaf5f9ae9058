//! Every source while one of its servers fails: an error of the right kind, in
//! time, and a token again when the server is well.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gce_auth::{
    Credentials, ErrorKind,
    time::{Clock as _, SystemClock},
};
use gce_auth_emulator::Fault;

use crate::{
    aws,
    servers::{Answers, Server, Source, Sources},
};

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
        Fault::Truncate(1),
    ]
}

type Senseless = (Fault, &'static [ErrorKind]);

const BAD: &[ErrorKind] = &[ErrorKind::InvalidResponse];
const REFUSED: &[ErrorKind] = &[ErrorKind::Refused, ErrorKind::Forbidden];

const TOKENS: [&str; 6] = [
    "<html>",
    "[]",
    "{}",
    r#"{"access_token":"","expires_in":3600}"#,
    r#"{"access_token":"a b","expires_in":3600}"#,
    r#"{"access_token":"t","expires_in":9,"token_type":"mac"}"#,
];

/// Answers of this server that make no token.
fn senseless(answers: Answers) -> Vec<Senseless> {
    let refusals = [
        (status(400), REFUSED),
        (status(403), REFUSED),
        (status(302), BAD),
        (status(204), BAD),
    ];
    let bad =
        |texts: &[&str]| -> Vec<Senseless> { texts.iter().map(|text| (body(text), BAD)).collect() };
    let bodies: Vec<Senseless> = match answers {
        Answers::NarrowedToken => bad(&TOKENS),
        Answers::Token => {
            let mut all = bad(&TOKENS);
            all.extend(bad(&[r#"{"access_token":"t","expires_in":null}"#]));
            let expired = body(r#"{"access_token":"t","expires_in":0}"#);
            all.push((expired, &[ErrorKind::Expired]));
            all
        }
        Answers::TokenOfAccount => {
            let mut all = bad(&[
                "<html>",
                "[]",
                "{}",
                r#"{"accessToken":"","expireTime":"2999-01-01T00:00:00Z"}"#,
                r#"{"accessToken":"a b","expireTime":"2999-01-01T00:00:00Z"}"#,
                r#"{"accessToken":"t"}"#,
                r#"{"accessToken":"t","expireTime":"soon"}"#,
            ]);
            let expired = body(r#"{"accessToken":"t","expireTime":"1999-01-01T00:00:00Z"}"#);
            all.push((expired, &[ErrorKind::Expired]));
            all
        }
        Answers::Subject => bad(&[""]),
        Answers::AwsText => bad(&["", "\r\n", "\u{0}", "a b"]),
        Answers::AwsKeys => bad(&[
            "<html>",
            "[]",
            "{}",
            r#"{"AccessKeyId":"a"}"#,
            r#"{"AccessKeyId":"","SecretAccessKey":""}"#,
        ]),
    };
    bodies.into_iter().chain(refusals).collect()
}

/// Tests each source with each of its servers, against an emulator of its own,
/// all sources at once.
fn each(test: impl Fn(&Sources, &Source, Server) + Sync) {
    let _none = aws::no_variables();
    let count = Sources::new().all.len();
    std::thread::scope(|scope| {
        for number in 0..count {
            let test = &test;
            scope.spawn(move || {
                let sources = Sources::new();
                let source = &sources.all[number];
                for &server in &source.servers {
                    test(&sources, source, server);
                }
            });
        }
    });
}

#[test]
fn two_failures_cost_time_and_not_the_token() {
    each(|sources, source, server| {
        for fault in passing() {
            let what = format!("{}, {server:?}, {fault:?}", source.name);
            let credentials = sources.load(source);
            let before = sources.count(server);
            sources.fail_next(server, 2, fault);
            let token = credentials.blocking_token();
            assert!(token.is_ok(), "{what}: {token:?}");
            assert!(sources.count(server) - before >= 3, "{what}: none failed");
            sources.heal();
        }
    });
}

#[test]
fn an_answer_that_makes_no_token_is_told_and_never_kept() {
    each(|sources, source, server| {
        for (fault, kinds) in senseless(server.answers) {
            let credentials = sources.load(source);
            let before = sources.count(server);
            sources.fail(server, fault.clone());
            let what = format!("{}, {server:?}, {fault:?}", source.name);
            let error = credentials.blocking_token().expect_err(&what);
            let what = format!("{what}: {error} ({:?})", error.kind());
            assert!(kinds.contains(&error.kind()), "{what}");
            assert!(error.request().is_some(), "{what}");
            let asked = sources.count(server) - before;
            assert_eq!(asked, 1, "asking again is of no use: {what}");
            sources.heal();
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
    each(|sources, source, server| {
        for fault in endless() {
            // The name of a role is two letters, which drip within the budget.
            if server.answers == Answers::AwsText && matches!(fault, Fault::Slow { bytes: 1, .. }) {
                continue;
            }
            let credentials = sources.load_within(source, BUDGET);
            sources.fail(server, fault.clone());
            let began = now();
            let what = format!("{}, {server:?}, {fault:?}", source.name);
            let error = credentials.blocking_token().expect_err(&what);
            let took = now().saturating_sub(began);
            let what = format!("{what}: {error}");
            let kinds = [ErrorKind::Timeout, ErrorKind::Unavailable];
            assert!(
                kinds.contains(&error.kind()) && error.is_retryable(),
                "{what}"
            );
            // A subject token adds to the budget, and an executable its timeout.
            let most = BUDGET * 4 + source.own_time;
            assert!(took >= BUDGET / 2 && took < most, "{what}: {took:?}");
            sources.heal();
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
    each(|sources, source, server| {
        let credentials = sources.load(source);
        let before = sources.count(server);
        sources.fail(server, slow.clone());
        let token = credentials.blocking_token();
        assert!(token.is_ok(), "{}, {server:?}: {token:?}", source.name);
        let asked = sources.count(server) - before;
        // A narrowed token of a federated source, and a session of AWS, are asked for twice.
        let twice = asked == 2 && source.servers.len() > 1;
        assert!(
            asked == 1 || twice,
            "slow is not too slow: {}, {server:?}: {asked}",
            source.name
        );
        sources.heal();
    });
}

#[test]
fn a_server_that_is_down_is_told_within_the_budget() {
    each(|sources, source, server| {
        let credentials = sources.load(source);
        sources.fail(server, Fault::Reset);
        let began = now();
        let error = credentials.blocking_token().unwrap_err();
        let took = now().saturating_sub(began);
        let what = format!("{}, {server:?}: {error}", source.name);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}");
        assert!(error.is_retryable() && error.attempts() > 1, "{what}");
        assert!(took < Duration::from_secs(45), "{what}: {took:?}");
        sources.heal();
        recovers(&credentials, &what);
    });
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

/// A program's function that supplies tokens, in each way that it can fail.
#[test]
fn a_function_that_fails_is_told_and_asked_again() {
    let _none = aws::no_variables();
    let sources = Sources::new();
    let good = Arc::new(AtomicBool::new(false));
    type Fails = fn() -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
    let fails: [(Fails, ErrorKind); 3] = [
        (|| Err("sealed".into()), ErrorKind::Unavailable),
        (|| Ok(String::new()), ErrorKind::InvalidResponse),
        (|| Ok("no token".to_owned()), ErrorKind::Refused),
    ];
    for (fails, kind) in fails {
        good.store(false, Ordering::Relaxed);
        let is_good = Arc::clone(&good);
        let supplied = sources.supplied(move |subject| match is_good.load(Ordering::Relaxed) {
            true => Ok(subject.to_owned()),
            false => fails(),
        });
        let others = supplied.clone();
        let other = std::thread::spawn(move || others.blocking_token());
        let error = supplied.blocking_token().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let shared = other.join().unwrap().unwrap_err();
        assert_eq!(shared.kind(), kind, "{shared}");
        good.store(true, Ordering::Relaxed);
        recovers(&supplied, "a function");
    }
}

/// More functions hang than one lane has threads, all for one provider.
#[test]
fn functions_that_hang_delay_no_other_for_the_same_provider() {
    let sources = Sources::new();
    let hangs = Arc::new((Mutex::new(0), Condvar::new(), AtomicBool::new(true)));
    let stuck: Vec<_> = (0..40)
        .map(|_| {
            let hangs = Arc::clone(&hangs);
            let supplied = sources.supplied(move |subject| {
                let (begun, changed, hang) = &*hangs;
                *begun.lock().unwrap() += 1;
                changed.notify_all();
                let begun = begun.lock().unwrap();
                let stay = |_: &mut i32| hang.load(Ordering::Relaxed);
                drop(changed.wait_while(begun, stay).unwrap());
                Ok(subject.to_owned())
            });
            std::thread::spawn(move || futures_executor::block_on(supplied.token()).map(drop))
        })
        .collect();
    let (begun, changed, hang) = &*hangs;
    let few = |begun: &mut i32| *begun < 32;
    drop(changed.wait_while(begun.lock().unwrap(), few).unwrap());
    let other = sources.supplied(|subject| Ok(subject.to_owned()));
    let token = futures_executor::block_on(other.token());
    hang.store(false, Ordering::Relaxed);
    let held = begun.lock().unwrap();
    changed.notify_all();
    drop(held);
    for one in stuck {
        // Its budget may have ended.
        let _ = one.join().unwrap();
    }
    token.unwrap();
}

/// A caller that runs the function itself panics with it; others get an error.
#[test]
fn a_function_that_panics_harms_no_later_call() {
    let sources = Sources::new();
    let calls = AtomicUsize::new(0);
    let supplied = sources.supplied(move |subject| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "a mistake");
        Ok(subject.to_owned())
    });
    let first = supplied.clone();
    assert!(
        std::thread::spawn(move || first.blocking_token())
            .join()
            .is_err()
    );
    recovers(&supplied, "a function");
    // An async caller waits for another thread, whose panic is an error here.
    let mistaken = sources.supplied(|_| panic!("a mistake"));
    let error = futures_executor::block_on(mistaken.token()).unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
