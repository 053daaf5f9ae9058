//! Caches with other settings, which share the value and nothing else.

use super::*;
use crate::refresh::{shared::Shared, shared_map::SharingKey};

/// Two caches of one value, the second with the settings of another program.
struct Both {
    first: World,
    second: Cache<Scripted>,
    queue: Arc<HandQueue>,
}

fn both(executor: HandQueue) -> Both {
    let mut first = World::new();
    let shared = Arc::new(Shared::new(&POLICY));
    let cache = |settings: &'static str, source: Arc<Scripted>, queue: &Arc<HandQueue>| {
        Cache::new(
            Refreshes::of(Arc::clone(&shared), SharingKey::of(settings)),
            source,
            Arc::clone(&first.clock) as Arc<dyn Clock>,
            Arc::clone(queue) as Arc<dyn Executor>,
        )
    };
    let queue = Arc::new(executor);
    let second = cache("other", Arc::new(Scripted::default()), &queue);
    first.cache = cache("first", Arc::clone(&first.source), &first.queue);
    Both {
        first,
        second,
        queue,
    }
}

#[test]
fn an_executor_that_drops_work_fails_nobody_with_another_one() {
    let both = both(HandQueue::dropping());
    both.first.script([Ok(("a", 3600))]);
    let mut dropped = pin!(both.second.get(RefreshMode::Background));
    assert!(matches!(poll(dropped.as_mut()), Poll::Ready(Err(_))));
    assert_eq!(both.first.get().as_deref(), Ok("a"));
    assert_eq!(both.first.cache.refreshes().known().failures, 0);
    // The value is everybody's, at once.
    let mut shared = pin!(both.second.get(RefreshMode::Background));
    assert!(matches!(poll(shared.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
}

#[test]
fn an_executor_that_never_runs_delays_nobody_with_another_one() {
    let both = both(HandQueue::new());
    both.first.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    let mut stuck = pin!(both.second.get(RefreshMode::Background));
    assert!(poll(stuck.as_mut()).is_pending());
    assert_eq!(both.first.get().as_deref(), Ok("a"));
    both.first.advance(3500);
    both.second.renew();
    assert_eq!(both.first.get().as_deref(), Ok("a"));
    assert_eq!(both.first.queue.run_all(), 1);
    assert_eq!(both.first.get().as_deref(), Ok("b"));
    assert_eq!(both.queue.len(), 2, "its own work waits on");
}

#[test]
fn errors_are_shared_among_equal_settings_alone() {
    let both = both(HandQueue::new());
    both.first.script([Ok(("a", 3600))]);
    // The second has nothing in its script, and fails.
    assert!(both.second.blocking_get(RefreshMode::Background).is_err());
    assert!(both.second.blocking_get(RefreshMode::Background).is_err());
    assert_eq!(both.second.source.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(both.first.get().as_deref(), Ok("a"));
    assert_eq!(both.first.fetches(), 1);
}

#[test]
fn after_a_rejection_all_settings_ask_at_once() {
    let both = both(HandQueue::new());
    both.first.script([Ok(("a", 3600))]);
    both.first.get().unwrap();
    both.first.advance(3400);
    both.second.renew();
    both.queue.run_all();
    assert_eq!(both.second.refreshes().known().failures, 1);
    both.second.source.script(Ok(("b", 3600)));
    assert!(both.first.reject("a"));
    let token = both.second.blocking_get(RefreshMode::Background);
    assert_eq!(token.unwrap().name, "b", "its quiet second is over");
}

#[test]
fn a_rejection_and_a_refresh_count_for_all() {
    let both = both(HandQueue::new());
    both.first
        .script([Ok(("a", 3600)), Ok(("b", 3600)), Ok(("c", 3600))]);
    both.first.get().unwrap();
    let now = both.first.clock.now();
    assert!(both.second.refreshes().invalidate(now, |it| it.name == "a"));
    assert_eq!(both.first.get().as_deref(), Ok("b"));
    // What the second began before the refresh is not handed out after it.
    both.second.source.script(Ok(("old", 3600)));
    let mut older = pin!(both.second.refresh());
    assert!(poll(older.as_mut()).is_pending());
    assert_eq!(both.first.cache.blocking_refresh().unwrap().name, "c");
    assert_eq!(both.queue.run_all(), 1);
    assert_eq!(both.first.get().as_deref(), Ok("c"));
}
