//! One request, with its headers, and perhaps a second time.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION, request::Parts};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    middleware::protocol::{Protocol, Sent},
    provide::{HeadersFuture, ProvideHeaders},
    values::headers::Headers,
};

/// The error of an [`AuthService`](crate::AuthService): the one of the service inside of it, or an
/// [`Error`](crate::Error) of the source of headers. What tower calls
/// `BoxError`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The answer of an [`AuthService`](crate::AuthService).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct AuthFuture<S, B, P>
    where
        S: Service<Request<B>>,
    {
        service: S,
        provider: Arc<dyn ProvideHeaders>,
        // The request once more, if it can be sent again.
        again: Option<Request<B>>,
        #[pin]
        step: Step<S::Future, S::Response, B>,
        protocol: PhantomData<fn() -> P>,
    }
}

pin_project! {
    #[project = StepNow]
    enum Step<F, A, B> {
        // Waits for headers.
        Headers { coming: HeadersFuture<'static>, request: Option<Request<B>> },
        // Waits for the answer.
        Answer { #[pin] answer: F, sent: Option<Sent> },
        // It was rejected; waits for other headers.
        Others { coming: HeadersFuture<'static>, rejected: Option<A>, sent: Option<Sent> },
        // Waits until the service takes another request.
        Ready { request: Option<Request<B>>, sent: Option<Sent> },
    }
}

impl<S, B, P> AuthFuture<S, B, P>
where
    S: Service<Request<B>>,
{
    pub(super) fn new(
        service: S,
        provider: Arc<dyn ProvideHeaders>,
        request: Request<B>,
        copy: Option<B>,
    ) -> Self {
        let again = copy.map(|body| Request::from_parts(parts_of(&request), body));
        let coming = Arc::clone(&provider).provide_owned();
        Self {
            service,
            provider,
            again,
            step: Step::Headers {
                coming,
                request: Some(request),
            },
            protocol: PhantomData,
        }
    }
}

/// A copy of all but the body.
fn parts_of<B>(request: &Request<B>) -> Parts {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    copy.into_parts().0
}

/// Puts `headers` onto a request. Its own `authorization` never stays: a reverse
/// proxy would hand its caller's on. Its other headers do.
fn put(headers: &Headers, map: &mut HeaderMap) {
    map.remove(AUTHORIZATION);
    for (name, value) in headers.iter() {
        map.entry(name).or_insert_with(|| value.clone());
    }
}

impl<S, B, R, P> Future for AuthFuture<S, B, P>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    P: Protocol,
{
    type Output = Result<Response<P::Body<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepNow::Headers { coming, request } => {
                    let headers = ready!(Pin::new(coming).poll(context))?;
                    let Some(mut request) = request.take() else {
                        return Poll::Pending;
                    };
                    put(&headers, request.headers_mut());
                    Step::Answer {
                        answer: this.service.call(request),
                        sent: Some(Sent {
                            provider: Arc::clone(this.provider),
                            headers,
                        }),
                    }
                }
                StepNow::Answer { answer, sent } => {
                    let answer = ready!(answer.poll(context)).map_err(Into::<BoxError>::into)?;
                    let Some(sent) = sent.take() else {
                        return Poll::Pending;
                    };
                    if !P::rejects(&answer) {
                        return Poll::Ready(Ok(answer.map(|body| P::read(body, sent))));
                    }
                    sent.reject();
                    if this.again.is_none() {
                        return Poll::Ready(Ok(answer.map(|body| P::read(body, sent))));
                    }
                    Step::Others {
                        coming: Arc::clone(this.provider).provide_owned(),
                        rejected: Some(answer),
                        sent: Some(sent),
                    }
                }
                StepNow::Others {
                    coming,
                    rejected,
                    sent,
                } => {
                    let headers = ready!(Pin::new(coming).poll(context));
                    let (Some(rejected), Some(sent), Some(mut request)) =
                        (rejected.take(), sent.take(), this.again.take())
                    else {
                        return Poll::Pending;
                    };
                    match headers {
                        Ok(headers) if headers.authorization() != sent.headers.authorization() => {
                            put(&headers, request.headers_mut());
                            Step::Ready {
                                request: Some(request),
                                sent: Some(Sent { headers, ..sent }),
                            }
                        }
                        // Without another token there is no other answer.
                        _ => return Poll::Ready(Ok(rejected.map(|body| P::read(body, sent)))),
                    }
                }
                StepNow::Ready { request, sent } => {
                    ready!(this.service.poll_ready(context)).map_err(Into::<BoxError>::into)?;
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    Step::Answer {
                        answer: this.service.call(request),
                        sent: sent.take(),
                    }
                }
            };
            this.step.set(next);
        }
    }
}

impl<S, B, P> fmt::Debug for AuthFuture<S, B, P>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFuture").finish_non_exhaustive()
    }
}
