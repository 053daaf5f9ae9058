//! Leaders and waiters, in every interleaving of two callers.

use std::sync::atomic::Ordering;

use loom::thread;

use super::*;
use crate::values::token::Validity;

const NOW: Now = Now::new(Duration::from_secs(1000), Duration::from_secs(1000));
const BUDGET: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Token(u32);

impl Value for Token {
    fn validity(&self) -> Validity {
        Validity::lasting(NOW, Duration::from_secs(3600))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// One caller, as the engine is one: reads, else plans, flies and waits.
/// Counts its fetches.
fn call(refreshes: &Arc<Refreshes<Token>>, fetches: &Arc<loom::sync::atomic::AtomicUsize>) -> u32 {
    if let Some((entry, _)) = refreshes.read(NOW) {
        return entry.value.0;
    }
    let plan = refreshes.plan(Reason::Need(Freshness::Stale), NOW, 1, |id, _| {
        let (refreshes, fetches) = (Arc::clone(refreshes), Arc::clone(fetches));
        SharedTask::new(NOW, Duration::MAX, 1, move |_| {
            fetches.fetch_add(1, Ordering::SeqCst);
            let outcome = Ok(Token(7));
            refreshes.settle(id, NOW, &outcome, 0.0);
            outcome
        })
    });
    match plan {
        Decision::Join(flight, _) | Decision::Lead(flight, _) => {
            flight.blocking_outcome(BUDGET).unwrap().0
        }
        Decision::Have(token) => token.0,
        Decision::Failed(error) => panic!("{error}"),
        Decision::Nothing => panic!("nothing to do, and nothing in hand"),
    }
}

#[test]
fn two_cold_callers_never_fetch_at_the_same_time_and_both_are_served() {
    loom::model(|| {
        let refreshes = Arc::new(Refreshes::alone(Policy::chosen(false)));
        let fetches = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let thread = {
            let (refreshes, fetches) = (Arc::clone(&refreshes), Arc::clone(&fetches));
            thread::spawn(move || call(&refreshes, &fetches))
        };
        assert_eq!(call(&refreshes, &fetches), 7);
        assert_eq!(thread.join().unwrap(), 7);
        // A caller that looked before the first landed may plan after it.
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        assert!(!refreshes.known().in_flight);
    });
}

#[test]
fn a_rejection_in_between_leaves_nothing_rejected_behind() {
    loom::model(|| {
        let refreshes = Arc::new(Refreshes::alone(Policy::chosen(false)));
        let fetches = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        assert_eq!(call(&refreshes, &fetches), 7);
        let rejecting = Arc::clone(&refreshes);
        let thread = thread::spawn(move || rejecting.invalidate(NOW, |token| token.0 == 7));
        let again = call(&refreshes, &fetches);
        assert!(thread.join().unwrap());
        assert_eq!(again, 7);
        assert!(fetches.load(Ordering::SeqCst) <= 2);
    });
}
