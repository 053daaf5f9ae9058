//! Waiting until credentials work at all.

use std::{sync::Arc, time::Duration};

use crate::{
    credentials::Credentials,
    io::threads::WorkKind,
    values::error::{Error, ErrorKind},
};

/// The wait between two operations that failed at once.
const PAUSE: Duration = Duration::from_secs(1);

impl Credentials {
    /// Waits until a token is in hand, for at most `deadline`, through every
    /// error that time may cure: also 403 and 404, which a GKE node or a new
    /// workload identity binding answers with at first.
    ///
    /// For init containers and the start of a program; everything else just
    /// calls [`headers`](Self::headers).
    ///
    /// # Errors
    /// The last error, once the deadline has passed; an error of kind
    /// [`Config`](ErrorKind::Config) at once.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait, after the attempt that is under way.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        if self.cached_token().is_some() {
            return Ok(());
        }
        let credentials = self.clone();
        // Dropped with this future, and then the thread ends as well.
        let waiting = Arc::new(());
        let wanted = Arc::downgrade(&waiting);
        self.client()
            .background(WorkKind::Watch, move |_| {
                credentials.wait_while(|| wanted.strong_count() > 0, deadline)
            })
            .await
    }

    /// [`wait_ready`](Self::wait_ready), waiting on this thread.
    ///
    /// # Errors
    /// As for [`wait_ready`](Self::wait_ready).
    pub fn blocking_wait_ready(&self, deadline: Duration) -> Result<(), Error> {
        self.wait_while(|| true, deadline)
    }

    fn wait_while(&self, wanted: impl Fn() -> bool, deadline: Duration) -> Result<(), Error> {
        let clock = &*self.client().0.clock;
        let end = clock.now().boot.saturating_add(deadline);
        let mut left = deadline;
        loop {
            let Err(error) = self.0.engine.blocking_get_within(left) else {
                return Ok(());
            };
            left = end.saturating_sub(clock.now().boot);
            if error.kind() == ErrorKind::Config || left.is_zero() || !wanted() {
                return Err(error);
            }
            clock.sleep(PAUSE.min(left));
        }
    }
}
