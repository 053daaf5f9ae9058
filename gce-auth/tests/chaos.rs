//! The server dies and comes back at random under many callers.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, SystemTime},
};

use gce_auth::{
    Credentials, Error, Headers, IdTokenCredentials, MetadataClient, RetryPolicy,
    time::{Clock, SystemClock},
    transport::Limits,
};
use gce_auth_emulator::{Account, Emulator, Fault};
use support::{
    gate::{Gate, Seen},
    now, timed, told,
};

const THREADS: usize = 32;
const TASKS: usize = 32;
/// For one operation.
const BUDGET: Duration = Duration::from_millis(500);
/// Between two calls of one caller.
const PACE: Duration = Duration::from_millis(4);
/// The second account of the machine.
const OTHER: &str = "other@emulator-project.iam.gserviceaccount.com";

/// Numbers that look random, and are the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.roll(most - least))
    }
}

/// Ends the callers, and is what they wait with between two calls.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    /// The same for those who poll.
    over: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.over.store(true, SeqCst);
        self.heard.notify_all();
    }

    /// Waits a little; whether it has rung.
    fn has_rung_within(&self, time: Duration) -> bool {
        let rung = self.rung.lock().unwrap();
        let (rung, _) = self
            .heard
            .wait_timeout_while(rung, time, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung
    }
}

/// What happened, counted.
#[derive(Debug, Default)]
struct Tally {
    headers: AtomicUsize,
    errors: AtomicUsize,
    deaths: AtomicUsize,
    faults: AtomicUsize,
    invalidated: AtomicUsize,
}

fn count(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, SeqCst)
}

/// One of the credentials that the callers share.
enum Pass {
    Access(Credentials),
    Identity(IdTokenCredentials),
}

impl Pass {
    /// Until when the token in hand is good.
    fn held_until(&self) -> Option<SystemTime> {
        match self {
            Self::Access(pass) => pass.cached_token()?.expires_at(),
            Self::Identity(pass) => pass.cached_token()?.expires_at(),
        }
    }

    async fn headers(&self) -> Result<Headers, Error> {
        match self {
            Self::Access(pass) => pass.headers().await,
            Self::Identity(pass) => pass.headers().await,
        }
    }

    fn blocking_headers(&self) -> Result<Headers, Error> {
        match self {
            Self::Access(pass) => pass.blocking_headers(),
            Self::Identity(pass) => pass.blocking_headers(),
        }
    }
}

/// The world that the callers share.
struct World {
    client: MetadataClient,
    seen: Seen,
    /// What is asked for now; now and then one begins anew, with no token.
    passes: RwLock<Vec<Arc<Pass>>>,
    /// Of nobody else: its tokens are rejected now and then.
    rejected: Credentials,
    bell: Bell,
    tally: Tally,
    /// What must never happen, and did.
    wrongs: Mutex<Vec<String>>,
}

impl World {
    fn wrong(&self, what: String) {
        self.wrongs.lock().unwrap().push(what);
        self.bell.ring();
    }

    fn pass(&self, dice: &mut Dice) -> Arc<Pass> {
        let passes = self.passes.read().unwrap();
        let which = usize::try_from(dice.roll(passes.len() as u64)).unwrap();
        Arc::clone(&passes[which])
    }

    /// Looks at one answer. `held` is until when the token was good that was
    /// in hand before the call.
    fn judge(&self, pass: &Pass, held: Option<SystemTime>, got: Result<Headers, Error>) {
        match got {
            Ok(headers) => {
                count(&self.tally.headers);
                let value = headers.authorization().unwrap().to_str().unwrap();
                let token = value.strip_prefix("Bearer ").unwrap();
                if !self.seen.has(token) {
                    self.wrong(format!("a token that no server gave: {token}"));
                }
            }
            Err(error) => {
                count(&self.tally.errors);
                if held.is_some() && held == pass.held_until() {
                    self.wrong(format!("an error with a token in hand: {error:?}"));
                }
                if !error.is_retryable() {
                    self.wrong(format!("an error that says to give up: {error:?}"));
                }
            }
        }
    }
}

/// Kills and revives the server until time is over.
fn torment(world: &World, gate: &mut Gate, dice: &mut Dice, time: Duration) {
    let end = now() + time;
    let mut server: Option<Emulator> = None;
    while now() < end && !world.bell.over.load(SeqCst) {
        match (&server, dice.roll(10)) {
            (None, _) => {
                // Tokens that are always stale, of an hour, and of seconds.
                let lifetime = match dice.roll(4) {
                    0 => Duration::from_secs(180),
                    1 => Duration::from_secs(3600),
                    _ => dice.millis(1000, 4000),
                };
                let emulator = Emulator::builder()
                    .account(Account::new(
                        "emulator@emulator-project.iam.gserviceaccount.com",
                    ))
                    .account(Account::new(OTHER))
                    .token_lifetime(lifetime)
                    .start()
                    .unwrap();
                gate.open(emulator.addr());
                server = Some(emulator);
                let fresh = Credentials::builder().client(world.client.clone());
                let fresh = fresh.shared(false).build().unwrap();
                let mut passes = world.passes.write().unwrap();
                let which = usize::try_from(dice.roll(passes.len() as u64)).unwrap();
                passes[which] = Arc::new(Pass::Access(fresh));
            }
            (Some(_), 0..=3) => {
                // The port first, or the server first.
                if dice.roll(2) == 0 {
                    drop(server.take());
                }
                gate.shut();
                drop(server.take());
                count(&world.tally.deaths);
            }
            (Some(_), 4) => gate.cut(),
            (Some(emulator), 5) => emulator.rotate_token(),
            (Some(emulator), 6) => emulator.heal(),
            (Some(emulator), _) => {
                count(&world.tally.faults);
                let fault = match dice.roll(8) {
                    0 => Fault::Hang,
                    1 => Fault::Reset,
                    2 => Fault::Close,
                    3 => Fault::Truncate(30),
                    4 => Fault::Delay(dice.millis(10, 300)),
                    5 => Fault::Status {
                        code: 429,
                        retry_after: Some(1),
                    },
                    code => Fault::Status {
                        code: if code == 6 { 500 } else { 503 },
                        retry_after: None,
                    },
                };
                let times = usize::try_from(1 + dice.roll(6)).unwrap();
                emulator.fail_next("instance/", times, fault);
            }
        }
        // Mostly shorter than a call's budget, sometimes longer.
        let pause = match dice.roll(10) {
            0 => dice.millis(300, 1500),
            _ => dice.millis(2, 60),
        };
        if world.bell.has_rung_within(pause) {
            break;
        }
    }
    gate.shut();
    world.bell.ring();
}

fn blocking_caller(world: &World, dice: &mut Dice) {
    while !world.bell.has_rung_within(PACE) {
        let pass = world.pass(dice);
        let held = pass.held_until();
        let (got, took) = timed(|| pass.blocking_headers());
        world.judge(&pass, held, got);
        // The machine may be busy.
        if took > BUDGET + Duration::from_secs(10) {
            world.wrong(format!("an answer after {took:?}"));
        }
        if dice.roll(50) == 0 {
            if let Ok(token) = world.rejected.blocking_token() {
                world.rejected.invalidate(&token);
                count(&world.tally.invalidated);
            }
        }
    }
}

async fn caller(world: Arc<World>, mut dice: Dice) {
    while !world.bell.over.load(SeqCst) {
        let pass = world.pass(&mut dice);
        let held = pass.held_until();
        let call = pass.headers();
        if dice.roll(4) == 0 {
            // Somebody who does not wait for long; the call is dropped.
            let limit = dice.millis(0, 40);
            if let Ok(got) = tokio::time::timeout(limit, call).await {
                world.judge(&pass, held, got);
            }
        } else {
            world.judge(&pass, held, call.await);
        }
        tokio::time::sleep(PACE).await;
    }
}

fn seed() -> u64 {
    let given = told("GCE_AUTH_CHAOS_SEED").map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| {
        let now = SystemClock::new().now();
        u64::try_from(now.wall.as_nanos() & u128::from(u32::MAX)).unwrap()
    })
}

#[test]
fn whatever_the_server_does_nobody_gets_a_wrong_token_or_a_needless_error() {
    let seconds = told("GCE_AUTH_CHAOS_SECONDS").map_or(5, |text| text.parse().unwrap());
    let seed = seed();
    println!("seed {seed}, {seconds} s: GCE_AUTH_CHAOS_SEED, GCE_AUTH_CHAOS_SECONDS");
    let mut gate = Gate::new(seed);
    let mut limits = Limits::new();
    limits.attempt = Duration::from_millis(300);
    let client = MetadataClient::builder()
        .endpoint(gate.address().to_string())
        .retry(RetryPolicy::new().budget(BUDGET))
        .limits(limits)
        .build()
        .unwrap();
    let access = |account: &str| {
        let builder = Credentials::builder().client(client.clone());
        builder.service_account(account).build().unwrap()
    };
    let identity = |audience: &str| {
        let builder = IdTokenCredentials::builder(audience).client(client.clone());
        Pass::Identity(builder.build().unwrap())
    };
    let rejected = Credentials::builder().client(client.clone()).shared(false);
    let passes = [
        Pass::Access(access("default")),
        Pass::Access(access(OTHER)),
        Pass::Access(access("default").with_quota_project("q").unwrap()),
        Pass::Access(access(OTHER).with_scopes(["scope"])),
        identity("https://one"),
        identity("https://two"),
    ];
    let world = Arc::new(World {
        client: client.clone(),
        seen: gate.seen(),
        passes: RwLock::new(passes.map(Arc::new).into()),
        rejected: rejected.build().unwrap(),
        bell: Bell::default(),
        tally: Tally::default(),
        wrongs: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut dice = Dice(seed);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let dice = Dice(dice.roll(u64::MAX));
            runtime.spawn(caller(Arc::clone(&world), dice))
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let mut dice = Dice(dice.roll(u64::MAX));
            let world = &world;
            scope.spawn(move || blocking_caller(world, &mut dice));
        }
        torment(&world, &mut gate, &mut dice, Duration::from_secs(seconds));
    });
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("no caller panics");
        }
    });
    println!("{:?}, {} tokens", world.tally, world.seen.count());
    let wrongs = world.wrongs.lock().unwrap();
    assert!(wrongs.is_empty(), "seed {seed}: {wrongs:#?}");
    assert!(world.tally.headers.load(SeqCst) > 0);

    // Whatever it went through, the next server is found.
    let emulator = Emulator::builder().account(Account::new(OTHER)).start();
    let emulator = emulator.unwrap();
    gate.open(emulator.addr());
    world
        .rejected
        .blocking_wait_ready(Duration::from_secs(30))
        .unwrap();
    let pass = access(OTHER);
    pass.blocking_wait_ready(Duration::from_secs(30)).unwrap();
}
