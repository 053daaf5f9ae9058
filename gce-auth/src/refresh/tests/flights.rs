//! Who flies, who waits, and what becomes of a flight that never lands.

use super::*;

#[test]
fn a_future_needs_no_runtime_and_a_dropped_one_loses_nothing() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    {
        let mut future = pin!(world.cache.get(RefreshMode::Background));
        assert!(poll(future.as_mut()).is_pending());
    }
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(world.cached().as_deref(), Some("a"));
    let mut future = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(future.as_mut()).is_ready());
}

#[test]
fn many_futures_wait_for_one_flight() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let mut futures: Vec<_> = (0..1000)
        .map(|_| Box::pin(world.cache.get(RefreshMode::Background)))
        .collect();
    assert!(
        futures
            .iter_mut()
            .all(|future| poll(future.as_mut()).is_pending())
    );
    assert_eq!(world.queue.run_all(), 1);
    for future in &mut futures {
        assert!(matches!(poll(future.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
    }
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_blocking_caller_flies_what_still_waits_in_the_queue() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let mut future = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(future.as_mut()).is_pending());
    assert_eq!(world.get().as_deref(), Ok("a"));
    assert!(matches!(poll(future.as_mut()), Poll::Ready(Ok(_))));
    assert_eq!(
        world.queue.run_all(),
        1,
        "the work is still there, and does nothing"
    );
    assert_eq!(world.fetches(), 1);
}

#[test]
fn where_no_thread_starts_the_caller_does_the_work() {
    let mut world = World::new();
    world.cache.executor = Arc::new(HandQueue::refusing());
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    let mut future = pin!(world.cache.get(RefreshMode::Background));
    assert!(matches!(poll(future.as_mut()), Poll::Ready(Ok(_))));
    world.advance(3500);
    // The renewal took its time: what was held may have expired meanwhile.
    assert_eq!(world.get().as_deref(), Ok("b"));
}

#[test]
fn a_flight_older_than_its_budget_is_replaced_and_its_waiters_hear_of_it() {
    let world = World::new();
    world.script([Ok(("b", 3600)), Ok(("late", 3600))]);
    let mut stuck = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(stuck.as_mut()).is_pending());
    world.advance(16);
    let mut next = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(next.as_mut()).is_pending());
    assert!(
        matches!(poll(stuck.as_mut()), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Timeout)
    );
    assert_eq!(world.queue.run_all(), 2);
    assert!(matches!(poll(next.as_mut()), Poll::Ready(Ok(token)) if token.name == "b"));
    assert_eq!(world.fetches(), 1, "what was replaced is not flown");
}

#[test]
fn a_flight_of_another_process_is_replaced() {
    let world = World::new();
    world.script([Ok(("child", 3600))]);
    let now = world.clock.now();
    let why = Reason::Need(Freshness::Stale);
    let parent = world.cache.refreshes().plan(why, now, 0, |_, _| {
        SharedTask::new(now, Duration::MAX, 0, |_| panic!("the parent's"))
    });
    assert!(matches!(parent, Decision::Lead(..)));
    assert_eq!(world.get().as_deref(), Ok("child"));
}

#[test]
fn what_expired_while_the_machine_was_suspended_is_asked_for_again() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    let mut future = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(future.as_mut()).is_pending());
    world.advance(4000);
    world.queue.run_all();
    assert!(
        poll(future.as_mut()).is_pending(),
        "it would get a dead one"
    );
    world.queue.run_all();
    assert!(matches!(poll(future.as_mut()), Poll::Ready(Ok(token)) if token.name == "b"));
}

#[test]
fn a_caller_that_joins_what_still_waits_has_its_whole_budget() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let mut first = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(first.as_mut()).is_pending());
    world.advance(9);
    assert_eq!(world.get().as_deref(), Ok("a"));
    let began = world.source.began.lock().unwrap().take();
    assert_eq!(began, Some(world.clock.now()));
}

#[test]
fn a_caller_whose_time_is_not_over_goes_on_after_a_refresh_that_was_not_begun() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let join = || Box::pin(world.cache.get(RefreshMode::Background));
    let mut first = join();
    assert!(poll(first.as_mut()).is_pending());
    world.advance(9);
    let mut second = join();
    assert!(poll(second.as_mut()).is_pending());
    // The third comes when the first has waited for its budget.
    world.advance(2);
    let mut third = join();
    assert!(poll(third.as_mut()).is_pending());
    assert!(matches!(poll(first.as_mut()), Poll::Ready(Err(_))));
    assert!(poll(second.as_mut()).is_pending(), "8 s are left to it");
    world.queue.run_all();
    for mut waiting in [second, third] {
        assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
    }
    assert_eq!(world.fetches(), 1);
}
