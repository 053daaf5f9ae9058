//! What public types promise to a program that passes them around: checked by
//! the compiler, and constructors that do nothing checked by counting.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::sync::Arc;

use gce_auth::{
    AccessToken, AccountInfo, Credentials, CredentialsBuilder, Detection, Error, ErrorKind,
    Headers, IdToken, IdTokenClaims, IdTokenCredentials, IdTokenCredentialsBuilder, IdTokenFormat,
    MetadataClient, MetadataClientBuilder, RefreshMode, Residency, RetryPolicy, Status, TokenState,
    executor::{Executor, Work},
    time::{Clock, Now, SystemClock},
    transport::{Limits, Transport, TransportError, TransportErrorKind},
};

const fn handle<T: Send + Sync + Clone + 'static>() {}
const fn shared<T: Send + Sync + 'static + ?Sized>() {}
fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn public_types_go_anywhere() {
    handle::<Credentials>();
    handle::<CredentialsBuilder>();
    handle::<IdTokenCredentials>();
    handle::<IdTokenCredentialsBuilder>();
    handle::<MetadataClient>();
    handle::<MetadataClientBuilder>();
    handle::<AccessToken>();
    handle::<IdToken>();
    handle::<IdTokenClaims>();
    handle::<Headers>();
    handle::<Error>();
    handle::<ErrorKind>();
    handle::<AccountInfo>();
    handle::<Residency>();
    handle::<RetryPolicy>();
    handle::<Status>();
    handle::<TokenState>();
    handle::<RefreshMode>();
    handle::<Detection>();
    handle::<IdTokenFormat>();
    handle::<Limits>();
    handle::<TransportError>();
    handle::<TransportErrorKind>();
    handle::<Now>();
    handle::<SystemClock>();
    shared::<dyn Transport>();
    shared::<dyn Clock>();
    shared::<dyn Executor>();
    let _ = is_send::<Option<Work>>(None);
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(
        Credentials::builder()
            .service_account("")
            .build()
            .unwrap_err(),
    );
    assert!(error.to_string().contains("service account"));
}

#[test]
fn futures_are_send() {
    let credentials = Credentials::new();
    let id_tokens = IdTokenCredentials::new("https://service.example");
    let client = MetadataClient::new();
    let deadline = std::time::Duration::from_secs(1);
    drop(is_send(credentials.headers()));
    drop(is_send(credentials.token()));
    drop(is_send(credentials.authorization()));
    drop(is_send(credentials.refresh()));
    drop(is_send(credentials.account()));
    drop(is_send(credentials.universe_domain()));
    drop(is_send(credentials.wait_ready(deadline)));
    drop(is_send(id_tokens.headers()));
    drop(is_send(id_tokens.token()));
    drop(is_send(id_tokens.refresh()));
    drop(is_send(client.get("project/project-id")));
    drop(is_send(client.get_recursive("instance/")));
    drop(is_send(client.on_gce(Detection::Fast)));
    drop(is_send(client.instance_attribute("key")));
    assert!(credentials.cached_token().is_none());
}

/// Refuses to be used.
#[derive(Debug)]
struct Untouched;

impl Transport for Untouched {
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
        _: &Limits,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        panic!("a constructor asked for {}", request.uri());
    }
}

impl Executor for Untouched {
    fn execute(&self, _: Work) -> Result<(), Work> {
        panic!("a constructor started work");
    }
}

impl Clock for Untouched {
    fn now(&self) -> Now {
        panic!("a constructor read the clock");
    }

    fn sleep(&self, _: std::time::Duration) {
        panic!("a constructor slept");
    }
}

#[test]
fn constructors_do_nothing() {
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .transport(Arc::new(Untouched))
        .executor(Arc::new(Untouched))
        .clock(Arc::new(Untouched))
        .build()
        .unwrap();
    let credentials = Credentials::builder()
        .client(client.clone())
        .scopes(["a"])
        .quota_project_id("p")
        .universe_domain("u.example")
        .build()
        .unwrap();
    let others = [
        credentials.clone(),
        credentials.with_scopes(["b"]),
        credentials.with_quota_project("q").unwrap(),
        credentials
            .with_service_account("r@p.iam.gserviceaccount.com")
            .unwrap(),
        credentials.with_universe_domain("other.example"),
    ];
    let id_tokens = IdTokenCredentials::builder("a")
        .client(client)
        .build()
        .unwrap();
    let another = id_tokens.with_audience("b").unwrap();
    assert_eq!(others[1].scopes().unwrap(), ["b"]);
    assert_eq!(others[2].quota_project_id(), Some("q"));
    assert_eq!(another.audience(), "b");
}

#[test]
fn what_makes_no_sense_is_refused_when_it_is_built() {
    let kind = |result: Result<Credentials, Error>| result.unwrap_err().kind();
    let builder = || Credentials::builder().endpoint("127.0.0.1:1");
    assert_eq!(
        kind(Credentials::builder().endpoint("a b").build()),
        ErrorKind::Config
    );
    assert_eq!(
        kind(builder().service_account("a/b").build()),
        ErrorKind::Config
    );
    assert_eq!(
        kind(builder().quota_project_id("a\nb").build()),
        ErrorKind::Config
    );
    assert_eq!(
        kind(builder().quota_project_id("").build()),
        ErrorKind::Config
    );
    assert_eq!(
        kind(builder().client(MetadataClient::new()).build()),
        ErrorKind::Config
    );
    let id_tokens = IdTokenCredentials::builder("")
        .endpoint("127.0.0.1:1")
        .build();
    assert_eq!(id_tokens.unwrap_err().kind(), ErrorKind::Config);
    let credentials = builder().build().unwrap();
    assert!(credentials.with_quota_project("a b").is_err());
    assert!(credentials.with_service_account("..").is_err());
}
