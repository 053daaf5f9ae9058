//! Work that the executor gives back: the caller's thread does it.

use super::{parts::given, *};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world with a stale token, whose renewal is done by the caller's thread and
/// takes 9 of 10 s. Meanwhile another caller forces a refresh, and the token
/// expires.
fn overtaken() -> World {
    let mut world = World::new();
    world.script([
        Ok(("a", 3600)),
        Err(ErrorKind::Unavailable),
        Ok(("b", 3600)),
    ]);
    world.get().unwrap();
    world.advance(3590);
    world.cache.executor = Arc::new(HandQueue::refusing());
    let other = Cache::new(
        world.cache.refreshes().clone(),
        Arc::clone(&world.source),
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Arc::clone(&world.queue) as Arc<dyn Executor>,
    );
    let clock = Arc::clone(&world.clock);
    *world.source.meanwhile.lock().unwrap() = Some(Box::new(move || {
        assert!(poll(pin!(other.refresh())).is_pending());
        clock.advance(seconds(9));
    }));
    world
}

#[test]
fn an_overtaken_renewal_and_the_wait_after_it_have_one_budget() {
    let world = overtaken();
    assert_eq!(world.get().as_deref(), Ok("b"));
    assert_eq!(given(&world), seconds(1));
    assert_eq!(world.fetches(), 3);
}

#[test]
fn a_renewal_at_a_hit_costs_the_budget_of_the_wait_after_it() {
    let world = overtaken();
    let mut spent = Duration::ZERO;
    assert_eq!(world.cached_after(&mut spent), None);
    assert_eq!(spent, seconds(9));
    let token = world
        .cache
        .blocking_get_after(RefreshMode::Background, spent);
    assert_eq!(token.unwrap().name, "b");
    assert_eq!(given(&world), seconds(1));
}

#[test]
fn a_wait_after_a_renewal_at_a_hit_does_not_begin_another() {
    let mut world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.advance(3500);
    world.cache.executor = Arc::new(HandQueue::refusing());
    let after = |spent| {
        let token = world
            .cache
            .blocking_get_after(RefreshMode::Background, spent);
        (token.unwrap().name, world.fetches())
    };
    // What a renewal here brings may be discarded, and the token in hand is good.
    assert_eq!(after(seconds(9)), ("a".to_owned(), 1));
    assert_eq!(after(Duration::ZERO), ("b".to_owned(), 2));
}
