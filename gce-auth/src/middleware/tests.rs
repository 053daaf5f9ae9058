mod grpc;

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Waker,
};

use futures_executor::block_on;
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use http_body::{Body, Frame};

use super::*;
use crate::{
    provide::HeadersFuture,
    values::{
        error::{Error, ErrorKind},
        headers::Headers,
    },
};

/// Hands out `t1`, `t2`, …, the next one after each rejection, up to a last one.
#[derive(Debug)]
struct Tokens {
    current: AtomicU32,
    last: u32,
    rejected: Mutex<Vec<String>>,
    fails: Mutex<Option<Error>>,
    slow: bool,
}

impl Tokens {
    fn up_to(last: u32) -> Arc<Self> {
        Arc::new(Self {
            current: AtomicU32::new(1),
            last,
            rejected: Mutex::default(),
            fails: Mutex::default(),
            slow: false,
        })
    }

    fn rejected(&self) -> Vec<String> {
        self.rejected.lock().unwrap().clone()
    }
}

impl ProvideHeaders for Tokens {
    fn provide_headers(&self) -> HeadersFuture<'_> {
        let now = || match &*self.fails.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Headers::bearer(&format!("t{}", self.current.load(SeqCst))),
        };
        if self.slow {
            return HeadersFuture::new(async move { now() });
        }
        HeadersFuture::ready(now())
    }

    fn invalidate_headers(&self, rejected: &Headers) -> bool {
        let token = rejected
            .authorization()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let current = format!("Bearer t{}", self.current.load(SeqCst));
        if token == current && self.current.load(SeqCst) < self.last {
            self.current.fetch_add(1, SeqCst);
        }
        self.rejected.lock().unwrap().push(token);
        // Another request has dropped it first: that says nothing.
        false
    }
}

/// Answers with a script of statuses and gRPC statuses, and keeps what it got.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<(StatusCode, Option<&'static str>)>,
    got: Vec<Request<String>>,
    readied: u32,
}

impl Server {
    fn new(answers: impl IntoIterator<Item = u16>) -> Self {
        let status = |status| (StatusCode::from_u16(status).unwrap(), None);
        Self::grpc(answers.into_iter().map(status))
    }

    fn grpc(answers: impl IntoIterator<Item = (StatusCode, Option<&'static str>)>) -> Self {
        let server = Self::default();
        server.0.lock().unwrap().answers.extend(answers);
        server
    }

    /// The tokens that came, in order.
    fn tokens(&self) -> Vec<String> {
        let script = self.0.lock().unwrap();
        let token = |request: &Request<String>| {
            let mut values = request.headers().get_all(AUTHORIZATION).iter();
            let token = values.next().unwrap().to_str().unwrap().to_owned();
            assert!(values.next().is_none(), "one is enough");
            token
        };
        script.got.iter().map(token).collect()
    }
}

impl<B: Into<String>> Service<Request<B>> for Server {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.lock().unwrap().readied += 1;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut script = self.0.lock().unwrap();
        script.got.push(request.map(Into::into));
        assert!(
            script.readied as usize >= script.got.len(),
            "it was not ready"
        );
        let (status, grpc) = script.answers.pop_front().unwrap();
        let mut answer = Response::new("answer");
        *answer.status_mut() = status;
        if let Some(grpc) = grpc {
            answer
                .headers_mut()
                .insert("grpc-status", grpc.parse().unwrap());
        }
        ready(Ok(answer))
    }
}

/// A body that cannot be cloned.
struct Stream(&'static str);

impl From<Stream> for String {
    fn from(stream: Stream) -> Self {
        stream.0.to_owned()
    }
}

fn send<S, B>(service: &mut S, request: Request<B>) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>>,
{
    block_on(std::future::poll_fn(|context| service.poll_ready(context)))?;
    block_on(service.call(request))
}

fn request() -> Request<String> {
    Request::post("https://api.example/v1?x=y")
        .header("x-mine", "kept")
        .header(AUTHORIZATION, "replaced")
        .extension(7u8)
        .body("body".to_owned())
        .unwrap()
}

#[test]
fn a_request_carries_the_headers_and_its_answer_comes_back() {
    let (tokens, server) = (Tokens::up_to(1), Server::new([200]));
    let mut service = AuthLayer::new(tokens).layer(server.clone());
    let request = request().map(|_| Stream("stream"));
    let answer = send(&mut service, request).unwrap();
    assert_eq!(
        (answer.status(), *answer.body()),
        (StatusCode::OK, "answer")
    );
    assert_eq!(server.tokens(), ["Bearer t1"]);
    assert_eq!(server.0.lock().unwrap().got[0].body(), "stream");
}

#[test]
fn a_token_that_is_to_come_is_waited_for() {
    let mut tokens = Tokens::up_to(2);
    Arc::get_mut(&mut tokens).unwrap().slow = true;
    let server = Server::new([401, 200]);
    let layer = AuthLayer::new(tokens).resend_clones();
    let answer = send(&mut layer.layer(server.clone()), request()).unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
}

/// Has other headers than a bearer token, and counts who asks.
#[derive(Debug)]
struct Counting {
    asked: AtomicU32,
    slow: bool,
    headers: Headers,
}

impl Counting {
    fn new(headers: Headers, slow: bool) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicU32::new(0),
            slow,
            headers,
        })
    }
}

impl ProvideHeaders for Counting {
    fn provide_headers(&self) -> HeadersFuture<'_> {
        self.asked.fetch_add(1, SeqCst);
        if self.slow {
            return HeadersFuture::new(async { Ok(self.headers.clone()) });
        }
        HeadersFuture::ready(Ok(self.headers.clone()))
    }
}

#[test]
fn a_provider_is_asked_once_a_request() {
    for slow in [false, true] {
        let provider = Counting::new(Headers::bearer("t").unwrap(), slow);
        let server = Server::new([200, 200]);
        let mut service = AuthLayer::new(Arc::clone(&provider)).layer(server.clone());
        for requests in 1..=2 {
            send(&mut service, request()).unwrap();
            assert_eq!(provider.asked.load(SeqCst), requests, "slow: {slow}");
        }
    }
}

#[test]
fn headers_of_the_request_stay_but_for_its_authorization() {
    let billed = HeaderValue::from_static("ours");
    let headers = Headers::bearer("t").unwrap().with_quota_project(billed);
    let server = Server::new([401, 200, 200]);
    let layer = AuthLayer::new(Counting::new(headers, false));
    let mut service = layer.layer(server.clone());
    let mut own = request();
    let project = HeaderValue::from_static("the request's");
    own.headers_mut().insert("x-goog-user-project", project);
    send(&mut service, own).unwrap();
    send(&mut service, request()).unwrap();
    let script = server.0.lock().unwrap();
    let project = |request: &Request<String>| request.headers()["x-goog-user-project"].clone();
    assert_eq!(project(&script.got[0]), "the request's");
    assert_eq!(project(&script.got[1]), "ours");
    assert_eq!(script.got[0].headers()[AUTHORIZATION], "Bearer t");
}

#[test]
fn what_a_reverse_proxy_was_sent_is_not_passed_on_by_anonymous_credentials() {
    let server = Server::new([200]);
    let layer = AuthLayer::new(crate::Credentials::anonymous());
    send(&mut layer.layer(server.clone()), request()).unwrap();
    let script = server.0.lock().unwrap();
    assert!(!script.got[0].headers().contains_key(AUTHORIZATION));
    assert_eq!(script.got[0].headers()["x-mine"], "kept");
}

#[test]
fn a_rejected_request_is_sent_once_more_as_it_was() {
    let (tokens, server) = (Tokens::up_to(9), Server::new([401, 401, 200]));
    let mut service = AuthLayer::new(Arc::clone(&tokens))
        .resend_clones()
        .layer(server.clone());
    let answer = send(&mut service, request()).unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::UNAUTHORIZED,
        "the second answer counts"
    );
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
    assert_eq!(tokens.rejected(), ["Bearer t1", "Bearer t2"]);
    let script = server.0.lock().unwrap();
    let [first, second] = &script.got[..] else {
        unreachable!("there were two");
    };
    assert_eq!(
        (first.method(), first.uri()),
        (second.method(), second.uri())
    );
    assert_eq!(
        (first.body(), second.body()),
        (&"body".to_owned(), &"body".to_owned())
    );
    assert_eq!(second.headers()["x-mine"], "kept");
    assert_eq!(second.extensions().get::<u8>(), Some(&7));
}

#[test]
fn the_token_that_was_rejected_is_not_sent_again() {
    let (tokens, server) = (Tokens::up_to(1), Server::new([401]));
    let mut service = AuthLayer::new(Arc::clone(&tokens))
        .resend_clones()
        .layer(server.clone());
    let answer = send(&mut service, request()).unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((server.tokens().len(), tokens.rejected().len()), (1, 1));
}

#[test]
fn a_body_that_cannot_be_cloned_is_sent_once() {
    let (tokens, server) = (Tokens::up_to(2), Server::new([401, 200]));
    let mut service = AuthLayer::new(Arc::clone(&tokens)).layer(server.clone());
    let stream = || Request::new(Stream("s"));
    assert_eq!(
        send(&mut service, stream()).unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(tokens.rejected(), ["Bearer t1"]);
    assert_eq!(
        send(&mut service, stream()).unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
}

#[test]
fn a_function_may_say_which_bodies_are_copied() {
    let (tokens, server) = (Tokens::up_to(9), Server::new([401, 200, 401]));
    let copy = |body: &Stream| (body.0.len() < 4).then_some(Stream(body.0));
    let mut service = AuthLayer::new(tokens)
        .resend_with(copy)
        .layer(server.clone());
    assert_eq!(
        send(&mut service, Request::new(Stream("abc")))
            .unwrap()
            .status(),
        StatusCode::OK
    );
    let answer = send(&mut service, Request::new(Stream("abcdef"))).unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.tokens().len(), 3);
}

#[test]
fn only_401_rejects_a_token() {
    let (tokens, server) = (Tokens::up_to(9), Server::new([403, 404, 500]));
    let mut service = AuthLayer::new(Arc::clone(&tokens))
        .resend_clones()
        .layer(server.clone());
    for _ in 0..3 {
        assert!(send(&mut service, request()).is_ok());
    }
    assert!(tokens.rejected().is_empty());
    assert_eq!(server.tokens(), ["Bearer t1"; 3]);
}

#[test]
fn without_a_token_nothing_is_sent() {
    let (tokens, server) = (Tokens::up_to(1), Server::new([]));
    *tokens.fails.lock().unwrap() = Some(Error::of_provider("no luck"));
    let mut service = AuthLayer::new(tokens).layer(server.clone());
    let error = send(&mut service, request()).unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Provider);
    assert!(server.tokens().is_empty());
}

#[test]
fn where_no_other_token_is_to_be_had_the_rejection_stands() {
    /// Has no token once one was rejected.
    #[derive(Debug)]
    struct Once(Arc<Tokens>);

    impl ProvideHeaders for Once {
        fn provide_headers(&self) -> HeadersFuture<'_> {
            self.0.provide_headers()
        }

        fn invalidate_headers(&self, _: &Headers) -> bool {
            *self.0.fails.lock().unwrap() = Some(Error::of_provider("gone"));
            true
        }
    }

    let server = Server::new([401]);
    let layer = AuthLayer::new(Once(Tokens::up_to(1))).resend_clones();
    let answer = send(&mut layer.layer(server.clone()), request()).unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.tokens().len(), 1);
}

#[test]
fn debug_shows_no_token() {
    let copies = format!("{:?}", CopyWith(|_: &String| None::<String>));
    assert!(copies.contains("CopyWith"), "{copies}");
    let service = AuthLayer::new(crate::Credentials::fixed("ya29.secret", None).unwrap())
        .grpc()
        .layer(());
    let shown = format!("{service:?}");
    assert!(
        shown.contains("provider") && !shown.contains("ya29"),
        "{shown}"
    );
}
