use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::Wake,
    thread,
};

use super::*;

const NOW: Now = Now::new(Duration::from_secs(1), Duration::from_secs(1));
const LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn flight(job: impl FnOnce() -> Outcome<u32> + Send + 'static) -> Arc<Flight<u32>> {
    Arc::new(Flight::new(NOW, 1, job))
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
    let mut waiting: Vec<_> = (0..100).map(|_| flight.outcome()).collect();
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
    let mut leaving = flight.outcome();
    let mut staying = flight.outcome();
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
    let mut landed = flight.outcome();
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
    let error = flight.wait(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn a_replaced_flight_tells_its_waiters_and_never_flies() {
    let flight = flight(|| panic!("it flew"));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut landed = flight.outcome();
    assert!(poll(&mut landed, &waker).is_pending());
    flight.land(Err(late()));
    flight.land(Ok(3));
    flight.run();
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut landed, &waker), Poll::Ready(Err(_))));
}
