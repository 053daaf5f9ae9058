//! How an answer says that a token is rejected.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{provide::ProvideHeaders, values::headers::Headers};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// What `UNAUTHENTICATED` is on the wire (gRPC, "Status codes").
const UNAUTHENTICATED: &str = "16";

/// What an answer is taken for: [`Http`] or [`Grpc`].
pub trait Protocol: sealed::Sealed {
    /// What becomes of the body of an answer.
    type Body<R>;

    #[doc(hidden)]
    fn rejects(answer: &Response<impl Sized>) -> bool;

    #[doc(hidden)]
    fn read<R>(body: R, sent: Sent) -> Self::Body<R>;
}

mod sealed {
    #[expect(unnameable_types, reason = "no other crate implements it")]
    pub trait Sealed {}
    impl Sealed for crate::middleware::protocol::Http {}
    impl Sealed for crate::middleware::protocol::Grpc {}
}

/// The headers that a request was sent with, and whose they are.
#[derive(Clone, Debug)]
pub struct Sent {
    pub(super) provider: Arc<dyn ProvideHeaders>,
    pub(super) headers: Headers,
}

impl Sent {
    pub(super) fn reject(&self) {
        // Whether there is another token shows when it is asked for.
        let _ = self.provider.invalidate_headers(&self.headers);
    }
}

/// Status 401 rejects a token; answers keep their bodies.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Http;

impl Protocol for Http {
    type Body<R> = R;

    fn rejects(answer: &Response<impl Sized>) -> bool {
        answer.status() == StatusCode::UNAUTHORIZED
    }

    fn read<R>(body: R, _: Sent) -> R {
        body
    }
}

/// Status 401 and gRPC status 16 reject a token: see
/// [`AuthLayer::grpc`](crate::AuthLayer::grpc).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Grpc;

impl Protocol for Grpc {
    type Body<R> = GrpcBody<R>;

    fn rejects(answer: &Response<impl Sized>) -> bool {
        Http::rejects(answer) || unauthenticated(answer.headers())
    }

    fn read<R>(body: R, sent: Sent) -> GrpcBody<R> {
        GrpcBody {
            body,
            sent: Some(sent),
        }
    }
}

fn unauthenticated(headers: &HeaderMap) -> bool {
    headers
        .get(GRPC_STATUS)
        .is_some_and(|status| status == UNAUTHENTICATED)
}

pin_project! {
    /// A body whose trailers may reject the token that it was asked for with.
    pub struct GrpcBody<R> {
        #[pin]
        body: R,
        sent: Option<Sent>,
    }
}

impl<R: Body> Body for GrpcBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if frame.trailers_ref().is_some_and(unauthenticated) {
                if let Some(sent) = this.sent.take() {
                    sent.reject();
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<R: Default> Default for GrpcBody<R> {
    fn default() -> Self {
        Self {
            body: R::default(),
            sent: None,
        }
    }
}

impl<R> fmt::Debug for GrpcBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcBody").finish_non_exhaustive()
    }
}
