use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::Wake,
    thread,
};

use super::*;
use crate::io::clock::{Clock, SystemClock};

const NOW: Now = Now::new(Duration::from_secs(1), Duration::from_secs(1));
const LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn flight(job: impl FnOnce() -> Outcome<u32> + Send + 'static) -> Arc<SharedTask<u32>> {
    Arc::new(SharedTask::new(NOW, LONG, 1, |_| job()))
}

fn poll(landed: &mut Landed<u32>, waker: &Waker) -> Poll<Outcome<u32>> {
    Pin::new(landed).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_work_is_done_once_and_everybody_hears_of_it() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let flight = flight(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(7)
    });
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut waiting: Vec<_> = (0..100).map(|_| flight.outcome(LONG)).collect();
    assert!(
        waiting
            .iter_mut()
            .all(|landed| poll(landed, &waker).is_pending())
    );
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(flight.blocking_outcome(LONG).unwrap(), 7));
        }
    });
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(bell.0.load(Ordering::SeqCst), 100);
    for landed in &mut waiting {
        assert!(matches!(poll(landed, &waker), Poll::Ready(Ok(7))));
    }
}

#[test]
fn who_leaves_is_not_woken_and_takes_nothing_away() {
    let flight = flight(|| Ok(1));
    let (left, stayed) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let mut leaving = flight.outcome(LONG);
    let mut staying = flight.outcome(LONG);
    assert!(poll(&mut leaving, &Waker::from(Arc::clone(&left))).is_pending());
    assert!(poll(&mut staying, &Waker::from(Arc::clone(&stayed))).is_pending());
    drop(leaving);
    flight.run();
    assert_eq!(left.0.load(Ordering::SeqCst), 0);
    assert_eq!(stayed.0.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&left), 1, "its waker is gone");
}

#[test]
fn the_last_waker_of_a_task_is_the_one_that_is_woken() {
    let flight = flight(|| Ok(1));
    let (old, new) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let mut landed = flight.outcome(LONG);
    assert!(poll(&mut landed, &Waker::from(Arc::clone(&old))).is_pending());
    assert!(poll(&mut landed, &Waker::from(Arc::clone(&new))).is_pending());
    flight.run();
    assert_eq!(old.0.load(Ordering::SeqCst), 0);
    assert_eq!(new.0.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_is_an_error_for_whoever_waits() {
    let flight = flight(|| panic!("on purpose"));
    let waiter = {
        let flight = Arc::clone(&flight);
        let (ready, readiness) = mpsc::channel();
        let handle = thread::spawn(move || {
            ready.send(()).unwrap();
            flight.wait(LONG)
        });
        readiness.recv().unwrap();
        handle
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| flight.run()));
    assert!(caught.is_err());
    let error = waiter.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    assert!(error.is_retryable());
}

#[test]
fn waiting_ends_at_the_limit() {
    let flight = flight(|| Ok(1));
    assert!(flight.wait_briefly(Duration::from_millis(1)).is_none());
    assert!(!flight.has_begun(), "others may wait for longer");
}

#[test]
fn a_task_that_nobody_begins_ends_at_its_budget() {
    let job = |_: &_| -> Outcome<u32> { panic!("it ran") };
    let task = SharedTask::new(NOW, Duration::ZERO, std::process::id(), job);
    let task = Arc::new(task);
    let work = task.work(WorkKind::Other, &LaneKey::nowhere());
    let clock = SystemClock::new();
    let begins = clock.now().boot;
    let error = futures_executor::block_on(task.outcome(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let took = clock.now().boot - begins;
    assert!(took >= SLACK && took < SLACK * 2, "{took:?}");
    assert!(task.has_landed());
    work.run();
}

#[test]
fn a_caller_in_a_hurry_leaves_the_task_to_the_others() {
    let task = of_this_process(|| Ok(7));
    let hasty = futures_executor::block_on(task.outcome(Duration::ZERO));
    assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(
        task.wait(Duration::ZERO).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert!(!task.has_begun());
    assert_eq!(task.blocking_outcome(LONG).unwrap(), 7);
}

#[test]
fn work_without_callers_is_known_to_be_abandoned() {
    let task = of_this_process(|| Ok(7));
    let work = task.work(WorkKind::Other, &LaneKey::nowhere());
    assert!(!work.is_abandoned());
    drop(task.outcome(LONG));
    assert!(!work.is_abandoned());
    drop(task);
    assert!(work.is_abandoned());
}

#[test]
fn a_replaced_flight_tells_its_waiters_and_never_flies() {
    let flight = flight(|| panic!("it flew"));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut landed = flight.outcome(LONG);
    assert!(poll(&mut landed, &waker).is_pending());
    flight.land(Err(late()));
    flight.land(Ok(3));
    flight.run();
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut landed, &waker), Poll::Ready(Err(_))));
}

#[test]
fn a_flight_that_lasts_for_months_keeps_no_seat_of_whoever_left() {
    let flight = flight(|| Ok(1));
    for _ in 0..10_000 {
        let mut leaving = flight.outcome(LONG);
        assert!(poll(&mut leaving, Waker::noop()).is_pending());
    }
    assert_eq!(lock(&flight.state).wakers.len(), 0);
}

#[test]
fn whoever_stays_keeps_a_seat_whoever_else_leaves() {
    let flight = flight(|| Ok(1));
    let bells: Vec<_> = (0..64).map(|_| Arc::new(Bell::default())).collect();
    let sit = |n: usize| {
        let mut landed = flight.outcome(LONG);
        let waker = Waker::from(Arc::clone(&bells[n]));
        assert!(poll(&mut landed, &waker).is_pending());
        Some(landed)
    };
    let mut seats: Vec<_> = (0..64).map(sit).collect();
    // Many leave, in no order; some come back.
    for n in 0..64 {
        seats[n * 37 % 64] = None;
        if n % 3 == 0 {
            seats[n * 37 % 64] = sit(n * 37 % 64);
        }
        if let Some(landed) = &mut seats[n] {
            let waker = Waker::from(Arc::clone(&bells[n]));
            assert!(poll(landed, &waker).is_pending());
        }
    }
    flight.run();
    let stayed = seats.iter().flatten().count();
    assert_eq!(stayed, 22);
    for (landed, bell) in seats.iter().zip(&bells) {
        let woken = usize::from(landed.is_some());
        assert_eq!(bell.0.load(Ordering::SeqCst), woken);
    }
    drop(seats);
}

fn of_this_process(job: impl FnOnce() -> Outcome<u32> + Send + 'static) -> Arc<SharedTask<u32>> {
    Arc::new(SharedTask::new(NOW, LONG, std::process::id(), |_| job()))
}

#[test]
fn work_that_is_dropped_undone_ends_its_flight() {
    let flight = of_this_process(|| panic!("it flew"));
    let bell = Arc::new(Bell::default());
    let mut landed = flight.outcome(LONG);
    assert!(poll(&mut landed, &Waker::from(Arc::clone(&bell))).is_pending());
    drop(flight.work(WorkKind::Other, &LaneKey::nowhere()));
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    let error = flight.wait(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("executor"), "{error}");
    flight.run();
}

#[test]
fn work_that_is_dropped_while_somebody_else_flies_ends_nothing() {
    let (begun, begins) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let flight = of_this_process(move || {
        begun.send(()).unwrap();
        let _ = gate.recv();
        Ok(7)
    });
    let work = flight.work(WorkKind::Other, &LaneKey::nowhere());
    thread::scope(|scope| {
        let flying = scope.spawn(|| flight.blocking_outcome(LONG).unwrap());
        begins.recv().unwrap();
        drop(work);
        assert!(!flight.has_landed());
        drop(release);
        assert_eq!(flying.join().unwrap(), 7);
    });
}

#[test]
fn a_forked_child_that_drops_work_ends_nothing() {
    let parents = std::process::id().wrapping_add(1);
    let flight: Arc<SharedTask<u32>> = Arc::new(SharedTask::new(NOW, LONG, parents, |_| Ok(7)));
    drop(flight.work(WorkKind::Other, &LaneKey::nowhere()));
    assert!(!flight.has_landed());
}

#[test]
fn nobody_flies_for_those_who_left() {
    let flight = of_this_process(|| panic!("it flew"));
    let work = flight.work(WorkKind::Other, &LaneKey::nowhere());
    drop(flight);
    work.run();
}

#[test]
fn what_ends_unbegun_is_told_from_what_failed() {
    let task = |budget| SharedTask::new(NOW, budget, std::process::id(), |_| Ok(1));
    let unbegun = task(Duration::ZERO);
    unbegun.cancel(late());
    assert!(unbegun.expired_undone());
    let dropped_one = task(Duration::ZERO);
    dropped_one.cancel(dropped());
    assert!(!dropped_one.expired_undone(), "its time was not over");
    let begun = task(Duration::ZERO);
    begun.run();
    begun.cancel(late());
    assert!(!begun.expired_undone());
}

#[test]
fn a_thread_that_waits_is_counted_while_it_does() {
    let task = Arc::new(SharedTask::new(
        NOW,
        Duration::from_secs(10),
        std::process::id(),
        |_| Ok(1),
    ));
    let waits = Arc::clone(&task);
    let waiter = thread::spawn(move || waits.wait_briefly(Duration::from_secs(60)));
    while lock(&task.state).threads == 0 {
        assert!(!waiter.is_finished(), "it does not wait");
        thread::yield_now();
    }
    task.run();
    assert!(matches!(waiter.join(), Ok(Some(Ok(1)))));
    assert_eq!(lock(&task.state).threads, 0);
}

#[test]
fn a_budget_begins_anew_until_a_thread_is_about_to_begin() {
    let at = |second| Now::new(Duration::ZERO, Duration::from_secs(second));
    let task = flight(|| Ok(1));
    task.restart_budget(at(3));
    assert_eq!(task.since(), at(3));
    task.progress.set_assigned();
    task.restart_budget(at(4));
    assert_eq!(task.since(), at(3));
    let done = flight(|| Ok(1));
    assert!(!done.has_begun());
    done.run();
    assert!(done.has_begun());
    done.restart_budget(at(5));
    assert_eq!(done.since(), done.started);
}

#[test]
fn an_alarm_is_set_where_nothing_else_ends_the_wait_in_time() {
    let sets = |limit: Duration, prepare: fn(&SharedTask<u32>)| {
        let task = of_this_process(|| Ok(1));
        prepare(&task);
        let mut landed = task.outcome(limit);
        assert!(poll(&mut landed, Waker::noop()).is_pending());
        landed.alarm.is_some()
    };
    let begin = |task: &SharedTask<u32>| drop(lock(&task.state).job.take());
    let assign = |task: &SharedTask<u32>| task.progress.set_assigned();
    let restart = |task: &SharedTask<u32>| {
        task.restart_budget(Now::new(NOW.wall, LONG));
        task.progress.set_assigned();
    };
    assert!(sets(LONG, |_| ()), "it may never be begun");
    // The thread that does it ends with its budget.
    assert!(!sets(LONG, begin) && !sets(LONG, assign));
    assert!(!sets(LONG * 2, begin));
    assert!(sets(LONG / 2, begin), "later than this caller may wait");
    assert!(sets(LONG, restart), "with the budget of a later caller");
    assert!(!sets(Duration::MAX, |_| ()) && !sets(Duration::MAX, restart));
}

#[test]
fn an_alarm_ends_the_wait_for_a_task_that_may_have_paused_before() {
    let sets = |joined: Duration| {
        let task = of_this_process(|| Ok(1));
        drop(lock(&task.state).job.take());
        let now = Now::new(NOW.wall, NOW.boot + joined);
        let mut landed = task.outcome_from(now, LONG);
        assert!(poll(&mut landed, Waker::noop()).is_pending());
        landed.alarm.is_some()
    };
    assert!(!sets(Duration::ZERO) && !sets(PAUSE));
    assert!(sets(PAUSE + Duration::from_nanos(1)));
}
