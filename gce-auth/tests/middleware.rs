//! The layer in real company: a hyper client, a tonic channel, axum servers.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::{Buf, BufMut, Bytes};
use gce_auth::{
    AuthLayer, BoxError, Credentials, ErrorKind, IdTokenCredentials, MetadataClient,
    ProvideHeaders, RetryPolicy,
};
use gce_auth_emulator::Emulator;
use http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION, uri::PathAndQuery};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use support::{TOKEN, credentials, emulator};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tower_layer::Layer;
use tower_service::Service;

/// What an API takes and what came to it.
#[derive(Clone, Debug, Default)]
struct Api(Arc<Mutex<Doorman>>);

#[derive(Debug, Default)]
struct Doorman {
    revoked: Vec<String>,
    came: Vec<String>,
}

impl Api {
    fn revoke(&self, credentials: &Credentials) {
        let token = credentials.cached_token().unwrap();
        let mut doorman = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doorman.revoked.push(format!("Bearer {}", token.secret()));
    }

    /// Whether a request with these headers may enter.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(AUTHORIZATION).map(|it| it.to_str().unwrap());
        let token = token.unwrap_or_default().to_owned();
        let mut doorman = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = token.starts_with("Bearer ya29.") && !doorman.revoked.contains(&token);
        doorman.came.push(token);
        good
    }

    fn came(&self) -> usize {
        let doorman = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doorman.came.len()
    }
}

async fn rest(State(api): State<Api>, headers: HeaderMap, body: String) -> Response {
    if api.admits(&headers) {
        body.into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// One message, and the trailers that say how it went.
struct Message {
    frames: Vec<Frame<Bytes>>,
}

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop().map(Ok))
    }
}

fn grpc(status: &'static str, in_trailers: bool) -> Response {
    let mut frames = Vec::new();
    let answer = http::Response::builder().header("content-type", "application/grpc");
    let answer = if in_trailers {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        frames.push(Frame::trailers(trailers));
        frames.push(Frame::data(Bytes::from_static(b"\0\0\0\0\x02hi")));
        answer
    } else {
        answer.header("grpc-status", status)
    };
    answer
        .body(axum::body::Body::new(Message { frames }))
        .unwrap()
}

/// Says no before it has begun.
async fn early(State(api): State<Api>, headers: HeaderMap) -> Response {
    let admitted = api.admits(&headers);
    grpc(if admitted { "0" } else { "16" }, admitted)
}

/// Says no when it has already answered.
async fn late(State(api): State<Api>, headers: HeaderMap) -> Response {
    grpc(if api.admits(&headers) { "0" } else { "16" }, true)
}

async fn listen(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn api() -> (Api, SocketAddr) {
    let api = Api::default();
    let app = Router::new()
        .route("/rest", post(rest))
        .route("/demo.Echo/Early", post(early))
        .route("/demo.Echo/Late", post(late))
        .with_state(api.clone());
    let address = listen(app).await;
    (api, address)
}

/// Credentials with a token in hand that the API does not take any more.
async fn revoked(emulator: &Emulator, api: &Api) -> Credentials {
    let credentials = credentials(emulator);
    credentials.token().await.unwrap();
    api.revoke(&credentials);
    emulator.rotate_token();
    credentials
}

fn hyper<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    Client::builder(TokioExecutor::new()).build_http()
}

async fn send<S, B>(service: &mut S, request: Request<B>) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>>,
{
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    service.call(request).await
}

fn to(address: SocketAddr) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://{address}/rest"));
    request.body(Full::from("what I say")).unwrap()
}

#[tokio::test]
async fn a_hyper_client_outlives_a_revoked_token() {
    let emulator = emulator();
    let (api, address) = api().await;
    let credentials = revoked(&emulator, &api).await;
    let mut client = AuthLayer::new(credentials.clone())
        .resend_clones()
        .layer(hyper());
    for _ in 0..2 {
        let answer = send(&mut client, to(address)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "what I say");
    }
    assert_eq!((api.came(), emulator.request_count(TOKEN)), (3, 2));
}

#[tokio::test]
async fn a_body_that_cannot_be_cloned_is_not_sent_twice() {
    let emulator = emulator();
    let (api, address) = api().await;
    let credentials = revoked(&emulator, &api).await;
    let mut client = AuthLayer::new(credentials).layer(hyper());
    let stream = || to(address).map(|body| body.boxed_unsync());
    let answer = send(&mut client, stream()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = send(&mut client, stream()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(api.came(), 2);
}

#[tokio::test]
async fn a_server_that_takes_no_token_at_all_is_asked_once() {
    let emulator = emulator();
    let (api, address) = api().await;
    let credentials = credentials(&emulator);
    credentials.token().await.unwrap();
    // The metadata server has no other token either.
    api.revoke(&credentials);
    let mut client = AuthLayer::new(credentials).resend_clones().layer(hyper());
    let answer = send(&mut client, to(address)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.came(), 1);
}

#[tokio::test]
async fn a_rejected_id_token_is_dropped_and_the_next_one_sent() {
    let (api, address) = api().await;
    let identity = IdTokenCredentials::fixed("https://api.example", "ya29.one", None).unwrap();
    let revoked = identity.token().await.unwrap();
    let doorman = || api.0.lock().unwrap_or_else(PoisonError::into_inner);
    doorman()
        .revoked
        .push(format!("Bearer {}", revoked.secret()));
    let mut client = AuthLayer::new(identity.clone()).layer(hyper());
    let answer = send(&mut client, to(address)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(identity.cached_token().is_none(), "it was rejected");
    identity.set_token(Some("ya29.two"), None).unwrap();
    let answer = send(&mut client, to(address)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(doorman().came, ["Bearer ya29.one", "Bearer ya29.two"]);
}

#[tokio::test]
async fn many_rejected_at_once_cost_one_token() {
    let emulator = emulator();
    let (api, address) = api().await;
    let credentials = revoked(&emulator, &api).await;
    let client = AuthLayer::new(credentials).resend_clones().layer(hyper());
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { send(&mut client, to(address)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(emulator.request_count(TOKEN), 2);
}

#[tokio::test]
async fn without_a_metadata_server_the_error_is_ours() {
    let (api, address) = api().await;
    let once = RetryPolicy::new().attempts(1);
    let client = MetadataClient::builder()
        .endpoint("127.0.0.1:1")
        .retry(once);
    let client = client.build().unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let mut client = AuthLayer::new(credentials).layer(hyper());
    let error: BoxError = send(&mut client, to(address)).await.unwrap_err();
    let error = error.downcast_ref::<gce_auth::Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(api.came(), 0);
}

/// Messages as they are: tonic without generated code.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Calls `method` through a tonic channel, with the layer around it.
async fn call(
    provider: impl ProvideHeaders + 'static,
    address: SocketAddr,
    methods: &[&'static str],
) -> Vec<Result<Bytes, Code>> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = AuthLayer::new(provider)
        .grpc()
        .layer(channel.connect_lazy());
    let mut client = tonic::client::Grpc::new(channel);
    let mut outcomes = Vec::new();
    for method in methods {
        client.ready().await.unwrap();
        let request = tonic::Request::new(Bytes::from_static(b"hi"));
        let answer = client.unary(request, PathAndQuery::from_static(method), Raw);
        let answer = answer.await.map(tonic::Response::into_inner);
        outcomes.push(answer.map_err(|status| status.code()));
    }
    outcomes
}

#[tokio::test]
async fn a_tonic_channel_has_another_token_after_a_rejection() {
    for method in ["/demo.Echo/Early", "/demo.Echo/Late"] {
        let emulator = emulator();
        let (api, address) = api().await;
        let credentials = revoked(&emulator, &api).await;
        let outcomes = call(credentials, address, &[method, method, method]).await;
        let hi = || Ok(Bytes::from_static(b"hi"));
        assert_eq!(
            outcomes,
            [Err(Code::Unauthenticated), hi(), hi()],
            "{method}"
        );
        assert_eq!(emulator.request_count(TOKEN), 2, "{method}");
    }
}

/// Any provider is one, also behind a pointer.
#[tokio::test]
async fn an_axum_server_calls_an_api_for_its_callers() {
    let emulator = emulator();
    let (api, address) = api().await;
    let provider: Arc<dyn ProvideHeaders> = Arc::new(revoked(&emulator, &api).await);
    let client = AuthLayer::new(provider).resend_clones().layer(hyper());
    let app = Router::new().route(
        "/",
        get(move || {
            let mut client = client.clone();
            async move {
                let answer = send(&mut client, to(address)).await;
                answer.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
            }
        }),
    );
    let front = listen(app).await;
    let request = Request::get(format!("http://{front}/"));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = hyper().request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(api.came(), 2);
}
