//! Tokens appear in no `Debug`, no `Display`, no error and no log.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    collections::HashMap,
    error::Error as _,
    fmt::Debug,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    Credentials, Detection, Error, IdTokenCredentials, MetadataClient, RetryPolicy,
    transport::Limits,
};
use gce_auth_emulator::{Emulator, Fault};
use http::HeaderMap;
use support::{
    IDENTITY, TOKEN, builder, client, credentials, emulator, impatient, stranger::Stranger, until,
};

/// What a token looks like; no emulator made it.
const SECRET: &str = "ya29.c.c0ASRK0GYHVxWzNTGQpLmDkWfRtBvXqZsJnEoUaIyPhCgMwFdKrLbT4q7Z1x9\
                      N3v5B8m2K6j0H4g1F7d3S9a5P2o8I6u4Y0t7R3e9W1q5L8k2J6h0G4f1D7s3A9z5X";
/// The same, as short as some are.
const SHORT: &str = "ya29.c.q9Zt3KxW7vB1nM5pLr8sHd2Gf6";

/// No part of a secret of this length may be seen.
const PART: usize = 16;

/// The first part of `secret` that `text` shows; the beginning, which all
/// tokens have in common, is no secret.
fn shown<'a>(text: &str, secret: &'a str) -> Option<&'a str> {
    let secret = secret.strip_prefix("ya29.c.").unwrap_or(secret);
    let last = secret.len().saturating_sub(PART);
    let parts = (0..=last).map(|start| &secret[start..(start + PART).min(secret.len())]);
    parts.into_iter().find(|part| text.contains(part))
}

fn hides(what: &str, text: &str, secret: &str) {
    let part = shown(text, secret);
    assert_eq!(part, None, "{what} shows a secret: {text}");
}

fn debug_hides(what: &str, value: &impl Debug, secret: &str) {
    hides(what, &format!("{value:?}"), secret);
    hides(what, &format!("{value:#?}"), secret);
}

/// `Display`, `Debug` and the same of everything behind the error.
fn error_hides(what: &str, error: &Error, secret: &str) {
    debug_hides(what, error, secret);
    hides(what, &error.to_string(), secret);
    hides(what, &format!("{error:#}"), secret);
    hides(what, error.hint().unwrap_or_default(), secret);
    hides(what, error.request().unwrap_or_default(), secret);
    let mut source = error.source();
    while let Some(inner) = source {
        hides(what, &format!("{inner} {inner:?} {inner:#?}"), secret);
        source = inner.source();
    }
}

/// The parts of a JWT that tell something.
fn secrets_of(token: &str) -> Vec<&str> {
    match token.split_once('.') {
        Some((_, rest)) if token.starts_with("eyJ") => rest.split('.').collect(),
        _ => vec![token],
    }
}

fn identity(emulator: &Emulator) -> IdTokenCredentials {
    IdTokenCredentials::builder("https://audience.example")
        .endpoint(emulator.addr().to_string())
        .build()
        .unwrap()
}

#[test]
fn no_type_shows_a_token_in_debug() {
    let emulator = emulator();
    let settings = builder(&emulator).scopes(["scope"]).quota_project_id("q");
    let credentials = settings.clone().build().unwrap();
    let token = credentials.blocking_token().unwrap();
    let headers = credentials.blocking_headers().unwrap();
    credentials.blocking_refresh().unwrap();
    let mut request = http::Request::new(());
    headers.apply_to(request.headers_mut());
    let secret = token.secret();
    debug_hides("AccessToken", &token, secret);
    debug_hides("HeaderValue", &token.authorization(), secret);
    debug_hides("Headers", &headers, secret);
    debug_hides("Request", &request, secret);
    debug_hides("HeaderMap", &HeaderMap::from(headers.clone()), secret);
    let pairs: Vec<_> = headers.iter().collect();
    debug_hides("Headers::iter", &pairs, secret);
    debug_hides("CredentialsBuilder", &settings, secret);
    debug_hides("Credentials", &credentials, secret);
    debug_hides("Status", &credentials.status(), secret);
    debug_hides("AccountInfo", &credentials.blocking_account(), secret);
    debug_hides("MetadataClient", credentials.client(), secret);
    debug_hides("Result", &credentials.blocking_token(), secret);
    debug_hides("Option", &credentials.cached_headers(), secret);
    let residency = credentials.client().blocking_on_gce(Detection::Fast);
    debug_hides("Residency", &residency, secret);

    let identity = identity(&emulator);
    let token = identity.blocking_token().unwrap();
    for secret in secrets_of(token.secret()) {
        debug_hides("IdToken", &token, secret);
        debug_hides("HeaderValue", &token.authorization(), secret);
        debug_hides("IdTokenClaims", &token.claims(), secret);
        debug_hides("Headers", &identity.blocking_headers().unwrap(), secret);
        debug_hides("IdTokenCredentials", &identity, secret);
        debug_hides("Status", &identity.status(), secret);
        let other = identity.with_audience("https://b").unwrap();
        debug_hides("IdTokenCredentials", &other, secret);
    }
}

/// Every way in which `client` can be asked for something, and how it failed.
fn failures(client: &MetadataClient) -> Vec<(&'static str, Error)> {
    let credentials = || Credentials::builder().client(client.clone()).shared(false);
    let expecting = credentials().expect_account("me@p.iam").build().unwrap();
    let credentials = credentials().build().unwrap();
    let identity = IdTokenCredentials::builder("https://a").client(client.clone());
    let identity = identity.build().unwrap();
    let mut failures = Vec::new();
    let mut note = |what, error: Option<Error>| failures.extend(error.map(|error| (what, error)));
    note("token", credentials.blocking_token().err());
    note("headers", block_on(credentials.headers()).err());
    note("refresh", credentials.blocking_refresh().err());
    note("account", credentials.blocking_account().err());
    note("universe", credentials.blocking_universe_domain().err());
    note(
        "ready",
        credentials.blocking_wait_ready(Duration::ZERO).err(),
    );
    note("expecting", expecting.blocking_token().err());
    note("ID token", identity.blocking_token().err());
    note("ID headers", block_on(identity.headers()).err());
    note("ID refresh", identity.blocking_refresh().err());
    note("get", client.blocking_get("instance/name").err());
    note("zone", client.blocking_zone().err());
    note("region", client.blocking_region().err());
    note("number", client.blocking_numeric_project_id().err());
    for status in [credentials.status(), expecting.status(), identity.status()] {
        note("status", status.last_error.map(|(_, error)| error));
    }
    failures
}

/// A client of what is no metadata server, or not only.
fn client_of(stranger: &Stranger) -> MetadataClient {
    let mut limits = Limits::new();
    limits.attempt = Duration::from_secs(1);
    MetadataClient::builder()
        .endpoint(stranger.address().to_string())
        .retry(RetryPolicy::new().attempts(1))
        .limits(limits)
        .build()
        .unwrap()
}

#[test]
fn an_answer_that_cannot_be_used_is_not_quoted() {
    for secret in [SECRET, SHORT] {
        let bodies = [
            secret.to_owned(),
            format!("\"{secret}\""),
            format!("[\"{secret}\"]"),
            format!("{{\"access_token\":\"{secret}\""),
            format!("{{\"access_token\":\"{secret}\"}}"),
            format!("{{\"access_token\":[\"{secret}\"],\"expires_in\":3599}}"),
            format!("{{\"access_token\":{{\"{secret}\":1}},\"expires_in\":3599}}"),
            format!("{{\"access_token\":\"{secret}\",\"expires_in\":\"{secret}\"}}"),
            format!("{{\"access_token\":\"{secret}\",\"expires_in\":0}}"),
            format!("{{\"access_token\":\"{secret}\",\"expires_in\":-5}}"),
            format!("{{\"access_token\":\"{secret}\\n\",\"expires_in\":3599}}"),
            format!("{{\"access_token\":\"{secret} {secret}\",\"expires_in\":3599}}"),
            format!(
                "{{\"access_token\":\"{secret}\",\"expires_in\":9,\"token_type\":\"{secret}\"}}"
            ),
            format!("{{\"error\":\"{secret}\"}}"),
            format!("{secret}.{secret}.{secret}"),
            format!("eyJhbGciOiJSUzI1NiJ9.{secret}.x"),
            format!("<html>your token {secret} is expired</html>"),
        ];
        for body in bodies {
            let stranger = Stranger::saying(200, &["Metadata-Flavor: Google"], &body);
            let failures = failures(&client_of(&stranger));
            assert!(failures.len() >= 3, "{body}: {failures:?}");
            for (what, error) in failures {
                error_hides(&format!("{what}, {body:?}"), &error, secret);
            }
        }
    }
}

#[test]
fn an_error_page_that_quotes_a_token_is_not_repeated() {
    for secret in [SECRET, SHORT] {
        let pages = [
            secret.to_owned(),
            format!("invalid token {secret}"),
            format!("invalid token: '{secret}'."),
            format!("Authorization=Bearer+{secret}"),
            format!("<html><body>Bearer {secret}</body></html>"),
            format!("{{\"error\":{{\"message\":\"bad token {secret}\"}}}}"),
            format!("\n\nno good: Bearer {secret}\nmore"),
            // Whatever is cut off at some length is cut off in the token.
            format!("{} {secret}", "many words".repeat(13)),
            format!("{} {secret}", "many words".repeat(16)),
            format!("{} {secret}", "many words".repeat(19)),
        ];
        for page in pages {
            for status in [301, 302, 400, 401, 403, 404, 408, 418, 429, 500, 503] {
                let location = format!("Location: http://127.0.0.1/?token={secret}");
                let retry = format!("Retry-After: {secret}");
                let reason = format!("X-Token: {secret}");
                let headers = [&*location, &*retry, &*reason, "Metadata-Flavor: Google"];
                let stranger = Stranger::saying(status, &headers, &page);
                let failures = failures(&client_of(&stranger));
                assert!(failures.len() >= 10, "{status}: {failures:?}");
                for (what, error) in failures {
                    error_hides(&format!("{what}, {status}, {page:?}"), &error, secret);
                }
            }
        }
    }
}

#[test]
fn what_is_no_metadata_server_and_what_is_no_http_is_not_quoted() {
    let secret = SECRET;
    let token = format!("{{\"access_token\":\"{secret}\",\"expires_in\":3599}}");
    let whole = |head: &str| format!("{head}\r\nContent-Length: 400\r\n\r\n{token}");
    let flavored = "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google";
    let answers = [
        support::stranger::answer(200, &[], &token),
        support::stranger::answer(200, &[&format!("Metadata-Flavor: {secret}")], &token),
        support::stranger::answer(302, &[&format!("Location: /{secret}")], &token),
        // Cut off in the middle of a token.
        whole(flavored),
        format!("{flavored}\r\nContent-Length: {secret}\r\n\r\n{token}"),
        format!("{flavored}\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n{token}"),
        format!("{flavored}\r\n{secret}\r\n\r\n{token}"),
        format!("{flavored}\r\n {secret}: x\r\nA b: {secret}\r\n\r\n"),
        format!("HTTP/1.1 {secret}\r\n\r\n"),
        format!("{secret}\r\n\r\n"),
        secret.to_owned(),
        format!("HTTP/9.9 200 {secret}\r\n\r\n{token}"),
        format!("SSH-2.0-{secret}\r\n"),
    ];
    for answer in answers {
        let stranger = Stranger::new(answer.clone());
        let failures = failures(&client_of(&stranger));
        assert!(!failures.is_empty(), "{answer:?}");
        for (what, error) in failures {
            error_hides(&format!("{what}, {answer:?}"), &error, secret);
        }
    }
}

#[test]
fn a_real_token_cut_off_or_too_slow_is_not_quoted() {
    let emulator = emulator();
    let secret = credentials(&emulator).blocking_token().unwrap();
    let mut limits = Limits::new();
    limits.attempt = Duration::from_millis(200);
    let client = client(&emulator)
        .retry(RetryPolicy::new().attempts(1))
        .limits(limits)
        .build()
        .unwrap();
    let pause = Duration::from_millis(50);
    for fault in [
        Fault::Truncate(20),
        Fault::Truncate(100),
        Fault::MissingFlavor,
        Fault::WrongFlavor("Gargle".to_owned()),
        Fault::Slow { bytes: 8, pause },
    ] {
        emulator.fail_next("instance/", usize::MAX, fault.clone());
        let mut failures = failures(&client);
        failures.retain(|(what, _)| what.contains("token") || what.contains("headers"));
        assert_eq!(failures.len(), 4, "{fault:?}: {failures:?}");
        for (what, error) in failures {
            error_hides(&format!("{what}, {fault:?}"), &error, secret.secret());
        }
        emulator.heal();
    }
}

#[test]
fn an_account_with_the_name_of_a_token_is_not_named() {
    let emulator = emulator();
    let expecting = Credentials::builder()
        .client(impatient(&emulator))
        .expect_account("me@p.iam")
        .build()
        .unwrap();
    let page = format!("<html>{SECRET}</html>");
    let json = format!("{{\"email\":\"{SECRET}\",\"aliases\":[],\"scopes\":[]}}");
    for (path, body) in [
        ("instance/service-accounts/default/email", page.as_str()),
        ("instance/service-accounts/default/email", SECRET),
        (support::ACCOUNT, &json),
    ] {
        let fault = Fault::Body {
            content_type: "text/plain".to_owned(),
            bytes: body.into(),
        };
        emulator.fail_next(path, usize::MAX, fault);
        let error = expecting.blocking_refresh().unwrap_err();
        error_hides(body, &error, SECRET);
        let other = Credentials::builder().client(impatient(&emulator));
        let other = other.expect_account("me@p.iam").shared(false).build();
        error_hides(body, &other.unwrap().blocking_token().unwrap_err(), SECRET);
        emulator.heal();
    }
}

/// A line that somebody logged.
struct Line {
    thread: ThreadId,
    level: log::Level,
    target: String,
    text: String,
}

/// Keeps all that is logged, by anybody, at every level.
struct Recorder(Mutex<Vec<Line>>);

static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));

impl Recorder {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&RECORDER).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
    }
}

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.lines().push(Line {
            thread: thread::current().id(),
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
        });
    }

    fn flush(&self) {}
}

/// What a library that dumps what it carries, 16 bytes to a line in hexadecimal
/// and in letters, has dumped: thread by thread, as text.
fn dumped(lines: &[Line]) -> Vec<String> {
    let mut threads: HashMap<ThreadId, Vec<u8>> = HashMap::new();
    for line in lines {
        let hex: String = line.text.chars().take(39).filter(|c| *c != ' ').collect();
        let bytes = hex.as_bytes().chunks(2).filter_map(|two| {
            let two = std::str::from_utf8(two).ok()?;
            u8::from_str_radix(two, 16).ok()
        });
        threads.entry(line.thread).or_default().extend(bytes);
    }
    let texts = threads.into_values();
    texts
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

/// Does all that moves tokens about, well and badly, and gives them.
fn everything() -> Vec<String> {
    let emulator = emulator();
    let credentials = credentials(&emulator);
    let identity = identity(&emulator);
    let mut secrets = Vec::new();
    for _ in 0..2 {
        emulator.rotate_token();
        credentials.blocking_refresh().unwrap();
        let token = credentials.blocking_token().unwrap();
        secrets.push(token.secret().to_owned());
        assert!(credentials.invalidate(&token));
        block_on(credentials.headers()).unwrap();
        let token = block_on(identity.token()).unwrap();
        let parts = secrets_of(token.secret()).into_iter();
        secrets.extend(parts.map(str::to_owned));
        identity.blocking_refresh().unwrap();
    }
    let failing = impatient(&emulator);
    for fault in [Fault::Truncate(60), Fault::MissingFlavor] {
        emulator.fail_next(TOKEN, 1, fault.clone());
        emulator.fail_next(IDENTITY, 1, fault);
        failures(&failing);
        emulator.heal();
    }
    let spare = builder(&emulator).shared(false).build().unwrap();
    assert!(spare.cached_headers().is_none());
    until("the background has fetched", || {
        spare.cached_headers().is_some()
    });
    secrets.push(spare.blocking_token().unwrap().secret().to_owned());
    secrets
}

#[test]
fn no_line_that_is_logged_shows_a_token() {
    Recorder::listen();
    log::trace!(target: "here", "{:02x?} the log is on", b"dump");
    let secrets = everything();
    let lines = RECORDER.lines();
    assert!(
        lines.iter().any(|line| line.target == "here"),
        "the log is on"
    );
    for line in lines.iter() {
        for secret in &secrets {
            hides(
                &format!("{} {}", line.target, line.level),
                &line.text,
                secret,
            );
        }
    }
    for text in dumped(&lines) {
        for secret in &secrets {
            hides("a dump", &text, secret);
        }
    }
}

#[test]
fn a_dump_would_be_seen() {
    let line = |text: &str| Line {
        thread: thread::current().id(),
        level: log::Level::Trace,
        target: "carrier".to_owned(),
        text: text.to_owned(),
    };
    let lines = [
        line("7961 3239 2e61 6263 6465 6667 6869 6a6b ya29.abcdefghijk"),
        line("6c6d ---- ---- ---- ---- ---- ---- ---- lm.............."),
    ];
    assert_eq!(dumped(&lines), ["ya29.abcdefghijklm"]);
}
