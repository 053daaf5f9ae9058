use std::{sync::mpsc, thread};

use super::*;
use crate::io::{
    clock::{Clock, SystemClock},
    threads::{LaneKey, Progress},
};

fn lanes() -> Arc<Lanes> {
    Arc::default()
}

fn origin(name: &str) -> LaneKey {
    LaneKey::new(name, &crate::io::http::shared())
}

fn at(name: &str, kind: WorkKind, job: impl FnOnce() + Send + 'static) -> Work {
    Work::new(kind, origin(name), Progress::default(), job)
}

fn work(kind: WorkKind, job: impl FnOnce() + Send + 'static) -> Work {
    at("http://a", kind, job)
}

/// Work that goes on until it is released, and tells when it begins.
struct Gate {
    started: mpsc::Sender<()>,
    starts: mpsc::Receiver<()>,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
    release: Option<mpsc::Sender<()>>,
}

impl Gate {
    fn new() -> Self {
        let (started, starts) = mpsc::channel();
        let (release, gate) = mpsc::channel();
        Self {
            started,
            starts,
            gate: Arc::new(Mutex::new(gate)),
            release: Some(release),
        }
    }

    fn job(&self) -> impl FnOnce() + Send + 'static {
        let (started, gate) = (self.started.clone(), Arc::clone(&self.gate));
        move || {
            started.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
        }
    }

    fn begun(&self, count: usize) {
        for _ in 0..count {
            self.starts.recv().unwrap();
        }
    }
}

/// Waits until all threads have ended.
fn ended(lanes: &Lanes) {
    while lanes.lock().threads > 0 {
        thread::yield_now();
    }
    let state = lanes.lock();
    assert_eq!((state.idle, state.queued), (0, 0));
    assert!(state.lanes.is_empty(), "lanes without work are forgotten");
}

#[test]
fn one_thread_of_an_origin_is_kept_for_access_tokens() {
    let lanes = lanes();
    let mut gate = Gate::new();
    for _ in 0..PER_ORIGIN + 4 {
        lanes.execute(work(WorkKind::Other, gate.job())).unwrap();
    }
    gate.begun(PER_ORIGIN - 1);
    assert!(
        gate.starts.try_recv().is_err(),
        "the last thread was given away"
    );
    let (done, waits) = mpsc::channel();
    let job = move || {
        let name = thread::current().name().map(str::to_owned);
        done.send(name).unwrap();
    };
    lanes.execute(work(WorkKind::AccessToken, job)).unwrap();
    assert_eq!(waits.recv().unwrap().as_deref(), Some("gce-auth"));
    assert!(lanes.lock().threads <= PER_ORIGIN);
    gate.release = None;
    gate.begun(5);
    ended(&lanes);
}

#[test]
fn an_origin_that_hangs_delays_no_other() {
    let lanes = lanes();
    let mut gate = Gate::new();
    for _ in 0..PER_ORIGIN * 2 {
        let work = at("http://hangs", WorkKind::Other, gate.job());
        lanes.execute(work).unwrap();
    }
    let (done, waits) = mpsc::channel();
    let job = move || done.send(()).unwrap();
    lanes
        .execute(at("http://healthy", WorkKind::Other, job))
        .unwrap();
    waits.recv().unwrap();
    gate.release = None;
    gate.begun(PER_ORIGIN * 2);
    ended(&lanes);
}

#[test]
fn beyond_the_bound_in_all_an_origin_gets_one_thread() {
    let lanes = lanes();
    let gate = Gate::new();
    let full = IN_ALL / (PER_ORIGIN - 1) + 1;
    for n in 0..full {
        for _ in 0..PER_ORIGIN - 1 {
            let work = at(&format!("http://{n}"), WorkKind::Other, gate.job());
            lanes.execute(work).unwrap();
        }
    }
    gate.begun(IN_ALL);
    assert_eq!(lanes.lock().threads, IN_ALL);
    let mut late = Gate::new();
    for _ in 0..3 {
        let work = at("http://late", WorkKind::Other, late.job());
        lanes.execute(work).unwrap();
    }
    late.begun(1);
    assert!(
        late.starts.try_recv().is_err(),
        "one thread, and not another"
    );
    assert_eq!(lanes.lock().threads, IN_ALL + 1);
    late.release = None;
    late.begun(2);
    drop(gate);
    ended(&lanes);
}

#[test]
fn awaited_work_overtakes() {
    let mut lane = Lane::default();
    let progress = Progress::default();
    lane.push(work(WorkKind::Other, || {}));
    let awaited = Work::new(WorkKind::Other, origin("http://a"), progress.clone(), || {});
    lane.push(awaited);
    progress.set_awaited();
    assert!(lane.pop().unwrap().is_awaited());
    assert!(!lane.pop().unwrap().is_awaited());
    assert!(lane.pop().is_none());
}

#[test]
fn a_long_queue_delays_no_other_origin() {
    let mut state = State::default();
    for _ in 0..PER_ORIGIN - 1 {
        state.take(&at("http://hangs", WorkKind::Other, || {}));
    }
    for _ in 0..100_000 {
        drop(state.queue(at("http://hangs", WorkKind::Other, || {})));
    }
    let healthy = at("http://healthy", WorkKind::Other, || {});
    let clock = SystemClock::new();
    let begins = clock.now().boot;
    for _ in 0..5_000 {
        state.take(&healthy);
        state.release(healthy.lane(), healthy.kind());
        assert!(state.pop(healthy.lane()).is_none());
    }
    let took = clock.now().boot - begins;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let token = at("http://hangs", WorkKind::AccessToken, || {});
    drop(state.queue(token));
    let next = state.pop(healthy.lane()).unwrap();
    assert_eq!(next.kind(), WorkKind::AccessToken);
}

#[test]
fn both_kinds_of_work_are_begun_in_their_order() {
    let mut lane = Lane::default();
    let kinds = [
        WorkKind::Other,
        WorkKind::AccessToken,
        WorkKind::AccessToken,
        WorkKind::Other,
    ];
    for kind in kinds {
        lane.push(work(kind, || {}));
    }
    assert_eq!(kinds.map(|_| lane.pop().unwrap().kind()), kinds);
}

#[test]
fn a_queue_keeps_nothing_that_was_abandoned() {
    let mut state = State::default();
    let busy = work(WorkKind::Other, || {});
    state.take(&busy);
    let mut dropped = Vec::new();
    for n in 1..=LONG_QUEUE {
        let progress = Progress::default();
        if n % 4 != 0 {
            progress.set_abandoned();
        }
        let work = Work::new(WorkKind::Other, origin("http://a"), progress, || {});
        dropped.extend(state.queue(work));
    }
    assert_eq!(dropped.len(), LONG_QUEUE / 4 * 3);
    assert_eq!(state.queued, LONG_QUEUE / 4);
    assert_eq!(state.drain(busy.lane()).len(), LONG_QUEUE / 4);
    assert_eq!(state.queued, 0);
}

#[test]
fn a_panic_takes_no_thread_away() {
    let lanes = lanes();
    let (done, waits) = mpsc::channel::<()>();
    for n in 0..PER_ORIGIN * 3 {
        let done = done.clone();
        let job = move || {
            let _held = done;
            assert!(n % 2 == 0, "on purpose");
        };
        lanes.execute(work(WorkKind::Other, job)).unwrap();
    }
    drop(done);
    assert!(waits.recv().is_err(), "every piece ran and was dropped");
    ended(&lanes);
}

#[test]
fn work_whose_thread_did_not_start_is_no_thread_s_yet() {
    let mut state = State::default();
    let work = work(WorkKind::Other, || ());
    let (progress, lane) = (work.progress().clone(), work.lane().clone());
    state.take(&work);
    assert_eq!(state.release(&lane, WorkKind::Other), 0);
    state.queue(work);
    assert!(!progress.is_assigned());
    assert!(state.pop(&lane).is_some() && progress.is_assigned());
}

#[test]
fn no_thread_comes_beyond_the_bound_but_the_first_of_a_lane() {
    let mut state = State::default();
    let (first, second) = (work(WorkKind::Other, || ()), work(WorkKind::Other, || ()));
    state.take(&first);
    for (threads, begins) in [(IN_ALL - 1, true), (IN_ALL, false), (IN_ALL + 1, false)] {
        state.threads = threads;
        assert_eq!(state.may_begin(&second), begins, "{threads}");
        assert!(state.may_begin(&at("http://b", WorkKind::Other, || ())));
    }
    state.idle = 1;
    assert!(state.may_begin(&second));
}

#[test]
fn the_executor_of_the_process_does_what_it_is_given() {
    let (done, waits) = mpsc::channel();
    let job = move || done.send(()).unwrap();
    shared()
        .execute(work(WorkKind::Watch, job.clone()))
        .unwrap();
    shared().execute(work(WorkKind::Other, job)).unwrap();
    assert_eq!((waits.recv(), waits.recv()), (Ok(()), Ok(())));
}

/// Does a piece of work; gives the thread that did it, once it waits for
/// the next one or has ended.
fn done_by(lanes: &Arc<Lanes>, kind: WorkKind) -> thread::ThreadId {
    let (done, waits) = mpsc::channel();
    let job = move || done.send(thread::current().id()).unwrap();
    lanes.execute(work(kind, job)).unwrap();
    let thread = waits.recv().unwrap();
    let busy = |state: &State| state.threads - state.idle;
    while busy(&lanes.lock()) > 0 {
        thread::yield_now();
    }
    thread
}

#[test]
fn what_comes_at_once_is_done_by_the_thread_that_is_there() {
    let lanes = lanes();
    // A machine that is busy may let it end before the next piece comes,
    // but not each time.
    let again = |_| done_by(&lanes, WorkKind::AccessToken) == done_by(&lanes, WorkKind::Other);
    assert!((0..10_000).any(again));
}

#[test]
fn what_was_handed_to_a_slow_thread_is_done_by_another() {
    let lanes = lanes();
    let (done, waits) = mpsc::channel();
    {
        // One thread is at work; one was woken for a piece, and sleeps on.
        let mut state = lanes.lock();
        state.threads = 2;
        let job = move || done.send(()).unwrap();
        let handed = work(WorkKind::Other, job);
        state.take(&handed);
        state.handed.push(handed);
        state.take(&work(WorkKind::Other, || {}));
    }
    lanes.serve(work(WorkKind::Other, || {}));
    waits.try_recv().unwrap();
    let state = lanes.lock();
    // The slow one is left, and waits.
    assert_eq!((state.threads, state.idle), (1, 1));
    assert!(state.lanes.is_empty());
}

#[test]
fn work_that_was_left_to_a_thread_that_cannot_start_is_done_all_the_same() {
    let lanes = lanes();
    let (done, waits) = mpsc::channel();
    let job = |name: &'static str| {
        let done = done.clone();
        move || done.send(name).unwrap()
    };
    let first = work(WorkKind::Other, job("first"));
    let token = work(WorkKind::AccessToken, || panic!("on purpose"));
    let last = work(WorkKind::Other, job("last"));
    {
        // Three have counted a thread each, and go to start it.
        let mut state = lanes.lock();
        state.threads = 3;
        for work in [&first, &token, &last] {
            state.take(work);
        }
    }
    assert!(lanes.not_started(first).is_ok());
    assert!(lanes.not_started(token).is_ok());
    let progress = Progress::default();
    progress.set_awaited();
    let lane = origin("http://a");
    let awaited = Work::new(WorkKind::Other, lane, progress, job("awaited"));
    drop(lanes.lock().queue(awaited));
    assert!(waits.try_recv().is_err());
    let last = lanes.not_started(last).expect_err("it is its caller's");
    let came = [waits.try_recv(), waits.try_recv()];
    assert_eq!(came, [Ok("awaited"), Ok("first")]);
    last.run();
    assert_eq!(waits.try_recv(), Ok("last"));
    ended(&lanes);
}

#[test]
fn work_of_a_thread_that_cannot_start_goes_to_one_that_waits() {
    let lanes = lanes();
    let left = work(WorkKind::Other, || {});
    {
        // One came to the end of its work while another was to be started.
        let mut state = lanes.lock();
        (state.threads, state.idle) = (2, 1);
        state.take(&left);
    }
    assert!(lanes.not_started(left).is_ok());
    let state = lanes.lock();
    assert_eq!((state.threads, state.idle), (1, 0));
    assert_eq!((state.handed.len(), state.queued), (1, 0));
}

#[test]
fn a_long_queue_loses_work_whose_callers_have_gone() {
    let lanes = lanes();
    let mut state = lanes.lock();
    for n in 1..=LONG_QUEUE {
        let progress = Progress::default();
        if n % 2 == 0 {
            progress.set_abandoned();
        }
        let work = Work::new(WorkKind::Other, origin("http://a"), progress, || {});
        let dropped = state.queue(work).len();
        let wanted = if n == LONG_QUEUE { LONG_QUEUE / 2 } else { 0 };
        assert_eq!(dropped, wanted, "{n}");
    }
    assert_eq!(state.queued, LONG_QUEUE / 2);
}
