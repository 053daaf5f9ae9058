//! A failure in the background is never silent, and nothing secret is said.
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![cfg(feature = "tracing")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use gce_auth::{Credentials, MetadataClient, RetryPolicy};
#[cfg(feature = "iam")]
use gce_auth::{
    executor::{Executor, Work},
    transport::HttpTransport,
};
use gce_auth_emulator::{Emulator, Fault};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Writes down every span and event: target, level, and all fields.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Notes {
    fn note(&self, kind: &str, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{kind} {} {}", metadata.target(), metadata.level()));
        record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn matching(&self, start: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.starts_with(start))
            .cloned()
            .collect()
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gce_auth")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        self.note("span", attributes.metadata(), |line| {
            attributes.record(line);
        });
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note("event", event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The rows of the table of targets: target, level, and whether it is a span.
fn documented() -> BTreeSet<(String, String, bool)> {
    let page = include_str!("../src/docs/limits.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `gce_auth::"));
    rows.map(|row| {
        let mut ticks = row.split('`');
        let (target, between) = (ticks.nth(1).unwrap(), ticks.next().unwrap());
        let level = ticks.next().unwrap();
        (
            target.to_owned(),
            level.to_owned(),
            between.contains("span"),
        )
    })
    .collect()
}

#[test]
fn every_target_and_level_is_documented_and_none_that_is_not_there() {
    let code = include_str!("../src/io/events.rs");
    let said: BTreeSet<_> = code
        .split("tracing::")
        .skip(1)
        .filter_map(|part| {
            let (name, rest) = part.split_once('!')?;
            let (_, target) = rest.split_once("target: \"")?;
            let level = name.trim_end_matches("_span").to_uppercase();
            let target = target.split('"').next()?;
            Some((target.to_owned(), level, name.ends_with("_span")))
        })
        .collect();
    assert!(said.len() >= 5, "{said:?}");
    assert_eq!(said, documented());
}

#[test]
fn refreshes_and_failures_are_told_without_secrets() {
    let notes = Notes::default();
    tracing::subscriber::set_global_default(notes.clone()).unwrap();
    let emulator = Emulator::builder().start().unwrap();
    let client = MetadataClient::builder()
        .endpoint(emulator.addr().to_string())
        .retry(
            RetryPolicy::new()
                .attempts(3)
                .first_wait(std::time::Duration::ZERO),
        )
        .build()
        .unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let status = Fault::Status {
        code: 503,
        retry_after: None,
    };
    emulator.fail_next(
        "/computeMetadata/v1/instance/service-accounts",
        1,
        status.clone(),
    );
    let token = credentials.blocking_token().unwrap();
    emulator.fail_next(
        "/computeMetadata/v1/instance/service-accounts",
        usize::MAX,
        status,
    );
    credentials.blocking_refresh().unwrap_err();

    assert_eq!(notes.matching("span gce_auth::refresh DEBUG").len(), 2);
    assert_eq!(notes.matching("event gce_auth::refresh DEBUG").len(), 1);
    let failed = notes.matching("event gce_auth::refresh WARN");
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains("status 503"), "{failed:?}");
    let attempts = notes.matching("event gce_auth::call WARN");
    assert_eq!(attempts.len(), 4, "{attempts:?}");
    assert!(
        attempts[0].contains("attempt=1") && attempts[0].contains("/token"),
        "{attempts:?}"
    );
    let everything = notes.lines.lock().unwrap().join("\n");
    assert!(!everything.contains(token.secret()));
}

/// Does work where it is given.
#[cfg(feature = "iam")]
#[derive(Debug)]
struct Here;

#[cfg(feature = "iam")]
impl Executor for Here {
    fn execute(&self, work: Work) -> Result<(), Work> {
        work.run();
        Ok(())
    }
}

#[test]
#[cfg(feature = "iam")]
fn a_missing_boundary_and_a_certificate_of_no_use_are_told() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("tracing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let bundle = folder.join("x509.credential-bundle.private-key.pem");
    std::fs::write(&bundle, "-----BEGIN CERTIFICATE-----").unwrap();
    let emulator = Emulator::builder().start().unwrap();
    // No request leaves this machine, and nothing answers for IAM.
    let transport =
        HttpTransport::new().resolve("iamcredentials.googleapis.com:443", "127.0.0.1:1");
    let client = MetadataClient::builder()
        .endpoint(emulator.addr().to_string())
        .transport(Arc::new(transport.unwrap()))
        .executor(Arc::new(Here))
        .workload_credentials_dir(&folder)
        .build()
        .unwrap();
    let credentials = Credentials::builder()
        .client(client)
        .universe_domain("googleapis.com")
        .regional_access_boundary(true)
        .build()
        .unwrap();
    credentials.block_on_regional_access_boundary();
    let notes = Notes::default();
    let uri = http::Uri::from_static("https://storage.googleapis.com/");
    let mut headers = http::HeaderMap::new();
    // Everything happens on this thread.
    tracing::subscriber::with_default(notes.clone(), || {
        credentials.blocking_before_request(&http::Method::GET, &uri, &mut headers)
    })
    .unwrap();
    let account = credentials.service_account_email().unwrap();
    let boundary = notes.matching("event gce_auth::boundary DEBUG");
    assert_eq!(boundary.len(), 1, "{boundary:?}");
    assert!(boundary[0].contains(&account), "{boundary:?}");
    let warnings = notes.matching("event gce_auth::refresh WARN");
    let file = bundle.display().to_string();
    let [not_bound, not_fetched] = &*warnings else {
        panic!("{warnings:?}")
    };
    assert!(not_bound.contains(&file), "{warnings:?}");
    assert!(not_fetched.contains("not fetched"), "{warnings:?}");
    std::fs::remove_dir_all(folder).unwrap();
}
