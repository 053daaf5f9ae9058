//! What the page says, in numbers.

use crate::{
    clients::{Client, google_auth::GoogleAuth, google_cloud_auth::GoogleCloudAuth, ours::Ours},
    day::{Day, LATE_CACHE_MARGIN, OUTAGE, between, mean, peak},
    world::{Counts, DAY, HOUR, MINUTE, SECOND, Server, Time},
};

/// The days of one library.
#[derive(Debug)]
pub struct Days {
    pub name: &'static str,
    pub steady: Counts,
    /// The same, with metadata servers that renew later.
    pub late_cache: Counts,
    pub restart: Counts,
    pub outage: Counts,
}

/// What one jitter does.
#[derive(Debug)]
pub struct Row {
    pub jitter: Time,
    /// The worst second of the first renewals after a restart of all.
    pub wave: u32,
    /// The worst second of the last two hours of that day.
    pub late: u32,
    /// For each of [`OUTAGES`], the share of instances that it costs a call.
    pub hurt: Vec<f64>,
}

/// Everything.
#[derive(Debug)]
pub struct Figures {
    pub instances: u64,
    pub seed: u64,
    pub days: Vec<Days>,
    pub rows: Vec<Row>,
    /// Requests per second in an outage, where each operation begins anew.
    pub anew: f64,
}

/// The jitters to choose from.
pub const JITTERS: [Time; 9] = [0, 10, 20, 30, 45, 60, 90, 120, 180];
/// Outages that a stale token may bridge.
pub const OUTAGES: [Time; 5] = [
    2 * MINUTE,
    150 * SECOND,
    3 * MINUTE,
    200 * SECOND,
    4 * MINUTE,
];
/// How long the long outage is.
pub const LONG: Time = HOUR;
/// When IAM is back.
pub const BACK: Time = OUTAGE + LONG;

pub fn play(instances: u64, seed: u64) -> Figures {
    let anew = Ours {
        waits_go_on: false,
        ..Ours::default()
    };
    // A tenth of the instances is enough for a mean, and it asks often.
    let few = instances.div_ceil(10);
    let outage = Day::outage(&anew, few, seed, LONG).play(&anew);
    Figures {
        instances,
        seed,
        days: vec![
            days("gce-auth", &Ours::default(), instances, seed),
            days("google-auth (Python)", &GoogleAuth, instances, seed),
            days(
                "google-cloud-auth (Rust)",
                &GoogleCloudAuth,
                instances,
                seed,
            ),
        ],
        rows: JITTERS
            .into_iter()
            .map(|jitter| row(jitter * SECOND, instances, seed))
            .collect(),
        anew: in_outage(&outage.iam) * instances as f64 / few as f64,
    }
}

fn days(name: &'static str, client: &impl Client, instances: u64, seed: u64) -> Days {
    Days {
        name,
        steady: Day::steady(client, instances, seed).play(client),
        late_cache: Day {
            server: Server::new(LATE_CACHE_MARGIN, 0..0),
            ..Day::steady(client, instances, seed)
        }
        .play(client),
        restart: Day::restart(client, instances, seed).play(client),
        outage: Day::outage(client, instances, seed, LONG).play(client),
    }
}

fn row(jitter: Time, instances: u64, seed: u64) -> Row {
    let client = Ours {
        jitter,
        ..Ours::default()
    };
    let restart = Day::restart(&client, instances, seed).play(&client);
    let hurt = |length| {
        let day = Day::outage(&client, instances, seed, length).play(&client);
        f64::from(day.hurt) / instances as f64
    };
    Row {
        jitter,
        wave: wave_after(&restart.iam, 0),
        late: late(&restart.iam),
        hurt: OUTAGES.into_iter().map(hurt).collect(),
    }
}

/// The mean of the last ten minutes of the long outage: by then hardly anybody has a
/// token left.
pub fn in_outage(seconds: &[u32]) -> f64 {
    mean(between(seconds, BACK - 10 * MINUTE, BACK))
}

/// The worst second after so many got a token at `time`: one life later.
pub fn wave_after(seconds: &[u32], time: Time) -> u32 {
    peak(between(seconds, time + 30 * MINUTE, time + 90 * MINUTE))
}

/// The worst second of the last two hours.
pub fn late(seconds: &[u32]) -> u32 {
    peak(between(seconds, DAY - 2 * HOUR, DAY))
}

/// How many seconds after the outage 99 % of those that lost their token had
/// one again.
pub fn recovery(day: &Counts) -> usize {
    let after = between(&day.recovered, BACK, DAY);
    let all: u64 = after.iter().map(|second| u64::from(*second)).sum();
    let mut so_far = 0;
    after
        .iter()
        .position(|second| {
            so_far += u64::from(*second);
            so_far * 100 >= all * 99
        })
        .map_or(0, |second| second + 1)
}
