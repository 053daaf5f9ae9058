//! The cache by hand: a scripted source, a clock that stands still, a queue.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::*;
use crate::{
    io::{
        clock::Clock,
        fake::{HandClock, HandQueue},
        threads::{Executor, LaneKey, WorkKind},
    },
    refresh::{
        cache::Cache,
        policy::{Freshness, Policy},
        reason::Reason,
        refreshes::{Decision, Refreshes},
        thread_local::{PerThread, Slots},
        value::Value,
    },
    task::shared_task::SharedTask,
    values::{
        error::{Error, ErrorKind},
        token::{Now, Validity},
    },
};

#[derive(Clone, Debug, PartialEq)]
struct Token {
    name: String,
    validity: Validity,
}

impl Value for Token {
    fn validity(&self) -> Validity {
        self.validity
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Shown(String);

impl PerThread for Shown {
    fn detached(&self) -> Self {
        self.clone()
    }

    fn with_slots<R>(f: impl FnOnce(&std::cell::RefCell<Slots<Self>>) -> R) -> Option<R> {
        thread_local! {
            static SLOTS: std::cell::RefCell<Slots<Shown>> =
                const { std::cell::RefCell::new(Slots::new()) };
        }
        SLOTS.try_with(f).ok()
    }
}

fn nowhere() -> &'static LaneKey {
    static NOWHERE: OnceLock<LaneKey> = OnceLock::new();
    NOWHERE.get_or_init(LaneKey::nowhere)
}

/// Answers from a script: a name and a lifetime in seconds, or a failure.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Result<(&'static str, u64), ErrorKind>>>,
    fetches: AtomicU64,
    /// Since when the budget of the last fetch runs.
    began: Mutex<Option<Now>>,
    /// What happens during the next fetch.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Scripted {
    fn script(&self, answer: Result<(&'static str, u64), ErrorKind>) {
        self.answers.lock().unwrap().push_back(answer);
    }
}

impl Source for Scripted {
    type Value = Token;

    fn fetch(&self, departure: &FetchContext) -> Result<Token, Error> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        *self.began.lock().unwrap() = Some(departure.began);
        let meanwhile = self.meanwhile.lock().unwrap().take();
        meanwhile.into_iter().for_each(|happens| happens());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.unwrap_or(Err(ErrorKind::Unavailable)) {
            Ok((name, seconds)) => Ok(Token {
                name: name.to_owned(),
                validity: Validity::lasting(departure.began, Duration::from_secs(seconds)),
            }),
            Err(kind) => Err(Error::new(kind, "scripted")),
        }
    }

    fn budget(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn kind(&self) -> WorkKind {
        WorkKind::AccessToken
    }

    fn lane(&self) -> &LaneKey {
        nowhere()
    }
}

struct World {
    cache: Cache<Scripted>,
    source: Arc<Scripted>,
    clock: Arc<HandClock>,
    queue: Arc<HandQueue>,
}

/// Jitter would only blur the moments that these tests are about.
static POLICY: Policy = Policy {
    jitter: Duration::ZERO,
    ..Policy::new()
};

impl World {
    fn new() -> Self {
        let clock = Arc::new(HandClock::at(1_700_000_000));
        let queue = Arc::new(HandQueue::new());
        let source = Arc::new(Scripted::default());
        let cache = Cache::new(
            Refreshes::alone(&POLICY),
            Arc::clone(&source),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&queue) as Arc<dyn Executor>,
        );
        Self {
            cache,
            source,
            clock,
            queue,
        }
    }

    /// A world with the token `a`. Its renewal fails, and then brings `b`.
    fn with_a_failing_renewal() -> Self {
        let world = Self::new();
        world.script([
            Ok(("a", 3600)),
            Err(ErrorKind::Unavailable),
            Ok(("b", 3600)),
        ]);
        world.get().unwrap();
        world
    }

    fn script(&self, answers: impl IntoIterator<Item = Result<(&'static str, u64), ErrorKind>>) {
        self.source.answers.lock().unwrap().extend(answers);
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn fetches(&self) -> u64 {
        self.source.fetches.load(Ordering::SeqCst)
    }

    /// What a caller that can wait is handed, in the background mode.
    fn get(&self) -> Result<String, ErrorKind> {
        self.cache
            .blocking_get(RefreshMode::Background)
            .map(|token| token.name)
            .map_err(|error| error.kind())
    }

    /// A server has rejected this one.
    fn reject(&self, name: &str) -> bool {
        let now = self.clock.now();
        let keeper = self.cache.refreshes();
        keeper.invalidate(now, |token| token.name == name)
    }

    /// What the hot path has.
    fn cached(&self) -> Option<String> {
        let mut spent = Duration::ZERO;
        self.cached_after(&mut spent)
    }

    fn cached_after(&self, spent: &mut Duration) -> Option<String> {
        self.cache.cached(
            self.cache.reader(),
            || RefreshMode::Background,
            |token| Shown(token.name.clone()),
            |shown| shown.0.clone(),
            spent,
        )
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

mod decisions;
mod dropped;
mod flights;
mod here;
mod parts;
mod rejected;
mod renewals;
mod settings;

#[test]
fn a_token_is_fetched_once_and_kept() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    assert_eq!(world.cached(), None);
    for _ in 0..10 {
        assert_eq!(world.get().as_deref(), Ok("a"));
        assert_eq!(world.cached().as_deref(), Some("a"));
    }
    assert_eq!(world.fetches(), 1);
    assert!(world.queue.is_empty());
}

#[test]
fn a_stale_token_is_handed_out_while_one_flight_fetches_the_next() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.advance(3600 - 225);
    for _ in 0..100 {
        assert_eq!(world.get().as_deref(), Ok("a"));
        assert_eq!(world.cached().as_deref(), Some("a"));
    }
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(world.get().as_deref(), Ok("b"));
    assert_eq!(world.cached().as_deref(), Some("b"));
    assert_eq!(world.fetches(), 2);
}

#[test]
fn the_same_token_again_is_asked_for_gently() {
    let world = World::new();
    world.script([
        Ok(("a", 200)),
        Ok(("a", 199)),
        Ok(("a", 190)),
        Ok(("b", 3600)),
    ]);
    world.get().unwrap();
    // Born stale: the next attempt waits its ten seconds, then the next.
    for (second, fetches) in [(1, 1), (8, 1), (1, 2), (9, 2), (1, 3), (9, 3), (1, 4)] {
        world.advance(second);
        assert!(world.get().is_ok());
        world.queue.run_all();
        assert_eq!(world.fetches(), fetches);
    }
    assert_eq!(world.get().as_deref(), Ok("b"));
    world.advance(60);
    world.get().unwrap();
    assert!(world.queue.is_empty());
}

#[test]
fn failures_back_off_and_never_take_a_valid_token_away() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    world.advance(3400);
    let mut attempts = Vec::new();
    for second in 0..190u64 {
        assert_eq!(world.get().as_deref(), Ok("a"));
        if world.queue.run_all() > 0 {
            attempts.push(second);
        }
        world.advance(1);
    }
    assert_eq!(attempts, [0, 5, 15, 35, 75, 135]);
    // Expired in the middle of the outage: an error, until the server is back.
    world.advance(10);
    assert_eq!(world.get(), Err(ErrorKind::Unavailable));
    world.script([Ok(("b", 3600))]);
    world.advance(1);
    assert_eq!(world.get().as_deref(), Ok("b"));
}

#[test]
fn an_error_is_shared_for_a_second_and_is_never_a_state() {
    let world = World::new();
    world.script([Err(ErrorKind::NotFound), Ok(("a", 3600))]);
    for _ in 0..1000 {
        assert_eq!(world.get(), Err(ErrorKind::NotFound));
    }
    assert_eq!(world.fetches(), 1);
    world.advance(1);
    assert_eq!(world.get().as_deref(), Ok("a"));
}

#[test]
fn in_blocking_mode_a_stale_token_is_renewed_first_and_kept_on_failure() {
    let world = World::with_a_failing_renewal();
    world.advance(3500);
    let blocking = || {
        world
            .cache
            .blocking_get(RefreshMode::Blocking)
            .unwrap()
            .name
    };
    assert_eq!(blocking(), "a");
    assert_eq!(world.fetches(), 2);
    world.advance(2);
    assert_eq!(blocking(), "b");
    assert!(world.queue.is_empty());
}

#[test]
fn refresh_never_answers_with_what_was_fetched_before() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600)), Ok(("old", 3600))]);
    world.get().unwrap();
    assert_eq!(world.cache.blocking_refresh().unwrap().name, "b");
    // A flight that began before does not count, and does not win.
    world.cache.refreshes().clear();
    let mut before = pin!(world.cache.get(RefreshMode::Background));
    assert!(poll(before.as_mut()).is_pending());
    let mut first = pin!(world.cache.refresh());
    let mut second = pin!(world.cache.refresh());
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert_eq!(
        world.queue.len(),
        2,
        "overlapping refreshes share one flight"
    );
    world.queue.run_next();
    assert!(
        poll(first.as_mut()).is_pending(),
        "the older flight answered a refresh"
    );
    assert!(matches!(poll(before.as_mut()), Poll::Ready(Ok(token)) if token.name == "old"));
    world.script([Ok(("new", 3600))]);
    world.queue.run_next();
    for future in [first.as_mut(), second.as_mut()] {
        assert!(matches!(poll(future), Poll::Ready(Ok(token)) if token.name == "new"));
    }
    assert_eq!(world.cached().as_deref(), Some("new"));
}

#[test]
fn a_failed_refresh_keeps_the_token() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Err(ErrorKind::Forbidden)]);
    world.get().unwrap();
    let error = world.cache.blocking_refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(world.get().as_deref(), Ok("a"));
}

#[test]
fn suspended_time_counts_and_a_clock_set_back_does_not() {
    let world = World::new();
    world.script([Ok(("a", 3600)), Ok(("b", 3600))]);
    world.get().unwrap();
    world.clock.set_wall(1_600_000_000);
    assert_eq!(world.cached().as_deref(), Some("a"));
    world.clock.advance_boot(Duration::from_secs(3600));
    assert_eq!(world.cached(), None);
    assert_eq!(world.get().as_deref(), Ok("b"));
}

#[test]
fn short_lived_tokens_cause_no_storm() {
    let world = World::new();
    world.script((0..100).map(|_| Ok(("t", 30))));
    // 20 calls a second for a minute.
    for _ in 0..1200 {
        assert!(world.get().is_ok());
        world.queue.run_all();
        world.clock.advance(Duration::from_millis(50));
    }
    assert!((5..=7).contains(&world.fetches()), "{}", world.fetches());
}

#[test]
fn a_source_that_panics_leaves_an_cache_that_works() {
    struct Panics;
    impl Source for Panics {
        type Value = Token;
        fn fetch(&self, _: &FetchContext) -> Result<Token, Error> {
            panic!("on purpose")
        }
        fn budget(&self) -> Duration {
            Duration::from_secs(1)
        }
        fn kind(&self) -> WorkKind {
            WorkKind::Other
        }

        fn lane(&self) -> &LaneKey {
            nowhere()
        }
    }
    let clock = Arc::new(HandClock::at(1));
    let cache = Cache::new(
        Refreshes::<Token>::alone(Policy::chosen(false)),
        Arc::new(Panics),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(HandQueue::new()),
    );
    let call = || cache.blocking_get(RefreshMode::Background).map(drop);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    assert!(caught.is_err());
    let shared = call().unwrap_err();
    assert!(shared.to_string().contains("panicked"), "{shared}");
    assert!(!cache.refreshes().known().in_flight);
}

#[test]
fn nested_use_inside_a_lend_is_harmless() {
    let world = World::new();
    world.script([Ok(("a", 3600))]);
    world.get().unwrap();
    for _ in 0..4 {
        let mut spent = Duration::ZERO;
        let inner = world.cache.cached(
            world.cache.reader(),
            || RefreshMode::Background,
            |token| Shown(token.name.clone()),
            |_| world.cached(),
            &mut spent,
        );
        assert_eq!(inner.flatten().as_deref(), Some("a"));
    }
}
