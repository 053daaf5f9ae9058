//! Flights that will never fly.

use super::*;

#[test]
fn work_that_the_executor_drops_says_nothing_about_the_server() {
    let mut world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.cache.executor = Arc::new(HandQueue::dropping());
    let mut cold = pin!(world.cache.get(RefreshMode::Background));
    let Poll::Ready(Err(error)) = poll(cold.as_mut()) else {
        panic!("nobody will ever end this wait")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let known = world.cache.refreshes().known();
    assert!(!known.in_flight && known.last_failure.is_some());
    assert_eq!(world.get().as_deref(), Ok("a"), "a blocking caller can");
    // A renewal is tried as rarely as after any other failure.
    world.advance(3401);
    let mut failures = Vec::new();
    for second in 0..40 {
        let failed = world.cache.refreshes().known().failures;
        assert_eq!(world.get().as_deref(), Ok("a"));
        if world.cache.refreshes().known().failures > failed {
            failures.push(second);
        }
        world.advance(1);
    }
    assert_eq!(failures, [0, 5, 15, 35]);
}

#[test]
fn an_cache_whose_flight_was_dropped_is_freed() {
    let mut world = World::new();
    world.cache.executor = Arc::new(HandQueue::dropping());
    world.cache.start();
    assert_eq!(Arc::strong_count(&world.source), 2);
    let keeper = Arc::downgrade(&world.cache.refreshes().shared);
    drop(world);
    assert!(keeper.upgrade().is_none());
}

#[test]
fn whoever_waits_for_a_replaced_flight_hears_of_it_also_where_none_follows() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    world.advance(3500);
    world.cache.renew();
    let mut stuck = pin!(world.cache.get(RefreshMode::Blocking));
    assert!(poll(stuck.as_mut()).is_pending());
    world.advance(16);
    // Another caller has brought a token since: there is nothing to renew.
    let now = world.clock.now();
    let other = Token {
        name: "b".to_owned(),
        validity: Validity::lasting(now, Duration::from_secs(3600)),
    };
    let deadlines = Policy::new().deadlines(&other.validity, 0.0);
    world.cache.refreshes().shared.slot.store(other, deadlines);
    world.cache.renew();
    assert!(matches!(poll(stuck.as_mut()), Poll::Ready(Ok(token)) if token.name == "b"));
}

#[test]
fn a_renewal_in_the_queue_that_a_refresh_overtakes_is_forgotten() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.advance(3500);
    world.cache.renew();
    assert_eq!(world.queue.len(), 1);
    // The cache alone holds the flight, and lets go of it.
    assert_eq!(world.cache.blocking_refresh().unwrap().name, "b");
    assert_eq!((world.queue.run_all(), world.fetches()), (1, 2));
    assert_eq!(world.cache.refreshes().known().failures, 0);
}
