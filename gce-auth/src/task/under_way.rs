//! The budget of the operation that this thread does: what it asks for on its
//! way, such as the token that a request for a signature carries, ends with it.

use std::{cell::Cell, time::Duration};

use crate::values::{budget::Budget, token::Now};

thread_local! {
    static UNDER_WAY: Cell<Option<Budget>> = const { Cell::new(None) };
}

/// Does `work` as a part of the operation that has `budget`.
pub(crate) fn within<R>(budget: &Budget, work: impl FnOnce() -> R) -> R {
    let _outer = Outer(UNDER_WAY.replace(Some(budget.clone())));
    work()
}

/// Does `work`, which is code of the program, as a part of no operation.
pub(crate) fn outside<R>(work: impl FnOnce() -> R) -> R {
    let _outer = Outer(UNDER_WAY.take());
    work()
}

/// Returns what is left for an operation of this thread that may take `total`:
/// no more than the one has that it is a part of.
pub(crate) fn left(total: Duration, now: Now) -> Duration {
    let budget = UNDER_WAY.take();
    let left = budget.as_ref().map_or(total, |budget| budget.left(now));
    UNDER_WAY.set(budget);
    left.min(total)
}

/// Whether a part that is given so much of `whole` may well fail for want of
/// time: a moment less makes no difference.
pub(crate) fn is_hurried(given: Duration, whole: Duration) -> bool {
    given < whole - whole / 10
}

/// Puts the outer operation back, also after a panic.
struct Outer(Option<Budget>);

impl Drop for Outer {
    fn drop(&mut self) {
        UNDER_WAY.set(self.0.take());
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_less_is_no_hurry() {
        let seconds = Duration::from_secs;
        assert!(!is_hurried(seconds(10), seconds(10)));
        assert!(!is_hurried(seconds(9), seconds(10)));
        assert!(is_hurried(Duration::from_millis(8999), seconds(10)));
        assert!(!is_hurried(Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_part_has_no_more_than_the_whole() {
        let seconds = Duration::from_secs;
        let at = |second| Now::new(Duration::ZERO, seconds(second));
        assert_eq!(left(seconds(10), at(0)), seconds(10));
        let whole = Budget::new(at(100), seconds(30));
        within(&whole, || {
            assert_eq!(left(seconds(10), at(105)), seconds(10));
            assert_eq!(left(seconds(10), at(124)), seconds(6));
            within(&Budget::new(at(124), seconds(2)), || {
                assert_eq!(left(seconds(10), at(125)), seconds(1));
            });
            assert_eq!(left(seconds(10), at(131)), Duration::ZERO);
            let alone = outside(|| left(seconds(10), at(131)));
            assert_eq!(alone, seconds(10));
            assert_eq!(left(seconds(10), at(131)), Duration::ZERO);
        });
        let panics = std::panic::catch_unwind(|| within(&whole, || panic!("a transport's")));
        assert!(panics.is_err());
        assert_eq!(left(seconds(10), at(131)), seconds(10));
    }
}
