//! How a server ends: no new connections, then the requests under way, then everything.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// No connection is accepted, and none lives longer than the request under way on it.
    Draining,
    /// Connections close, whatever happens on them.
    Closing,
}

/// Begins the phases. Dropped, it closes everything.
#[derive(Debug)]
pub(super) struct Shutdown(watch::Sender<Phase>);

/// Tells a connection of the phases. Its server waits until the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Phases(watch::Receiver<Phase>);

impl Shutdown {
    pub(super) fn new() -> (Self, Phases) {
        let (sender, receiver) = watch::channel(Phase::Serving);
        (Self(sender), Phases(receiver))
    }

    /// Lets the requests under way end until the deadline, and then closes the connections that are
    /// left. Returns their number.
    pub(super) async fn drain(self, deadline: Duration) -> usize {
        self.0.send_replace(Phase::Draining);
        if timeout(deadline, self.0.closed()).await.is_ok() {
            return 0;
        }
        let left = self.0.receiver_count();
        self.0.send_replace(Phase::Closing);
        self.0.closed().await;
        left
    }
}

impl Phases {
    /// Returns when no new connection and no new request is to be taken.
    pub(super) async fn draining(&mut self) {
        self.at_least(Phase::Draining).await;
    }

    /// Returns when the connection is to be closed.
    pub(super) async fn closing(&mut self) {
        self.at_least(Phase::Closing).await;
    }

    /// An error means that the server was dropped, the end of all phases.
    async fn at_least(&mut self, phase: Phase) {
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}
