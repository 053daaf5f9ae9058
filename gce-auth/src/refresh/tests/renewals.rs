//! What a renewal brings, and what it costs meanwhile.

use super::*;

#[test]
fn a_renewal_never_shortens_what_is_left() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 60)), Ok(("c", 3600))]);
    world.get().unwrap();
    world.advance(3400);
    assert_eq!(world.get().as_deref(), Ok("a"));
    world.queue.run_all();
    assert_eq!(
        world.get().as_deref(),
        Ok("a"),
        "it has 200 s left, and b 60"
    );
    // The next one is asked for gently.
    assert_eq!(world.queue.len(), 0);
    world.advance(10);
    world.get().unwrap();
    world.queue.run_all();
    assert_eq!(world.get().as_deref(), Ok("c"));
}

#[test]
fn what_is_left_is_what_the_worse_clock_says() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 300))]);
    world.get().unwrap();
    // A wall clock set back by an hour adds an hour on that clock alone.
    world.advance(3500);
    world.clock.set_wall(1_700_000_000 - 3600);
    world.get().unwrap();
    world.queue.run_all();
    assert_eq!(world.get().as_deref(), Ok("b"));
}

#[test]
fn a_refresh_and_a_rejection_may_shorten_it() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 600)), Ok(("c", 300))]);
    world.get().unwrap();
    world.cache.blocking_refresh().unwrap();
    assert_eq!(world.get().as_deref(), Ok("b"));
    assert!(world.reject("b"));
    assert_eq!(world.get().as_deref(), Ok("c"));
}

#[test]
fn in_blocking_mode_what_expires_meanwhile_is_not_handed_out() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Err(ErrorKind::Unavailable)]);
    world.get().unwrap();
    world.advance(3590);
    let mut waiting = pin!(world.cache.get(RefreshMode::Blocking));
    assert!(poll(waiting.as_mut()).is_pending());
    world.advance(10);
    world.queue.run_all();
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Err(_))));
}

#[test]
fn a_stale_value_takes_no_lock_while_its_renewal_is_out() {
    let world = World::with_a_failing_renewal();
    world.advance(3400);
    assert_eq!(world.get().as_deref(), Ok("a"));
    let due = || {
        world
            .cache
            .refreshes()
            .renewal_may_be_due(world.clock.now())
    };
    assert!(!due(), "it is out");
    // One that hangs is replaced when it is older than it may be.
    world.advance(14);
    assert!(!due());
    world.advance(1);
    assert!(due());
    world.queue.run_all();
    assert!(!due(), "it has just failed");
    world.advance(5);
    assert!(due());
}

#[test]
fn no_renewal_is_announced_before_one_has_failed() {
    let world = World::with_a_failing_renewal();
    assert_eq!(world.cache.refreshes().known().next_renewal, None);
    world.advance(3400);
    world.cache.renew();
    world.queue.run_all();
    let at = world.cache.refreshes().known().next_renewal;
    assert_eq!(at, Some(world.clock.now().boot + POLICY.first_backoff));
}

#[test]
fn what_has_expired_when_it_comes_is_handed_to_those_who_waited_for_it() {
    let world = World::new();
    world.script([Ok(("a", 0)), Ok(("b", 0))]);
    assert_eq!(world.get().as_deref(), Ok("a"), "the server has no other");
    assert_eq!(world.fetches(), 1);
    assert_eq!(world.get().as_deref(), Ok("b"));
}
