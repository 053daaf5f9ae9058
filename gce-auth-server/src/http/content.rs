//! The bodies of answers, and how they leave: whole, in pieces, or cut off.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::{sync::mpsc, time::Sleep};

use super::activity::Busy;

/// How a body leaves.
pub(super) enum Pace {
    Whole,
    /// In pieces of this length, with a pause before each.
    Pieces(usize, Duration),
    /// Only so many bytes; then the connection ends.
    CutAfter(usize),
    /// Whole, and then what comes from here.
    Feed(mpsc::Receiver<Vec<u8>>),
}

/// A body that knows its length, unless it is to break off.
pub(super) struct Content {
    rest: Bytes,
    pace: Pace,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether what comes before the break was given the time to leave.
    flushed: bool,
    /// As long as this is not over, the connection is not idle.
    _busy: Busy,
}

impl Content {
    pub(super) fn new(mut rest: Bytes, pace: Pace, busy: Busy) -> Self {
        if let Pace::CutAfter(length) = pace {
            rest.truncate(length);
        }
        Self {
            rest,
            pace,
            pause: None,
            flushed: false,
            _busy: busy,
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        let this = &mut *self;
        match &mut this.pace {
            Pace::Feed(more) if this.rest.is_empty() => {
                return more
                    .poll_recv(context)
                    .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes.into()))));
            }
            Pace::CutAfter(_) if this.rest.is_empty() && this.flushed => {
                return Poll::Ready(Some(Err(Closed)));
            }
            Pace::CutAfter(_) if this.rest.is_empty() => {
                this.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            _ if this.rest.is_empty() => return Poll::Ready(None),
            Pace::Pieces(bytes, pause) => {
                let sleep = this
                    .pause
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(*pause)));
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
                let length = (*bytes).min(this.rest.len());
                return Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))));
            }
            Pace::Whole | Pace::CutAfter(_) | Pace::Feed(_) => {}
        }
        let all = std::mem::take(&mut this.rest);
        Poll::Ready(Some(Ok(Frame::data(all))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !matches!(self.pace, Pace::CutAfter(_) | Pace::Feed(_))
    }

    fn size_hint(&self) -> SizeHint {
        match self.pace {
            Pace::CutAfter(_) | Pace::Feed(_) => SizeHint::default(),
            Pace::Whole | Pace::Pieces(..) => SizeHint::with_exact(self.rest.len() as u64),
        }
    }
}

/// Why a connection ends without an answer: because a fault wants it, or because the client left.
#[derive(Debug)]
pub(super) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection closed")
    }
}

impl std::error::Error for Closed {}
