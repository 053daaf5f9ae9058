//! A day of many instances, each on its own: nothing but IAM is shared, and IAM
//! answers as fast as it is asked.

use std::{ops::Range, thread};

use crate::{
    chance::{Chance, Seeded},
    clients::Client,
    world::{Counts, DAY, HOUR, Instance, SECOND, Server, Time},
};

/// What happens on the day.
#[derive(Clone, Debug)]
pub struct Day {
    pub instances: u64,
    pub seed: u64,
    /// Instances begin at any moment of this, with nothing in hand.
    pub begin: Range<Time>,
    /// What each of them asks.
    pub server: Server,
}

/// A metadata server renews its token this long before the end (Google: "View
/// and query VM metadata").
pub const CACHE_MARGIN: Time = 300 * SECOND;
/// The same on serverless platforms (google-auth, `_helpers.py`).
pub const LATE_CACHE_MARGIN: Time = 240 * SECOND;

/// When the outage begins: a quarter of the day is over.
pub const OUTAGE: Time = 6 * HOUR;

impl Day {
    /// Nothing happens; the instances began at any time of one life of a token
    /// before.
    pub fn steady(client: &impl Client, instances: u64, seed: u64) -> Self {
        Self {
            instances,
            seed,
            begin: -client.period()..0,
            server: Server::new(CACHE_MARGIN, 0..0),
        }
    }

    /// All instances begin in the first second.
    pub fn restart(client: &impl Client, instances: u64, seed: u64) -> Self {
        Self {
            begin: 0..SECOND,
            ..Self::steady(client, instances, seed)
        }
    }

    /// IAM is away for so long.
    pub fn outage(client: &impl Client, instances: u64, seed: u64, length: Time) -> Self {
        Self {
            server: Server::new(CACHE_MARGIN, OUTAGE..OUTAGE + length),
            ..Self::steady(client, instances, seed)
        }
    }

    pub fn play(&self, client: &impl Client) -> Counts {
        let hands = thread::available_parallelism().map_or(1, usize::from) as u64;
        let mut day = Counts::new();
        thread::scope(|scope| {
            let parts: Vec<_> = (0..hands)
                .map(|hand| {
                    let share = self.instances * hand / hands..self.instances * (hand + 1) / hands;
                    scope.spawn(move || self.part(client, share))
                })
                .collect();
            for part in parts {
                match part.join() {
                    Ok(counts) => day.add(&counts),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        day
    }

    fn part(&self, client: &impl Client, share: Range<u64>) -> Counts {
        let mut counts = Counts::new();
        for number in share {
            let mut chance = Seeded::new(self.seed, number);
            let within = (self.begin.end - self.begin.start) as f64;
            let start = self.begin.start + (within * chance.sample()) as Time;
            let mut instance = Instance::new(self.server.clone(), &mut counts);
            client.live(start, DAY, &mut instance, &mut chance);
        }
        counts
    }
}

/// The mean of a second.
pub fn mean(seconds: &[u32]) -> f64 {
    let all: u64 = seconds.iter().map(|second| u64::from(*second)).sum();
    all as f64 / seconds.len() as f64
}

/// The worst second.
pub fn peak(seconds: &[u32]) -> u32 {
    seconds.iter().copied().max().unwrap_or(0)
}

/// Part of a day.
pub fn between(seconds: &[u32], from: Time, to: Time) -> &[u32] {
    &seconds[(from / SECOND) as usize..(to / SECOND) as usize]
}
