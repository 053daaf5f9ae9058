//! Values that are asked for as a part of another operation.

use super::*;
use crate::{io::threads::Work, task::under_way, values::budget::Budget};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks with what is left of an operation that has `left` seconds.
fn get_within(world: &World, left: u64) -> Result<String, ErrorKind> {
    let whole = Budget::new(world.clock.now(), seconds(left));
    under_way::within(&whole, || world.get())
}

/// How much of its budget the last fetch was given.
pub(super) fn given(world: &World) -> Duration {
    let began = world.source.began.lock().unwrap().take().unwrap();
    Budget::new(began, world.source.budget()).left(world.clock.now())
}

#[test]
fn a_part_of_an_operation_has_no_budget_of_its_own() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    assert_eq!(get_within(&world, 3).as_deref(), Ok("a"));
    assert_eq!(given(&world), seconds(3));
    assert!(world.reject("a"));
    assert_eq!(get_within(&world, 60).as_deref(), Ok("b"));
    assert_eq!(given(&world), seconds(10));
}

#[test]
fn a_failure_for_want_of_time_is_not_shared() {
    for (kind, shared) in [(ErrorKind::Timeout, false), (ErrorKind::Forbidden, true)] {
        let world = World::new();
        world.script([Err(kind), Ok(("a", 3600))]);
        assert_eq!(get_within(&world, 3), Err(kind));
        let next = if shared {
            Err(kind)
        } else {
            Ok("a".to_owned())
        };
        assert_eq!(world.get(), next);
    }
}

#[test]
fn a_caller_whose_work_one_with_less_time_did_in_vain_asks_again() {
    let world = World::new();
    world.script([Err(ErrorKind::Timeout), Ok(("a", 3600))]);
    let mut first = pin!(world.cache.get(RefreshMode::Background));
    let mut joined = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(joined.as_mut()).is_pending());
    assert_eq!(get_within(&world, 3), Err(ErrorKind::Timeout));
    assert_eq!(world.fetches(), 1, "it asks once, as others do");
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(joined.as_mut()).is_pending());
    world.queue.run_all();
    for waiting in [first.as_mut(), joined.as_mut()] {
        assert!(matches!(poll(waiting), Poll::Ready(Ok(token)) if token.name == "a"));
    }
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_part_does_itself_what_waits_in_a_queue() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let mut first = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(first.as_mut()).is_pending());
    world.advance(2);
    assert_eq!(get_within(&world, 3).as_deref(), Ok("a"));
    assert_eq!(given(&world), seconds(3));
    assert!(matches!(poll(first.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
}

#[test]
fn what_is_asked_for_in_a_hurry_and_done_elsewhere_has_a_whole_budget() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let whole = Budget::new(world.clock.now(), seconds(3));
    let mut hasty = pin!(world.cache.get(RefreshMode::Background));
    let begun = under_way::within(&whole, || poll(hasty.as_mut()));
    assert!(begun.is_pending());
    assert!(world.queue.run_next());
    assert_eq!(given(&world), seconds(10));
    assert!(matches!(poll(hasty.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
}

#[test]
fn a_failure_for_want_of_time_delays_no_renewal() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Err(ErrorKind::Timeout)]);
    world.get().unwrap();
    world.advance(3400);
    let hasty = || world.cache.blocking_get(RefreshMode::Blocking);
    let whole = Budget::new(world.clock.now(), seconds(3));
    assert_eq!(under_way::within(&whole, hasty).unwrap().name, "a");
    assert_eq!(world.fetches(), 2);
    assert_eq!(world.cache.refreshes().known().failures, 0);
    world.get().unwrap();
    assert_eq!(world.queue.len(), 1, "a renewal is begun at once");
}

#[test]
fn a_part_with_nearly_all_the_time_renews_what_is_stale() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    world.advance(3400);
    let whole = Budget::new(world.clock.now(), seconds(10));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(
        under_way::within(&whole, || world.get()).as_deref(),
        Ok("a")
    );
    assert_eq!(world.queue.len(), 1);
}

#[test]
fn the_executor_is_not_a_part_of_the_operation() {
    #[derive(Debug)]
    struct AtOnce;
    impl Executor for AtOnce {
        fn execute(&self, work: Work) -> Result<(), Work> {
            work.run();
            Ok(())
        }
    }
    let mut world = World::new();
    world.script([Ok(("a", 3600))]);
    world.cache.executor = Arc::new(AtOnce);
    let whole = Budget::new(world.clock.now(), seconds(3));
    let mut hasty = pin!(world.cache.get(RefreshMode::Background));
    assert!(under_way::within(&whole, || poll(hasty.as_mut())).is_ready());
    assert_eq!(given(&world), seconds(10));
}

#[test]
fn a_part_with_little_time_left_leaves_renewals_to_others() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    world.advance(3400);
    assert_eq!(get_within(&world, 3).as_deref(), Ok("a"));
    assert_eq!(world.queue.len(), 0);
    assert_eq!(get_within(&world, 60).as_deref(), Ok("a"));
    assert_eq!(world.queue.len(), 1);
}

#[test]
fn a_part_waits_for_the_work_of_others_and_does_not_do_it() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    let mut first = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(first.as_mut()).is_pending());
    assert_eq!(get_within(&world, 0), Err(ErrorKind::Timeout));
    assert_eq!(world.fetches(), 0);
    world.queue.run_all();
    assert!(matches!(poll(first.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
}
