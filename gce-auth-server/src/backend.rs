//! The seam between the sockets and whatever stands behind the protocol.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::surface::route::Op;
use crate::surface::{Reply, Request};

/// What answers the requests that the surface let in.
pub(crate) trait Backend: Send + Sync + 'static {
    /// The date for the answer's header.
    fn date(&self) -> Bytes;

    /// Returns when connections are to be accepted, where they are refused at first.
    fn warm(&self) -> impl Future<Output = ()> + Send;

    /// What is to be done besides answering, as long as there is a runtime.
    fn run(self: Arc<Self>) -> impl Future<Output = ()> + Send;

    /// Is told of a connection that was closed at once, as its peer is no guest.
    fn refused(&self, peer: SocketAddr);

    /// Is told that nothing can be served, and why.
    fn failed(&self, error: &io::Error);

    /// Takes note of a request, and says what shall go wrong with it.
    fn arrived(&self, request: &Request) -> Arrival;

    /// Is told how a request ended: with the head of an answer, or without one as its client left or was left.
    fn departed(&self, id: u64, status: Option<u16>);

    /// Whether some requests may be answered by another server.
    fn relays(&self) -> bool;

    /// What follows the answer of an operation that is a stream. `None` if there are too many already.
    fn feed(self: Arc<Self>) -> Option<mpsc::Receiver<Vec<u8>>>;

    /// The answer, if it is there without any waiting.
    fn at_once(&self, op: &Op) -> Option<Reply>;

    /// Answers. `request` is what the operation was understood from, if requests may be passed on. The future is dropped when the
    /// client leaves. It has a box of its own: most requests do without, and then need not carry its room.
    fn answer(
        &self,
        op: Op,
        request: Option<Request>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>>;
}

/// What is known of a request when it comes in.
pub(crate) struct Arrival {
    /// Its number, to speak of it again.
    pub(crate) id: u64,
    pub(crate) disturbance: Option<Disturbance>,
}

/// What happens to a request instead of its answer, or on the way to it.
#[derive(Clone, Debug)]
pub(crate) enum Disturbance {
    /// This is the answer.
    Instead(Reply),
    /// The answer comes later.
    Late(Duration),
    /// The answer comes with this in place of `Google` for its flavor, or without a flavor.
    Flavor(Option<String>),
    /// The answer never comes.
    Never,
    /// The connection ends without an answer.
    Close,
    /// The connection is reset without an answer.
    Reset,
    /// The answer's body comes in pieces of so many bytes, with a pause before each.
    Slow(usize, Duration),
    /// The answer ends after this many bytes of its body.
    CutAfter(usize),
}
