//! Tokens that a server rejects.

use super::*;

#[test]
fn what_was_rejected_is_dropped_for_every_thread() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    for _ in 0..3 {
        assert_eq!(world.cached().as_deref(), Some("a"));
    }
    assert!(world.reject("a"));
    assert!(!world.reject("a"));
    assert_eq!(world.cached(), None);
    assert_eq!(world.get().as_deref(), Ok("b"));
}

#[test]
fn a_server_that_rejects_everything_costs_the_others_nothing() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3599))]);
    world.get().unwrap();
    assert!(world.reject("a"), "the first time it is dropped");
    assert_eq!(world.cached(), None);
    assert_eq!(world.get().as_deref(), Ok("a"));
    for _ in 0..100 {
        assert!(!world.reject("a"), "there is no other one");
        assert_eq!(world.cached().as_deref(), Some("a"));
    }
    assert_eq!((world.fetches(), world.queue.len()), (2, 0));
    // Later, too, no caller waits, and none fails while there is an outage.
    world.script([Err(ErrorKind::RateLimited), Ok(("a", 3500))]);
    for fetches in [3, 4] {
        world.advance(10);
        for n in 0..100 {
            assert_eq!(world.reject("a"), n == 0);
            assert_eq!(world.cached().as_deref(), Some("a"));
        }
        assert_eq!((world.queue.run_all(), world.fetches()), (1, fetches));
        assert_eq!(world.get().as_deref(), Ok("a"));
    }
    // Until the server has another one, which is as good as the first was.
    world.script([Ok(("b", 3600)), Ok(("c", 3600))]);
    world.advance(10);
    assert!(world.reject("a"));
    assert_eq!(world.cached().as_deref(), Some("a"));
    world.queue.run_all();
    assert_eq!(world.cached().as_deref(), Some("b"));
    assert!(!world.reject("a"));
    assert!(world.reject("b"));
    assert_eq!(world.cached(), None);
    assert_eq!(world.get().as_deref(), Ok("c"));
}

#[test]
fn in_blocking_mode_a_token_that_is_rejected_again_is_waited_for() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    assert!(world.reject("a"));
    world.get().unwrap();
    world.advance(10);
    assert!(world.reject("a"));
    let token = world.cache.blocking_get(RefreshMode::Blocking).unwrap();
    assert_eq!(token.name, "b");
}

#[test]
fn what_was_rejected_stays_in_memory_only_until_there_is_another() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.reject("a");
    let remembered = || {
        let past = &world.cache.refreshes().shared.past;
        format!("{past:?}").contains("\"a\"")
    };
    assert!(remembered());
    world.get().unwrap();
    assert!(!remembered());
}

#[test]
fn a_renewal_from_before_the_rejection_does_not_bring_it_back() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600)), Ok(("a", 3500))]);
    world.get().unwrap();
    world.advance(3400);
    // The renewal is out, and will be answered with the old token.
    world.cache.renew();
    let mut waiting = pin!(world.cache.get(RefreshMode::Blocking));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(world.reject("a"));
    assert_eq!(world.get().as_deref(), Ok("b"), "it joins no older refresh");
    world.queue.run_all();
    assert_eq!(world.fetches(), 3);
    assert_eq!(world.cached().as_deref(), Some("b"));
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Ok(token)) if token.name == "b"));
}

#[test]
fn a_waiter_of_before_the_rejection_asks_again_for_another_token() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3500)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.advance(3400);
    let mut waiting = pin!(world.cache.get(RefreshMode::Blocking));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(world.reject("a"));
    world.queue.run_next();
    assert_eq!(world.cached(), None, "it came of before");
    assert!(poll(waiting.as_mut()).is_pending());
    world.queue.run_all();
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Ok(token)) if token.name == "b"));
}

#[test]
fn after_a_rejection_no_earlier_failure_is_in_the_way() {
    let world = World::with_a_failing_renewal();
    world.advance(3400);
    world.cache.renew();
    world.queue.run_all();
    assert_eq!(world.cache.refreshes().known().failures, 1);
    assert!(world.reject("a"));
    assert_eq!(world.get().as_deref(), Ok("b"), "the quiet second is over");
    assert_eq!(world.fetches(), 3);
}

#[test]
fn what_stays_though_it_is_rejected_again_may_come_again() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3600)), Ok(("a", 3600))]);
    world.get().unwrap();
    assert!(world.reject("a"));
    world.get().unwrap();
    world.advance(3400);
    // It is renewed, and rejected meanwhile: there is no other one.
    world.cache.renew();
    assert!(world.reject("a"));
    let before = world.clock.now();
    world.advance(1);
    world.queue.run_all();
    let success = world.cache.refreshes().known().last_success.unwrap();
    assert!(success.boot > before.boot, "it is as good as before");
}

#[test]
fn what_is_cleared_is_forgotten_with_its_rejections() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3600))]);
    world.get().unwrap();
    assert!(world.reject("a"));
    world.cache.refreshes().clear();
    world.get().unwrap();
    assert!(world.reject("a"), "as if it were new");
    assert_eq!(world.cached(), None);
}

#[test]
fn a_refresh_whose_token_was_rejected_takes_none_that_was_requested_before() {
    let world = World::new();
    world.script([
        Ok(("a", 3600)),
        Ok(("older", 3600)),
        Ok(("a", 3600)),
        Ok(("newer", 3600)),
    ]);
    world.get().unwrap();
    world.advance(3500);
    let mut renewal = pin!(world.cache.get(RefreshMode::Blocking));
    assert!(poll(renewal.as_mut()).is_pending());
    let mut refresh = pin!(world.cache.refresh());
    assert!(poll(refresh.as_mut()).is_pending());
    assert!(world.reject("a"));
    world.queue.run_all();
    let held = world.cached();
    assert_eq!(held.as_deref(), Some("older"), "it was not rejected");
    assert!(poll(refresh.as_mut()).is_pending(), "it asks again");
    world.queue.run_all();
    assert!(matches!(poll(refresh), Poll::Ready(Ok(token)) if token.name == "newer"));
}

#[test]
fn a_refresh_of_before_a_rejection_takes_what_a_later_one_brought() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    let mut older = pin!(world.cache.refresh());
    assert!(poll(older.as_mut()).is_pending());
    assert!(world.reject("a"));
    let mut later = pin!(world.cache.refresh());
    assert!(poll(later.as_mut()).is_pending());
    world.queue.run_all();
    for refresh in [older, later] {
        assert!(matches!(poll(refresh), Poll::Ready(Ok(token)) if token.name == "b"));
    }
    assert_eq!(world.fetches(), 3, "it asks no more");
}
