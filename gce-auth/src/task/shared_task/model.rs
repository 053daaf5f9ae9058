//! Every interleaving of a few threads, searched by loom.
//! `.ci/run` compiles the crate for it, in its step of the model checker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
};

use loom::thread;

use super::*;
use crate::{
    refresh::{
        policy::{Deadlines, Policy},
        slot::Slot,
    },
    values::token::Validity,
};

const NOW: Now = Now::new(Duration::from_secs(1), Duration::from_secs(1));

/// Counts wakes; what a task would be scheduled by.
struct Bell(loom::sync::atomic::AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn deadlines() -> Deadlines {
    Policy::new().deadlines(&Validity::lasting(NOW, Duration::from_secs(9)), 0.0)
}

#[test]
fn two_threads_fly_once_and_both_arrive() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let flight = Arc::new(SharedTask::new(NOW, Duration::MAX, 1, move |_| {
            counted.fetch_add(1, SeqCst);
            Ok(7)
        }));
        let other = Arc::clone(&flight);
        let thread = thread::spawn(move || other.blocking_outcome(Duration::MAX).unwrap());
        assert_eq!(flight.blocking_outcome(Duration::MAX).unwrap(), 7);
        assert_eq!(thread.join().unwrap(), 7);
        assert_eq!(runs.load(SeqCst), 1);
    });
}

#[test]
fn no_wake_is_missed_and_no_result_lost() {
    loom::model(|| {
        let flight = Arc::new(SharedTask::new(NOW, Duration::MAX, 1, |_| Ok(7)));
        let flying = Arc::clone(&flight);
        let thread = thread::spawn(move || flying.run());
        let bell = Arc::new(Bell(loom::sync::atomic::AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&bell));
        let mut landed = flight.outcome(Duration::MAX);
        let first = Pin::new(&mut landed).poll(&mut Context::from_waker(&waker));
        thread.join().unwrap();
        if first.is_pending() {
            // A caller that was told to wait was woken afterwards.
            assert_eq!(bell.0.load(SeqCst), 1);
            let second = Pin::new(&mut landed).poll(&mut Context::from_waker(&waker));
            assert!(matches!(second, Poll::Ready(Ok(7))));
        }
    });
}

#[test]
fn a_cancelled_task_leaves_the_others_their_result() {
    loom::model(|| {
        let flight = Arc::new(SharedTask::new(NOW, Duration::MAX, 1, |_| Ok(7)));
        let leaving = flight.outcome(Duration::MAX);
        let flying = Arc::clone(&flight);
        let thread = thread::spawn(move || flying.run());
        let mut leaving = leaving;
        let bell = Arc::new(Bell(loom::sync::atomic::AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&bell));
        let _ = Pin::new(&mut leaving).poll(&mut Context::from_waker(&waker));
        drop(leaving);
        assert_eq!(flight.wait(Duration::MAX).unwrap(), 7);
        thread.join().unwrap();
    });
}

#[test]
fn landing_from_elsewhere_races_with_the_work() {
    loom::model(|| {
        let flight = Arc::new(SharedTask::new(NOW, Duration::MAX, 1, |_| Ok(7)));
        let flying = Arc::clone(&flight);
        let thread = thread::spawn(move || flying.run());
        flight.land(Err(late()));
        let first = flight.wait(Duration::MAX).map_err(|error| error.kind());
        thread.join().unwrap();
        let second = flight.wait(Duration::MAX).map_err(|error| error.kind());
        assert_eq!(first, second, "one outcome, for all");
    });
}

#[test]
fn a_generation_that_is_seen_names_its_entry_or_a_later_one() {
    loom::model(|| {
        let cell = Arc::new(Slot::new());
        let writing = Arc::clone(&cell);
        let thread = thread::spawn(move || {
            writing.store(1u32, deadlines());
            writing.store(2u32, deadlines());
        });
        let generation = cell.generation();
        let look = || cell.look(|entry, generation| Some((entry.value, generation)));
        match look() {
            Some((value, of)) => {
                assert!(of >= generation);
                assert_eq!(u64::from(value), of);
            }
            None => assert_eq!(generation, 0),
        }
        thread.join().unwrap();
        assert_eq!(look(), Some((2, cell.generation())));
    });
}

#[test]
fn only_the_rejected_value_is_dropped_whatever_comes_between() {
    loom::model(|| {
        let cell = Arc::new(Slot::new());
        cell.store(1u32, deadlines());
        let writing = Arc::clone(&cell);
        let thread = thread::spawn(move || writing.store(2u32, deadlines()));
        cell.clear_if(|value| *value == 1);
        thread.join().unwrap();
        assert_eq!(cell.read().map(|entry| entry.value), Some(2));
    });
}

#[test]
fn work_that_is_dropped_races_with_a_thread_that_does_it() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let flight = Arc::new(SharedTask::new(
            NOW,
            Duration::MAX,
            std::process::id(),
            move |_| {
                counted.fetch_add(1, SeqCst);
                Ok(7)
            },
        ));
        let work = flight.work(WorkKind::Other, &LaneKey::nowhere());
        let thread = thread::spawn(move || drop(work));
        let first = flight
            .blocking_outcome(Duration::MAX)
            .map_err(|error| error.kind());
        thread.join().unwrap();
        match first {
            Ok(value) => assert_eq!((value, runs.load(SeqCst)), (7, 1)),
            Err(kind) => assert_eq!((kind, runs.load(SeqCst)), (ErrorKind::Unavailable, 0)),
        }
        let second = flight.wait(Duration::MAX).map_err(|error| error.kind());
        assert_eq!(first, second, "one outcome, for all");
    });
}
