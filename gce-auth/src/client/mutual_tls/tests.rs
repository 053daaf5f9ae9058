use std::{fs, ops::Deref, sync::Arc, time::Duration};

use http::Response;

use super::*;
use crate::{
    RetryPolicy,
    client::config::MetadataClient,
    io::{
        clock::Clock,
        env::Environment,
        fake::{HandClock, Reply, ScriptedTransport},
        transport::{Limits, Transport, TransportError, TransportErrorKind},
    },
    world::Folder,
};

#[test]
fn modes_are_read_without_regard_to_case() {
    assert_eq!(Mode::parse(None).unwrap(), Mode::None);
    assert_eq!(Mode::parse(Some("Default")).unwrap(), Mode::Default);
    assert_eq!(Mode::parse(Some("STRICT")).unwrap(), Mode::Strict);
    for text in ["", "on"] {
        let error = Mode::parse(Some(text)).unwrap_err();
        assert!(
            error.to_string().contains("GCE_METADATA_MTLS_MODE"),
            "{text}"
        );
    }
}

/// A directory with certificates.
fn certificates() -> Folder {
    let directory = Folder::new();
    let certificate = include_str!("../../../tests/data/agent.pem");
    let key = include_str!("../../../tests/data/agent.key");
    fs::write(directory.join("root.crt"), certificate).unwrap();
    fs::write(directory.join("client.key"), format!("{certificate}{key}")).unwrap();
    directory
}

fn environment(mode: &str) -> Environment {
    Environment {
        mtls_mode: Some(mode.to_owned()),
        metadata_host: Some("metadata.google.internal".to_owned()),
        ..Environment::default()
    }
}

/// A client, and the directory with its certificates.
struct Certified(
    MetadataClient,
    #[allow(dead_code, reason = "it is there until the end")] Folder,
);

impl Deref for Certified {
    type Target = MetadataClient;

    fn deref(&self) -> &MetadataClient {
        &self.0
    }
}

/// Answers, and fails over HTTPS as often as it is told.
fn world(mode: &str, replies: Vec<Reply>) -> (Certified, Arc<ScriptedTransport>) {
    world_with(RetryPolicy::new(), mode, replies)
}

fn world_with(
    retry: RetryPolicy,
    mode: &str,
    replies: Vec<Reply>,
) -> (Certified, Arc<ScriptedTransport>) {
    let transport = Arc::new(ScriptedTransport::new(replies));
    let folder = certificates();
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as _)
        .clock(Arc::new(HandClock::at(1)))
        .retry(retry)
        .mtls_dir(&*folder)
        .build_in(&environment(mode));
    (Certified(client, folder), transport)
}

/// Hangs as long as it may.
#[derive(Debug)]
struct Hangs {
    clock: Arc<HandClock>,
    script: ScriptedTransport,
}

impl Transport for Hangs {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        self.clock.advance(limits.attempt);
        self.script.send(request, limits)
    }
}

#[test]
fn two_that_hang_are_not_taken_for_one_that_froze() {
    let directory = certificates();
    let clock = Arc::new(HandClock::at(1).jitters([0.5]));
    let transport = Arc::new(Hangs {
        clock: Arc::clone(&clock),
        script: ScriptedTransport::new([Reply::Broken(TransportErrorKind::Timeout)]),
    });
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as _)
        .clock(Arc::clone(&clock) as _)
        .mtls_dir(&*directory)
        .build_in(&environment("default"));
    let began = clock.now().boot;
    let error = client.blocking_get("instance/name").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_eq!(clock.now().boot - began, Duration::from_secs(10));
    assert_eq!(schemes(&transport.script).len(), 4);
}

fn schemes(transport: &ScriptedTransport) -> Vec<String> {
    let requests = transport.requests();
    let scheme = |request: &Request<Vec<u8>>| {
        let with = request.extensions().get::<ClientIdentity>().is_some();
        assert_eq!(with, request.uri().scheme_str() == Some("https"));
        request.uri().scheme_str().unwrap().to_owned()
    };
    requests.iter().map(scheme).collect()
}

#[test]
fn strict_means_https_or_nothing_and_default_falls_back() {
    let (client, transport) = world("strict", vec![Reply::status(404)]);
    assert!(client.blocking_get("instance/name").is_err());
    assert_eq!(schemes(&transport), ["https"]);
    let untrusted = Reply::Broken(TransportErrorKind::Tls);
    let (client, transport) = world("strict", vec![untrusted.clone(), Reply::text("vm")]);
    assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
    assert_eq!(schemes(&transport), ["https", "https"]);
    let impostor = Reply::Raw(404, Vec::new(), String::new());
    for failure in [untrusted, Reply::status(503), impostor] {
        let (client, transport) = world("default", vec![failure, Reply::text("vm")]);
        assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
        assert_eq!(schemes(&transport), ["https", "http"]);
    }
    // What the metadata server refuses with a certificate, it does without one.
    for status in [403, 404] {
        let replies = vec![Reply::status(status), Reply::text("vm")];
        let (client, transport) = world("default", replies.clone());
        let error = client.blocking_get("instance/name").unwrap_err();
        assert_eq!((error.status(), error.attempts()), (Some(status), 1));
        assert_eq!(schemes(&transport), ["https"]);
        // google-auth asks for it once more.
        let (client, transport) = world_with(RetryPolicy::google_auth(), "default", replies);
        assert_eq!(client.blocking_get("instance/name").unwrap(), "vm");
        assert_eq!(schemes(&transport), ["https", "http"]);
    }
    let (client, transport) = world("none", vec![Reply::text("vm")]);
    assert!(client.blocking_get("instance/name").is_ok());
    assert_eq!(schemes(&transport), ["http"]);
    let error = world("on", vec![]).0.endpoint().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn strict_asks_nobody_without_certificates() {
    let nowhere = Some(PathBuf::from("/nonexistent"));
    let uri = |host: &str| format!("http://{host}/x").parse::<Uri>().unwrap();
    let strict = MutualTls::new(Mode::Strict, nowhere.clone());
    for host in ["metadata.google.internal", "169.254.169.254", "127.0.0.1:1"] {
        assert!(strict.identity(&uri(host)).is_err(), "{host}");
    }
    let default = MutualTls::new(Mode::Default, nowhere);
    assert!(default.identity(&uri("169.254.169.254")).unwrap().is_none());
}
