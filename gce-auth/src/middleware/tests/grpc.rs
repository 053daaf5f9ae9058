//! Calls of gRPC, which say in their headers or trailers that a token is rejected.

use super::*;

#[test]
fn grpc_rejects_in_headers_where_asked_to() {
    let unauthenticated = [(StatusCode::OK, Some("16")), (StatusCode::OK, Some("0"))];
    let (tokens, server) = (Tokens::up_to(2), Server::grpc(unauthenticated));
    let layer = AuthLayer::new(Arc::clone(&tokens)).resend_clones();
    let answer = send(&mut layer.layer(server), request()).unwrap();
    assert_eq!(answer.headers()["grpc-status"], "16", "nobody asked");

    let server = Server::grpc(unauthenticated);
    let answer = send(&mut layer.grpc().layer(server.clone()), request()).unwrap();
    assert_eq!(answer.headers()["grpc-status"], "0");
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
}

/// A body of trailers alone.
struct Trailers(Option<&'static str>);

impl Body for Trailers {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        let trailers = self.0.take().map(|status| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            Ok(Frame::trailers(trailers))
        });
        Poll::Ready(trailers)
    }
}

#[test]
fn grpc_rejects_in_trailers_and_the_next_call_has_another_token() {
    for (status, rejected) in [("16", 1), ("0", 0), ("7", 0)] {
        let tokens = Tokens::up_to(2);
        let sent = protocol::Sent {
            provider: Arc::clone(&tokens) as _,
            headers: Headers::bearer("t1").unwrap(),
        };
        let mut body = pin!(Grpc::read(Trailers(Some(status)), sent));
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
            assert!(frame.unwrap().is_trailers());
        }
        assert_eq!(tokens.rejected().len(), rejected, "{status}");
    }
}

#[test]
fn a_body_of_grpc_is_as_long_as_the_one_in_it() {
    let sent = || protocol::Sent {
        provider: Tokens::up_to(1) as _,
        headers: Headers::bearer("t1").unwrap(),
    };
    let body = Grpc::read("hello".to_owned(), sent());
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    let shown = format!("{body:?}");
    assert!(
        shown.contains("GrpcBody") && !shown.contains("t1"),
        "{shown}"
    );
    assert!(Grpc::read(String::new(), sent()).is_end_stream());
}
