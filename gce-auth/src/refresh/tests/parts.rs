//! Values that are asked for as a part of another operation.

use super::*;
use crate::{task::under_way, values::budget::Budget};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks with what is left of an operation that has `left` seconds.
fn get_within(world: &World, left: u64) -> Result<String, ErrorKind> {
    let whole = Budget::new(world.clock.now(), seconds(left));
    under_way::within(&whole, || world.get())
}

/// How much of its budget the last fetch was given.
fn given(world: &World) -> Duration {
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
fn a_caller_that_joins_one_with_less_time_asks_again() {
    let world = World::new();
    world.script([Err(ErrorKind::Timeout), Ok(("a", 3600))]);
    let whole = Budget::new(world.clock.now(), seconds(3));
    let mut hasty = pin!(world.cache.get(RefreshMode::Background));
    let begun = under_way::within(&whole, || poll(hasty.as_mut()));
    assert!(begun.is_pending());
    let mut joined = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(joined.as_mut()).is_pending());
    assert!(world.queue.run_next());
    assert!(matches!(poll(hasty.as_mut()), Poll::Ready(Err(_))));
    assert!(poll(joined.as_mut()).is_pending());
    world.queue.run_all();
    assert!(matches!(poll(joined.as_mut()), Poll::Ready(Ok(token)) if token.name == "a"));
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
