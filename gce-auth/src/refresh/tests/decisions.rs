//! What is decided for callers that come at the same time.

use std::{
    sync::{atomic::AtomicUsize, mpsc},
    task::Wake,
    thread,
};

use super::*;
use crate::refresh::past::TaskId;

impl World {
    fn decide(&self, why: Reason) -> Decision<Token> {
        let now = self.clock.now();
        let make = |_, _| SharedTask::new(now, Duration::from_secs(10), 7, |_| panic!("it began"));
        self.cache.refreshes().plan(why, now, 7, make)
    }
}

#[test]
fn one_who_looked_before_a_refresh_settled_renews_nothing() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    assert!(matches!(world.decide(Reason::Renew), Decision::Nothing));
    world.advance(3400);
    assert!(matches!(world.decide(Reason::Renew), Decision::Lead(..)));
}

#[test]
fn one_who_looked_before_a_renewal_failed_waits_as_all_do() {
    let world = World::with_a_failing_renewal();
    world.advance(3400);
    world.cache.renew();
    world.queue.run_all();
    assert!(matches!(world.decide(Reason::Renew), Decision::Nothing));
    world.advance(5);
    assert!(matches!(world.decide(Reason::Renew), Decision::Lead(..)));
}

#[test]
fn a_renewal_that_is_out_is_joined_by_no_other() {
    for why in [Reason::Renew, Reason::RenewFully] {
        let world = World::new();
        world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
        world.get().unwrap();
        world.advance(3400);
        world.cache.renew_fully();
        let begun = world.clock.now();
        world.advance(9);
        let now = world.clock.now();
        let make = |_, _| panic!("one is out");
        let process = std::process::id();
        let decision = world.cache.refreshes().plan(why, now, process, make);
        assert!(matches!(decision, Decision::Nothing));
        // No new caller waits for it: its budget goes on.
        world.queue.run_all();
        assert_eq!(world.source.began.lock().unwrap().take(), Some(begun));
    }
}

#[test]
fn a_full_renewal_that_failed_is_tried_again_after_the_backoff() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    world.cache.renew_fully();
    assert_eq!(world.queue.run_all(), 1);
    for _ in 0..5 {
        world.cache.renew_fully();
        assert_eq!(world.queue.len(), 0);
        world.advance(1);
    }
    world.cache.renew_fully();
    assert_eq!(world.queue.len(), 1);
}

#[test]
fn the_failure_of_what_was_overtaken_is_nobody_s() {
    let world = World::new();
    world.script([Err(ErrorKind::Forbidden), Ok(("a", 3600))]);
    let mut older = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(older.as_mut()).is_pending());
    let mut newer = pin!(world.cache.refresh());
    assert!(poll(newer.as_mut()).is_pending());
    world.queue.run_next();
    let known = world.cache.refreshes().known();
    assert!(known.in_flight);
    assert_eq!((known.failures, known.last_failure.is_some()), (0, false));
    world.queue.run_all();
    assert!(poll(newer.as_mut()).is_ready());
}

#[test]
fn what_came_after_a_rejection_is_good_whatever_is_held() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    assert!(world.reject("a"));
    let token = world.cache.blocking_refresh().unwrap();
    let refreshes = world.cache.refreshes();
    assert!(!refreshes.is_obsolete(TaskId(2), &token));
    refreshes.clear();
    assert!(!refreshes.is_obsolete(TaskId(2), &token), "not rejected");
    assert!(refreshes.is_obsolete(TaskId(1), &token));
}

#[test]
fn a_forked_child_wakes_no_task_of_its_parent() {
    struct Bell(AtomicUsize);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let rung = |process: u32| {
        let world = World::new();
        world.script([Ok(("child", 3600))]);
        let now = world.clock.now();
        let why = Reason::Need(Freshness::Stale);
        let make = |_, _| SharedTask::new(now, Duration::from_secs(1), process, |_| panic!());
        let Decision::Lead(task, _) = world.cache.refreshes().plan(why, now, process, make) else {
            panic!("nothing is held, and nothing is out");
        };
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        let mut waiting = pin!(task.outcome(Duration::from_secs(1)));
        let waker = Waker::from(Arc::clone(&bell));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        world.advance(60);
        assert_eq!(world.get().as_deref(), Ok("child"));
        bell.0.load(Ordering::SeqCst)
    };
    assert_eq!(rung(std::process::id()), 1);
    assert_eq!(rung(std::process::id().wrapping_add(1)), 0);
}

#[test]
fn a_thread_that_asked_twice_reads_its_own_copy_without_a_lock() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    let (asked, asks) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let world = &world;
        scope.spawn(move || {
            for _ in 0..2 {
                asked.send(world.cached()).unwrap();
            }
            gate.recv().unwrap();
            asked.send(world.cached()).unwrap();
        });
        for _ in 0..2 {
            assert_eq!(asks.recv().unwrap().as_deref(), Some("a"));
        }
        let locked = world.cache.refreshes().shared.slot.change(|_| {
            go.send(()).unwrap();
            Some(asks.recv_timeout(Duration::from_secs(10)))
        });
        assert_eq!(locked.unwrap().unwrap().as_deref(), Some("a"));
    });
}

#[test]
fn a_fetch_begins_with_a_caller_that_cannot_wait() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.cache.start();
    world.cache.start();
    assert_eq!((world.queue.len(), world.fetches()), (1, 0));
    world.queue.run_all();
    assert_eq!(world.cached().as_deref(), Some("a"));
}
