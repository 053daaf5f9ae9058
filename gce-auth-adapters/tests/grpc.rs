//! A tonic pair, and exporters of OpenTelemetry, against a collector that checks tokens.

#![cfg(all(feature = "opentelemetry-otlp-0_33", feature = "reqwest-0_13"))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use gce_auth::{AuthLayer, Credentials, HeadersFuture, ProvideHeaders};
use gce_auth_adapters::{opentelemetry_otlp_0_33::AuthClient, tonic_0_14::interceptor};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{
    Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_client::TraceServiceClient,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use support::{
    Scene,
    example::{example, run},
    is_valid, tokens,
};
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower_layer::Layer;

const MINUTE: Duration = Duration::from_secs(60);

/// A collector that takes valid tokens only; it remembers each that came.
#[derive(Clone)]
struct Collector {
    emulator: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let header = request.metadata().get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token
            .ok_or_else(|| Status::unauthenticated("no token"))?
            .to_owned();
        self.seen.lock().unwrap().push(token.clone());
        let emulator = self.emulator;
        match tokio::task::spawn_blocking(move || is_valid(emulator, &token))
            .await
            .unwrap()
        {
            true => Ok(Response::new(ExportTraceServiceResponse::default())),
            false => Err(Status::unauthenticated("not a token of the emulator")),
        }
    }
}

impl Collector {
    async fn start(scene: &Scene) -> (Self, String) {
        let collector = Self {
            emulator: scene.emulator.addr(),
            seen: Arc::default(),
        };
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        (collector, url)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// The examples, run as a user runs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_export() {
    let scene = Scene::new();
    let (collector, url) = Collector::start(&scene).await;
    for name in ["tonic", "opentelemetry_otlp"] {
        let mut command = example(name, scene.emulator.addr());
        command.arg(&url);
        tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap();
    }
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|token| token.starts_with("ya29.")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interceptor_puts_the_token_of_the_moment() {
    let scene = Scene::new();
    let (collector, url) = Collector::start(&scene).await;
    let mut client =
        TraceServiceClient::with_interceptor(channel(&url).await, interceptor(scene.ours.clone()));
    let mut export = async || {
        let answer = client.export(ExportTraceServiceRequest::default()).await;
        answer
            .map(drop)
            .map_err(|status| (status.code(), status.message().to_owned()))
    };
    // The first call has no token yet, and has one fetched.
    let (code, message) = export().await.unwrap_err();
    assert_eq!(code, Code::Unavailable, "{message}");
    assert!(message.contains("wait_ready"), "{message}");
    while scene.ours.cached_token().is_none() {
        tokio::task::yield_now().await;
    }
    export().await.unwrap();

    scene.expire();
    scene.ours.wait_ready(MINUTE).await.unwrap();
    export().await.unwrap();
    scene.break_down();
    export().await.unwrap();
    scene.expire();
    assert_eq!(export().await.unwrap_err().0, Code::Unavailable);
    // The fetch that this call began is over before the clock is turned on.
    scene.ours.token().await.unwrap_err();
    scene.heal();
    scene.ours.wait_ready(MINUTE).await.unwrap();
    export().await.unwrap();
    scene.revoke();
    assert_eq!(export().await.unwrap_err().0, Code::Unauthenticated);
    assert_eq!(collector.seen().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_provider_can_stand_behind_an_interceptor() {
    /// Has headers only where it can wait.
    #[derive(Debug)]
    struct Slow(Credentials);

    impl ProvideHeaders for Slow {
        fn provide_headers(&self) -> HeadersFuture<'_> {
            self.0.provide_headers()
        }
    }

    let scene = Scene::new();
    let (_, url) = Collector::start(&scene).await;
    scene.ours.token().await.unwrap();
    let channel = channel(&url).await;
    let shared: Arc<dyn ProvideHeaders> = Arc::new(scene.ours.clone());
    let mut client = TraceServiceClient::with_interceptor(channel.clone(), interceptor(shared));
    client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    let mut client =
        TraceServiceClient::with_interceptor(channel, interceptor(Slow(scene.ours.clone())));
    let status = client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_replaces_a_rejected_token() {
    let scene = Scene::new();
    let (collector, url) = Collector::start(&scene).await;
    let layer = AuthLayer::new(scene.ours.clone()).grpc();
    let mut client = TraceServiceClient::new(layer.layer(channel(&url).await));
    client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    scene.revoke();
    let status = client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    assert_eq!(collector.seen().len(), 3);

    scene.expire();
    client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    scene.break_down();
    scene.expire();
    let status = client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap_err();
    assert!(format!("{status:?}").contains("503"), "{status:?}");
    assert_eq!(collector.seen().len(), 4);
    scene.heal();
    client
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
}

/// Both sides: a client of tonic with our ID tokens, and a server of tonic behind axum's layer.
#[cfg(feature = "axum-0_8")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_tonic_lets_callers_in_by_their_id_token() {
    use gce_auth::{IdTokenCredentials, IdTokenVerifier};
    use gce_auth_adapters::axum_0_8::RequireIdentity;

    /// Takes whatever the layer lets through.
    #[derive(Clone)]
    struct Open;

    #[tonic::async_trait]
    impl TraceService for Open {
        async fn export(
            &self,
            _: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    const AUDIENCE: &str = "https://collector.example";
    let scene = Scene::new();
    let verifier = IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .client(scene.client.clone())
        .jwks_url(format!("{}/oauth2/v3/certs", scene.emulator.url()))
        .build()
        .unwrap();
    let routes = tonic::service::Routes::new(TraceServiceServer::new(Open));
    let router = routes.prepare().into_axum_router();
    let router = router.layer(RequireIdentity::new(verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let channel = channel(&url).await;
    for (audience, outcome) in [
        (AUDIENCE, Code::Ok),
        ("https://other.example", Code::Unauthenticated),
    ] {
        let ours = IdTokenCredentials::builder(audience).client(scene.client.clone());
        let ours = ours.shared(false).build().unwrap();
        ours.token().await.unwrap();
        let mut client = TraceServiceClient::with_interceptor(channel.clone(), interceptor(ours));
        let answer = client.export(ExportTraceServiceRequest::default()).await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, outcome, "{audience}");
    }
    let mut anonymous = TraceServiceClient::new(channel);
    let status = anonymous.export(ExportTraceServiceRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
}

/// Exports one span. A batch is sent by a thread of its own, so that this thread may be a
/// runtime's.
async fn export(exporter: SpanExporter) -> (SdkTracerProvider, Result<(), String>) {
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let outcome = flush(&provider).await;
    (provider, outcome)
}

async fn flush(provider: &SdkTracerProvider) -> Result<(), String> {
    let provider = provider.clone();
    provider.tracer("test").in_span("span", |_| ());
    let flushed = tokio::task::spawn_blocking(move || provider.force_flush())
        .await
        .unwrap();
    flushed.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_export_over_grpc_has_the_token_of_the_moment() {
    let scene = Scene::new();
    let (collector, url) = Collector::start(&scene).await;
    scene.ours.token().await.unwrap();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .with_interceptor(interceptor(scene.ours.clone()))
        .build()
        .unwrap();
    let (provider, outcome) = export(exporter).await;
    outcome.unwrap();
    scene.expire();
    scene.ours.wait_ready(MINUTE).await.unwrap();
    flush(&provider).await.unwrap();
    let seen = collector.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0], seen[1]);

    // An interceptor does not see the answer: the program reports the token.
    scene.revoke();
    let _ = flush(&provider).await;
    assert_eq!(collector.seen().len(), 3);
    assert!(scene.ours.invalidate(&scene.ours.cached_token().unwrap()));
    scene.ours.wait_ready(MINUTE).await.unwrap();
    flush(&provider).await.unwrap();
    let seen = collector.seen();
    assert!(is_valid(scene.emulator.addr(), &seen[3]));

    scene.break_down();
    flush(&provider).await.unwrap();
    scene.expire();
    let _ = flush(&provider).await;
    assert_eq!(collector.seen().len(), 5, "an export without a token");
    scene.ours.token().await.unwrap_err();
    scene.heal();
    scene.ours.wait_ready(MINUTE).await.unwrap();
    flush(&provider).await.unwrap();
    assert_eq!(collector.seen().len(), 6);
}

/// reqwest on a runtime of the test: the exporter's thread has none.
#[derive(Debug)]
struct OnRuntime(reqwest::Client, tokio::runtime::Handle);

#[tonic::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let (client, request) = (self.0.clone(), reqwest::Request::try_from(request)?);
        let task = self.1.spawn(async move {
            let answer = client.execute(request).await?;
            let status = answer.status();
            let mut whole = http::Response::new(answer.bytes().await?);
            *whole.status_mut() = status;
            Ok::<_, reqwest::Error>(whole)
        });
        Ok(task.await??)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_over_http_is_sent_again_after_a_401() {
    let scene = Scene::new();
    let api = scene.api("{}");
    let client = OnRuntime(reqwest::Client::new(), tokio::runtime::Handle::current());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(AuthClient::new(client, scene.ours.clone()))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", api.url))
        .build()
        .unwrap();
    let (provider, _) = export(exporter).await;
    assert_eq!(api.seen().len(), 1);
    scene.revoke();
    let _ = flush(&provider).await;
    let seen = api.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(tokens(&seen).len(), 2);
    assert_eq!(seen[2].body, seen[1].body);
    assert!(is_valid(scene.emulator.addr(), seen[2].token().unwrap()));

    scene.expire();
    let _ = flush(&provider).await;
    scene.break_down();
    let _ = flush(&provider).await;
    let seen = api.seen();
    assert_eq!((seen.len(), tokens(&seen).len()), (5, 3));
    scene.expire();
    let _ = flush(&provider).await;
    assert_eq!(api.seen().len(), 5, "an export without a token");
    scene.heal();
    let _ = flush(&provider).await;
    let seen = api.seen();
    assert_eq!(seen.len(), 6);
    assert!(is_valid(scene.emulator.addr(), seen[5].token().unwrap()));
}
