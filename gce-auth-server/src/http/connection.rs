//! One connection: its requests are read, answered, and the connection ends.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use hyper::{
    body::{Body, Incoming},
    header::{CONNECTION, HeaderValue},
    http::Extensions,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, sync::SemaphorePermit, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{
    activity::{Activity, Busy},
    content::{Closed, Content, Pace},
    kept::Kept,
    message::{read_body, response, understand},
    shutdown::Phases,
    stream::{HttpStream, Readable},
    turns::{Credit, Turns},
};
use crate::{
    listen::PeerProcess,
    protocol::{pages, request::Request},
    service::{Answer, Arrival, Connection, FaultAction, Hooks, Peer, Sent, Service},
};

const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// For the body of a request. Without a request, or with the head of one alone, a connection is
/// closed after this time, or after twice as long at most.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What the connections of one listener share.
pub(super) struct ConnContext<S, H> {
    pub(super) service: Arc<S>,
    pub(super) hooks: Arc<H>,
    pub(super) header_case: Extensions,
    pub(super) listener: Arc<str>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) turns: Arc<Turns>,
    pub(super) kept: Arc<Kept>,
}

impl<S, H> ConnContext<S, H> {
    pub(super) fn connection(&self, peer: Peer, process: PeerProcess) -> Connection {
        Connection {
            listener: Arc::clone(&self.listener),
            secure: self.tls.is_some(),
            peer,
            process,
        }
    }
}

/// Serves one connection. Gives its stream back if the connection is to be reset.
///
/// hyper has 16 KiB for each connection. It gets a connection when there is something to read, and
/// gives it back when nothing is left to do, unless it may keep it.
pub(super) async fn serve_connection<S: Service, H: Hooks, T: Readable>(
    stream: T,
    connection: Connection,
    caller: S::Caller,
    context: &ConnContext<S, H>,
    mut phases: Phases,
) -> Option<T> {
    let (caller, client) = (&caller, &context.hooks.connected(&connection));
    let secure = connection.secure;
    drop(connection);
    let ends = Ends::default();
    let activity = Arc::new(Activity::default());
    let (turns, credit) = (&*context.turns, Credit::default());
    let service = |request| {
        let busy = activity.begin();
        let (request, body) = understand(request, secure);
        Box::pin(exchange(
            request,
            body,
            busy,
            (caller, client),
            context,
            (&ends, &credit),
        ))
    };
    let mut idle = pin!(activity.idle(async || tokio::time::sleep(READ_TIMEOUT).await));
    let pieces = Arc::clone(&turns.pieces);
    let mut stream = HttpStream::new(stream, Arc::clone(&activity), pieces);
    // The handshake of TLS may have read more than itself.
    let mut waits = !secure;
    let mut stream = loop {
        if waits {
            tokio::select! {
                biased;
                readable = stream.get_ref().readable() => if readable.is_err() {
                    return None;
                },
                () = async {
                    phases.draining().await;
                    // The listeners end first.
                    tokio::task::yield_now().await;
                } => break stream,
                () = &mut idle => break stream,
            }
        }
        // The rest of a head is read by the hyper that parsed its beginning, whatever it takes.
        let mut may_rest = !stream.has_unread();
        let begun = activity.begun();
        let (mut turn, mut kept) = (None, None);
        if !credit.is_given() {
            turn = turns.request().await;
            credit.set(true);
        }
        let mut connection = Box::pin(
            http1::Builder::new()
                .title_case_headers(true)
                .auto_date_header(false)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service_fn(&service)),
        );
        let drains = async {
            phases.draining().await;
            ends.last.store(true, Ordering::Relaxed);
            // A request that has arrived in the meantime is seen after this.
            tokio::task::yield_now().await;
        };
        let mut end = tokio::select! {
            biased;
            // First, so that an answer that is ready at the same time says that it is the last.
            () = drains => End::Drain,
            end = poll_fn(|cx| {
                let polled = credit.poll(|| connection.poll_without_shutdown(cx));
                if turn.take().is_some() && activity.begun() == begun {
                    // The turn went by without a request.
                    credit.set(false);
                }
                match polled {
                    Poll::Ready(ended) => Poll::Ready(End::Done(ended)),
                    Poll::Pending => {
                        may_rest |= activity.begun() != begun;
                        // A turn comes before hyper does.
                        let mut keeps = || credit.is_given() && context.kept.keep(&mut kept);
                        if may_rest && activity.rests() && !keeps() {
                            Poll::Ready(End::Rest)
                        } else {
                            Poll::Pending
                        }
                    }
                }
            }) => end,
            () = &mut idle => End::Idle,
        };
        drop(turn);
        // Without a request, it has nothing to end with.
        if matches!(end, End::Drain) && activity.is_used() {
            connection.as_mut().graceful_shutdown();
            end = tokio::select! {
                biased;
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => End::Done(ended),
                () = phases.closing() => return None,
            };
        }
        let parts = Pin::into_inner(connection).into_parts();
        stream = parts.io.into_inner();
        match end {
            End::Rest => stream.put_back(&parts.read_buf),
            End::Done(Err(error)) if error.is_parse() => {
                let status = if error.is_parse_too_large() { 431 } else { 400 };
                context.hooks.unreadable(client, status, &error.to_string());
                break stream;
            }
            End::Done(_) | End::Idle | End::Drain => break stream,
        }
        waits = true;
    }
    .into_inner();
    if ends.reset.load(Ordering::Relaxed) {
        return Some(stream);
    }
    tokio::select! {
        biased;
        _ = timeout(READ_TIMEOUT, stream.shutdown()) => {}
        () = phases.closing() => {}
    }
    None
}

/// How a connection is to end.
#[derive(Default)]
struct Ends {
    /// It is to be reset.
    reset: AtomicBool,
    /// The next answer is the last.
    last: AtomicBool,
}

/// Why hyper has a connection no longer.
enum End {
    Done(hyper::Result<()>),
    Idle,
    Drain,
    /// Nothing is to be done before the client sends more.
    Rest,
}

/// From a request to its answer. What it rarely needs lies in boxes, as each request under way has
/// this in memory, and most have nothing to wait for.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has the memory of its arguments twice"
)]
fn exchange<'a, S: Service, H: Hooks>(
    mut request: Request,
    body: Incoming,
    busy: Busy,
    (caller, client): (&'a S::Caller, &'a H::Client),
    context: &'a ConnContext<S, H>,
    (ends, credit): (&'a Ends, &'a Credit),
) -> impl Future<Output = Result<hyper::Response<Content>, Closed>> + Send + 'a {
    async move {
        let (service, hooks) = (&*context.service, &*context.hooks);
        let mut too_large = false;
        let has_body = !body.is_end_stream();
        if has_body {
            match Box::pin(read_body(body, READ_TIMEOUT)).await? {
                Some(bytes) => request.body = bytes,
                None => {
                    busy.cut_body();
                    too_large = true;
                }
            }
        }

        let Arrival { id, fault } = hooks.arrived(&request, client);
        let mut visit = Visit {
            hooks,
            id,
            answered: false,
        };
        let mut pace = Pace::Whole;
        let mut flavor = None;
        let mut instead = too_large.then(pages::too_large);
        match fault {
            None => {}
            Some(FaultAction::Instead(reply)) => instead = Some(reply),
            Some(FaultAction::Late(delay)) => {
                let answered = Box::pin(async {
                    tokio::select! {
                        biased;
                        () = service.gone(&request, caller) => false,
                        () = tokio::time::sleep(delay) => true,
                    }
                });
                if !answered.await {
                    return Err(Closed);
                }
            }
            Some(FaultAction::Flavor(other)) => flavor = Some(other),
            Some(FaultAction::Never) => {
                Box::pin(service.gone(&request, caller)).await;
                return Err(Closed);
            }
            Some(FaultAction::Close) => return Err(Closed),
            Some(FaultAction::Reset) => {
                ends.reset.store(true, Ordering::Relaxed);
                return Err(Closed);
            }
            Some(FaultAction::Slow(bytes, pause)) => pace = Pace::Pieces(bytes, pause),
            Some(FaultAction::CutAfter(bytes)) => pace = Pace::CutAfter(bytes),
        }

        // A body may have come long after the turn that its head was read in.
        let turn = if credit.take() && !has_body {
            None
        } else {
            context.turns.request().await
        };
        credit.served();
        let mut reply = match instead {
            Some(reply) => reply,
            None => match service.serve(request, caller) {
                Answer::Ready(reply) => reply,
                Answer::Later(reply) => later(reply, turn, &context.turns).await,
                Answer::Perhaps(reply) => {
                    let reply = later(reply, turn, &context.turns).await;
                    reply.ok_or(Closed)?
                }
                Answer::Stream(reply, more) => {
                    pace = Pace::Feed(more);
                    reply.open_ended()
                }
                Answer::Closed => return Err(Closed),
            },
        };
        if let Some(other) = flavor {
            reply = reply.flavored(other);
        }
        let lines = reply.header_lines(service.date(), service.server());
        visit.answered = true;
        hooks.answered(
            id,
            &Sent {
                status: reply.status,
                headers: &lines,
                body: &reply.body,
                relayed: reply.relayed,
            },
        );
        let mut response = response(reply, lines, &context.header_case, pace, busy);
        if ends.last.load(Ordering::Relaxed) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(response)
    }
}

/// Waits for an answer. A turn lasts for its beginning alone.
async fn later<T>(
    mut reply: Pin<Box<dyn Future<Output = T> + Send + '_>>,
    mut turn: Option<SemaphorePermit<'_>>,
    turns: &Turns,
) -> T {
    let mut waited = false;
    let reply = poll_fn(|cx| {
        let polled = reply.as_mut().poll(cx);
        turn = None;
        waited |= polled.is_pending();
        polled
    })
    .await;
    if waited {
        turns.woken().await;
    }
    reply
}

/// A request between its arrival and the head of its answer. Ends without one if the client leaves
/// before.
struct Visit<'a, H: Hooks> {
    hooks: &'a H,
    id: u64,
    answered: bool,
}

impl<H: Hooks> Drop for Visit<'_, H> {
    fn drop(&mut self) {
        if !self.answered {
            self.hooks.departed(self.id);
        }
    }
}
