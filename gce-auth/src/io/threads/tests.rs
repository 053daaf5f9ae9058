use std::sync::mpsc;

use super::*;

fn executor() -> ThreadExecutor {
    ThreadExecutor::default()
}

fn work(kind: WorkKind, job: impl FnOnce() + Send + 'static) -> Work {
    Work::new(kind, Awaited::default(), job)
}

#[test]
fn one_thread_is_kept_for_access_tokens() {
    let executor = executor();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let (started, starts) = mpsc::channel();
    for _ in 0..THREADS + 4 {
        let (gate, started) = (Arc::clone(&gate), started.clone());
        let job = move || {
            started.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
        };
        executor.execute(work(WorkKind::Other, job)).unwrap();
    }
    for _ in 0..THREADS - 1 {
        starts.recv().unwrap();
    }
    assert!(starts.try_recv().is_err(), "the last thread was given away");
    let (done, waits) = mpsc::channel();
    let job = move || {
        let name = thread::current().name().map(str::to_owned);
        done.send(name).unwrap();
    };
    executor.execute(work(WorkKind::AccessToken, job)).unwrap();
    assert_eq!(waits.recv().unwrap().as_deref(), Some("gce-auth"));
    drop(release);
    for _ in 0..5 {
        starts.recv().unwrap();
    }
}

#[test]
fn awaited_work_overtakes_and_all_threads_end() {
    let mut state = State::default();
    let awaited = Awaited::default();
    state.queue.push(work(WorkKind::Other, || {}));
    state
        .queue
        .push(Work::new(WorkKind::Other, awaited.clone(), || {}));
    awaited.set();
    assert!(state.pop().unwrap().is_awaited());
    assert!(!state.pop().unwrap().is_awaited());
    assert!(state.pop().is_none());
    assert_eq!(state.busy_with_other, 2);
}

#[test]
fn a_panic_takes_no_thread_away() {
    let executor = executor();
    let (done, waits) = mpsc::channel::<()>();
    for n in 0..THREADS * 3 {
        let done = done.clone();
        let job = move || {
            let _held = done;
            assert!(n % 2 == 0, "on purpose");
        };
        executor.execute(work(WorkKind::Other, job)).unwrap();
    }
    drop(done);
    assert!(waits.recv().is_err(), "every piece ran and was dropped");
    let threads = executor.threads();
    while threads.lock().threads > 0 {
        thread::yield_now();
    }
    assert_eq!(threads.lock().busy_with_other, 0);
    assert_eq!(threads.lock().idle, 0);
}

/// Does a piece of work; gives the thread that did it, once it waits for
/// the next one or has ended.
fn done_by(executor: &ThreadExecutor, kind: WorkKind) -> thread::ThreadId {
    let (done, waits) = mpsc::channel();
    let job = move || done.send(thread::current().id()).unwrap();
    executor.execute(work(kind, job)).unwrap();
    let thread = waits.recv().unwrap();
    let threads = executor.threads();
    let busy = |state: &State| state.threads - state.idle;
    while busy(&threads.lock()) > 0 {
        thread::yield_now();
    }
    thread
}

#[test]
fn what_comes_at_once_is_done_by_the_thread_that_is_there() {
    let executor = executor();
    // A machine that is busy may let it end before the next piece comes,
    // but not each time.
    let again =
        |_| done_by(&executor, WorkKind::AccessToken) == done_by(&executor, WorkKind::Other);
    assert!((0..10_000).any(again));
}

#[test]
fn what_was_handed_to_a_slow_thread_is_done_by_another() {
    let threads = Threads::default();
    let (done, waits) = mpsc::channel();
    {
        // One thread is at work; one was woken for a piece, and sleeps on.
        let mut state = threads.lock();
        state.threads = 2;
        state.take(WorkKind::Other);
        state.take(WorkKind::Other);
        let job = move || done.send(()).unwrap();
        state.handed.push(work(WorkKind::Other, job));
    }
    threads.serve(work(WorkKind::Other, || {}));
    waits.try_recv().unwrap();
    let state = threads.lock();
    // The slow one is left, and waits.
    assert_eq!((state.threads, state.idle), (1, 1));
    assert_eq!(state.busy_with_other, 0);
}

#[test]
fn work_that_was_left_to_a_thread_that_cannot_start_is_done_all_the_same() {
    let threads = Threads::default();
    let (done, waits) = mpsc::channel();
    let job = |name: &'static str| {
        let done = done.clone();
        move || done.send(name).unwrap()
    };
    {
        // Three have counted a thread each, and go to start it.
        let mut state = threads.lock();
        state.threads = 3;
        state.take(WorkKind::Other);
        state.take(WorkKind::Other);
    }
    let panics = || panic!("on purpose");
    assert!(
        threads
            .not_started(work(WorkKind::Other, job("first")))
            .is_ok()
    );
    assert!(
        threads
            .not_started(work(WorkKind::AccessToken, panics))
            .is_ok()
    );
    let awaited = Awaited::default();
    awaited.set();
    let waited_for = Work::new(WorkKind::Other, awaited, job("awaited"));
    threads.lock().queue.push(waited_for);
    assert!(waits.try_recv().is_err());
    let last = threads.not_started(work(WorkKind::Other, job("last")));
    let last = last.expect_err("it is its caller's");
    let came = [waits.try_recv(), waits.try_recv()];
    assert_eq!(came, [Ok("awaited"), Ok("first")]);
    last.run();
    assert_eq!(waits.try_recv(), Ok("last"));
    let state = threads.lock();
    assert_eq!((state.threads, state.busy_with_other), (0, 0));
    assert!(state.queue.is_empty());
}

#[test]
fn work_of_a_thread_that_cannot_start_goes_to_one_that_waits() {
    let threads = Threads::default();
    {
        // One came to the end of its work while another was to be started.
        let mut state = threads.lock();
        (state.threads, state.idle) = (2, 1);
        state.take(WorkKind::Other);
    }
    let left = threads.not_started(work(WorkKind::Other, || {}));
    assert!(left.is_ok());
    let state = threads.lock();
    assert_eq!(
        (state.threads, state.idle, state.busy_with_other),
        (1, 0, 1)
    );
    assert_eq!((state.handed.len(), state.queue.len()), (1, 0));
}
