//! Connections that hyper keeps while nothing is asked on them: a few, as making hyper ready anew
//! takes longer than most answers, and no more, as each has its buffers in memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many connections of one server are kept. All that are idle for long are closed, these too.
const MOST: usize = 128;

/// How many more connections may be kept.
#[derive(Debug)]
pub(super) struct Kept(Semaphore);

impl Default for Kept {
    fn default() -> Self {
        Self(Semaphore::new(MOST))
    }
}

impl Kept {
    /// Returns whether a connection may be kept, for as long as it has the permit.
    pub(super) fn keep<'a>(&'a self, permit: &mut Option<SemaphorePermit<'a>>) -> bool {
        if permit.is_none() {
            *permit = self.0.try_acquire().ok();
        }
        permit.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_and_make_room_when_they_end() {
        let kept = Kept::default();
        let mut permits: Vec<_> = (0..=MOST).map(|_| None).collect();
        let keeps = permits
            .iter_mut()
            .filter_map(|permit| kept.keep(permit).then_some(()));
        assert_eq!(keeps.count(), MOST);
        assert!(kept.keep(&mut permits[0]));
        let mut other = permits.pop().unwrap();
        assert!(!kept.keep(&mut other));
        permits.pop();
        assert!(kept.keep(&mut other));
    }
}
