//! The stream under hyper: tells when hyper has nothing left to do with it, so that its buffers can
//! be given back, and lets large answers leave in turns.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;

/// So many bytes are written at once; what is larger leaves in pieces, in turns with the others.
const PIECE: usize = 16 * 1024;

/// A stream that can be waited for, without a buffer to read into.
pub(super) trait Readable: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Returns when a read would not have to wait, after one that had to.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Readable for TcpStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        Self::readable(self)
    }
}

#[cfg(unix)]
impl Readable for tokio::net::UnixStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        Self::readable(self)
    }
}

/// A read that had to wait found nothing in the buffers of TLS.
impl<T: Readable> Readable for TlsStream<T> {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.get_ref().0.readable()
    }
}

type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>;

/// A stream, as hyper has it.
pub(super) struct HttpStream<T> {
    stream: T,
    /// What was read before, and not used.
    unread: Bytes,
    activity: Arc<Activity>,
    turns: Arc<Semaphore>,
    /// Since the last flush.
    written: usize,
    turn: Option<Turn>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<T> HttpStream<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>, turns: Arc<Semaphore>) -> Self {
        Self {
            stream,
            unread: Bytes::new(),
            activity,
            turns,
            written: 0,
            turn: None,
            permit: None,
        }
    }

    /// Puts back what was read and not used, in a buffer of its own length.
    pub(super) fn put_back(&mut self, unread: &Bytes) {
        self.unread = Bytes::copy_from_slice(unread);
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    pub(super) fn get_ref(&self) -> &T {
        &self.stream
    }

    pub(super) fn into_inner(self) -> T {
        self.stream
    }

    /// Waits for a turn, if so many bytes take more than one piece. It begins when all that was to
    /// be done before has been, and ends with the piece: so one large answer at most is at work
    /// beside the small ones, and each piece lets those go first.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<Option<OwnedSemaphorePermit>> {
        if self.written + bytes <= PIECE {
            (self.turn, self.permit) = (None, None);
            return Poll::Ready(None);
        }
        if let Some(permit) = self.permit.take() {
            return Poll::Ready(Some(permit));
        }
        let turns = &self.turns;
        let turn = self
            .turn
            .get_or_insert_with(|| Box::pin(Arc::clone(turns).acquire_owned()));
        // They are never closed.
        self.permit = ready!(turn.as_mut().poll(cx)).ok();
        self.turn = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn wrote(&mut self, wrote: &Poll<io::Result<usize>>) {
        self.activity.flushed(false);
        if let Poll::Ready(Ok(bytes)) = wrote {
            self.written += bytes;
        }
    }
}

impl<T: Readable> AsyncRead for HttpStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.activity.read_all(read.is_pending());
        read
    }
}

impl<T: Readable> AsyncWrite for HttpStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.flushed(false);
        let _turn = ready!(self.poll_turn(cx, bytes.len()));
        let piece = &bytes[..bytes.len().min(PIECE)];
        let wrote = Pin::new(&mut self.stream).poll_write(cx, piece);
        self.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if bytes > PIECE {
            // The head, or one piece of the body.
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |slice| slice));
        }
        self.activity.flushed(false);
        let _turn = ready!(self.poll_turn(cx, bytes));
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flush, Poll::Ready(Ok(()))) {
            self.written = 0;
            self.activity.flushed(true);
        }
        flush
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
