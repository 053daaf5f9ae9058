//! A whole process in a world of faults, one seed after another: which thread
//! runs next, what breaks and when, is all decided by the seed.
//!
//! `SIMULATION_SEEDS=2000 cargo test --features _simulation,adc,verify --test
//! simulation` runs as many; `SIMULATION_SEED=7` runs that one again.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "it is told things in the environment"
)]

mod accounts;
mod answers;
mod brief;
mod callers;
mod dice;
mod executors;
mod handles;
mod judge;
mod part;
mod servers;
mod sources;
mod stage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use gce_auth::time::{Clock, SystemClock};

use crate::{
    answers::is_slot,
    callers::World,
    executors::{Crew, Manner},
    handles::Handle,
    servers::{Health, Net, SERVERS},
    sources::{KINDS, Kind},
    stage::{RIGHT, Stage},
};

const MANNERS: [Manner; 8] = [
    Manner::Good,
    Manner::Good,
    Manner::Library,
    Manner::Library,
    Manner::Late,
    Manner::Never,
    Manner::Drops,
    Manner::GivesBack,
];
/// Which of them gives work back, and which is the library.
const GIVES_BACK: usize = 7;
const LIBRARY: usize = 2;
/// Seeds that are run unless the environment says how many.
const SEEDS: u64 = 100;
/// In ten seconds a slot is asked for no more often than this by one class of
/// settings, whatever its callers do.
const MOST_IN_TEN_SECONDS: usize = 12;

/// What was left by its last handle is removed by the next use after so long.
const LINGER: Duration = Duration::from_secs(5 * 60);

/// All calls of a caller, and its pauses, are over by then.
const LONGEST_DAY: Duration = Duration::from_secs(12 * 3600);
/// A token is renewed 165 to 225 s before it expires; one with more has been.
const RENEWED: Duration = Duration::from_secs(140);

#[test]
fn every_seed_keeps_every_promise() {
    let told = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = told("SIMULATION_SEED") {
        simulate(seed);
        return;
    }
    let first = SystemClock::new().exact().wall.as_micros() as u64;
    let first = told("SIMULATION_FIRST").unwrap_or(first);
    let seeds = told("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let mut turns = 0;
    for seed in first..first + seeds {
        turns += simulate(seed);
    }
    assert!(
        turns > seeds * 100,
        "next to nothing happened: {turns} turns"
    );
    println!("{seeds} seeds from {first}: {turns} turns");
}

/// Plays one process to its end; gives how many turns that took.
fn simulate(seed: u64) -> u64 {
    let stage = Stage::new(seed);
    // Some processes have few credentials, with tokens that live for a minute:
    // much happens to each.
    let narrow = stage.roll(|dice| dice.one_in(4));
    // In others all work is done by the library's threads, and there is more of it.
    let crowded = !narrow && stage.roll(|dice| dice.one_in(3));
    let net = Net::new(&stage, narrow);
    let world = World::new(&stage, &net);
    let crews: Vec<_> = MANNERS.iter().map(|it| Crew::new(&stage, *it)).collect();
    let count = match narrow {
        true => 1,
        false => 3 + stage.roll(|dice| dice.index(5)),
    };
    // In some processes all credentials share what they can share.
    let alike = stage.roll(|dice| {
        let kind = KINDS[dice.index(KINDS.len())];
        match narrow && dice.one_in(3) {
            true => Some(Kind::Impersonated),
            false => dice.one_in(3).then_some(kind),
        }
    });
    let handles: Vec<_> = (0..count)
        .map(|n| {
            let crew = stage.roll(|dice| match (narrow, crowded) {
                (_, true) => LIBRARY,
                (true, _) if dice.one_in(2) => GIVES_BACK,
                _ => dice.index(crews.len()),
            });
            Handle::new(n, &stage, &net, &crews[crew], alike)
        })
        .collect();
    let handles = Arc::new(handles);
    let mut threads = Vec::new();
    for crew in &crews {
        let is_used = handles.iter().any(|it| Arc::ptr_eq(&it.crew, crew));
        for _ in 0..if is_used { crew.threads() } else { 0 } {
            let crew = Arc::clone(crew);
            threads.push(stage.act(move || crew.serve()));
        }
    }
    let most = if crowded { 10 } else { 4 };
    let callers = 3 + stage.roll(|dice| dice.index(most));
    let left = Arc::new(AtomicUsize::new(callers));
    for _ in 0..callers {
        let (world, handles, left) = (world.clone(), Arc::clone(&handles), Arc::clone(&left));
        threads.push(stage.act(move || {
            call(&world, &handles);
            left.fetch_sub(1, SeqCst);
        }));
    }
    let torment = (world.clone(), Arc::clone(&handles), crews);
    threads.push(stage.act(move || {
        let (world, handles, crews) = torment;
        disturb(&world, &handles, &left);
        recover(&world, &handles);
        drop(handles);
        crews.iter().for_each(|crew| crew.end());
    }));
    stage.open();
    for thread in threads {
        if thread.join().is_err() {
            stage.fail("a thread panicked");
        }
    }
    stage.close();
    bounded(&stage, &net);
    drop((world, handles));
    let held = Arc::strong_count(&net);
    stage.check(held == 1, || {
        format!("{held} hold the transport after the last handle")
    });
    drop(net);
    stage.suspend(LINGER);
    sources::build_each();
    let held = Arc::strong_count(&stage);
    stage.check(held == 1, || {
        format!("{held} hold the clock when all that lingers is gone")
    });
    stage.turns()
}

/// What one caller does.
fn call(world: &World, handles: &[Handle]) {
    let stage = &world.stage;
    let calls = 8 + stage.roll(|dice| dice.roll(20));
    let mut last = vec![None; handles.len()];
    for _ in 0..calls {
        let (which, what, pause) = stage.roll(|dice| {
            let pause = match dice.roll(12) {
                0 => dice.millis(0, 400_000),
                1..=3 => dice.millis(0, 20_000),
                _ => dice.millis(0, 1500),
            };
            (dice.index(handles.len()), dice.roll(17), pause)
        });
        let handle = &handles[which];
        match what {
            0..=7 => world.headers(handle, &mut last[which]),
            8 | 14 | 15 => world.refresh(handle),
            9 => {
                if let Some(headers) = &last[which] {
                    world.invalidate(handle, headers);
                }
            }
            10 => world.project_id(handle),
            11 => world.sign(handle),
            12 => world.verify(handle),
            16 => world.ask_once(handle),
            _ => drop(handle.clone()),
        }
        stage.sleep(pause);
    }
}

/// Breaks and mends servers, suspends the machine and sets its clock, until the
/// callers are done.
fn disturb(world: &World, handles: &[Handle], left: &AtomicUsize) {
    let stage = &world.stage;
    while left.load(SeqCst) > 0 {
        stage.check(stage.running() < LONGEST_DAY, || {
            "a call never ends".to_owned()
        });
        let pause = stage.roll(|dice| match dice.roll(4) {
            0 => dice.millis(0, 120_000),
            _ => dice.millis(0, 15_000),
        });
        stage.sleep(pause);
        let (server, what) = stage.roll(|dice| {
            let used = &handles[dice.index(handles.len())].servers;
            let servers = if dice.one_in(2) { used } else { &SERVERS[..] };
            (servers[dice.index(servers.len())], dice.roll(17))
        });
        let health = match what {
            0..=4 => Health::Well,
            5 => Health::Status(503),
            6 => Health::Status([403, 404, 429, 500][stage.roll(|dice| dice.index(4))]),
            7 => Health::Hangs,
            8 => Health::Refuses,
            9 => Health::Garbage,
            10 => {
                let time = stage.roll(|dice| dice.millis(100, 4_000_000));
                stage.suspend(time);
                continue;
            }
            11 => {
                let time = stage.roll(|dice| dice.millis(0, 16_000_000));
                stage.set_clock(time);
                continue;
            }
            12 => {
                stage.set_clock(RIGHT);
                continue;
            }
            13 | 14 => {
                world.net.change_lifetime(server);
                continue;
            }
            15 => {
                world.net.change_account(server);
                continue;
            }
            _ => {
                world.net.revoke(server);
                continue;
            }
        };
        world.net.set_health(server, health);
    }
}

/// All is well for some minutes: everybody has a fresh token.
fn recover(world: &World, handles: &[Handle]) {
    let stage = &world.stage;
    world.net.heal();
    stage.set_clock(RIGHT);
    // A narrower token lives no longer than its source, which is renewed first.
    let (narrower, others): (Vec<_>, Vec<_>) =
        handles.iter().partition(|it| it.kind == Kind::Downscoped);
    for pause in [70, 75] {
        stage.sleep(Duration::from_secs(pause));
        ask(world, handles);
    }
    stage.sleep(Duration::from_secs(20));
    all_are_fresh(world, others);
    ask(world, narrower.iter().copied());
    stage.sleep(Duration::from_secs(20));
    all_are_fresh(world, narrower);
}

/// Each caller with time enough gets a token.
fn ask<'a>(world: &World, handles: impl IntoIterator<Item = &'a Handle>) {
    for handle in handles {
        let headers = handle.blocking_headers();
        let served = headers.is_ok() || !handle.is_patient;
        let what = || format!("no token when all is well: {headers:?}");
        world.stage.check(served, what);
    }
}

fn all_are_fresh(world: &World, handles: Vec<&Handle>) {
    for handle in handles {
        let able = handle.is_reliable() && handle.is_patient;
        let token = handle.cached();
        let truth = token.and_then(|token| world.net.truth(&token));
        let fresh = truth.is_some_and(|truth| truth.expires > world.stage.boot() + RENEWED);
        world.stage.check(!able || fresh, || {
            format!("class {} has no fresh token when all is well", handle.class)
        });
    }
}

/// Requests stay below the bounds, also in an outage.
fn bounded(stage: &Stage, net: &Net) {
    let asked = net.asked();
    for (n, first) in asked.iter().enumerate() {
        if net.is_forced(&first.path, first.class) || !is_slot(&first.path) {
            continue;
        }
        let end = first.at + Duration::from_secs(10);
        let same =
            |it: &&servers::Asked| it.at < end && it.path == first.path && it.class == first.class;
        let count = asked[n..].iter().filter(same).count();
        // A refresh that a suspend has made old is replaced, and goes on.
        let since = first.at.saturating_sub(servers::longest(&first.path));
        let around = asked.iter().filter(|it| it.at >= since && it.at < end);
        let cut = around
            .map(|it| it.upheavals)
            .any(|it| it != first.upheavals);
        let most = MOST_IN_TEN_SECONDS * if cut { 2 } else { 1 };
        stage.check(count <= most, || {
            format!(
                "{count} requests in 10 s for {} by class {}",
                first.path, first.class
            )
        });
    }
}
