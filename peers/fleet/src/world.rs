//! What stands between a program and IAM: the metadata server of its instance,
//! which keeps a token and renews it late.

use std::ops::Range;

/// Microseconds; 0 is when the day begins.
pub type Time = i64;

pub const SECOND: Time = 1_000_000;
pub const MINUTE: Time = 60 * SECOND;
pub const HOUR: Time = 60 * MINUTE;
pub const DAY: Time = 24 * HOUR;

/// How long a token of IAM lives.
pub const LIFETIME: Time = HOUR;

/// What was asked in each second of the day, by all instances together.
#[derive(Debug)]
pub struct Counts {
    /// Requests to metadata servers.
    pub metadata: Vec<u32>,
    /// Requests to IAM.
    pub iam: Vec<u32>,
    /// Instances that lost their token in the outage and got one again here.
    pub recovered: Vec<u32>,
    /// Instances of which a call failed.
    pub hurt: u32,
    /// When metadata servers were asked for a token, if that is recorded.
    pub times: Option<Vec<Time>>,
}

impl Counts {
    pub fn new() -> Self {
        let seconds = (DAY / SECOND) as usize;
        Self {
            metadata: vec![0; seconds],
            iam: vec![0; seconds],
            recovered: vec![0; seconds],
            hurt: 0,
            times: None,
        }
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.metadata, &other.metadata),
            (&mut self.iam, &other.iam),
            (&mut self.recovered, &other.recovered),
        ];
        for (mine, others) in pairs {
            for (mine, other) in mine.iter_mut().zip(others) {
                *mine += other;
            }
        }
        self.hurt += other.hurt;
    }
}

fn count(seconds: &mut [u32], time: Time) {
    if let Ok(second) = usize::try_from(time.div_euclid(SECOND))
        && let Some(second) = seconds.get_mut(second)
    {
        *second += 1;
    }
}

/// A metadata server, and IAM behind it.
#[derive(Clone, Debug)]
pub struct Server {
    /// It hands out the token it has until this long before its end.
    pub cache_margin: Time,
    /// When IAM does not answer.
    pub outage: Range<Time>,
    held_until: Time,
}

/// What a metadata server has to say; lifetimes in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The token it has.
    Kept(Time),
    /// A new one, from IAM.
    Made(Time),
    /// A 503: IAM did not answer.
    Unavailable,
}

impl Answer {
    /// How long the token lives, in whole seconds, if there is one.
    pub fn seconds(self) -> Option<Time> {
        match self {
            Self::Kept(seconds) | Self::Made(seconds) => Some(seconds),
            Self::Unavailable => None,
        }
    }
}

impl Server {
    pub fn new(cache_margin: Time, outage: Range<Time>) -> Self {
        Self {
            cache_margin,
            outage,
            held_until: Time::MIN / 2,
        }
    }

    pub fn token(&mut self, now: Time) -> Answer {
        let left = self.held_until - now;
        if left > self.cache_margin {
            return Answer::Kept(left / SECOND);
        }
        if self.outage.contains(&now) {
            return Answer::Unavailable;
        }
        self.held_until = now + LIFETIME;
        Answer::Made(LIFETIME / SECOND)
    }
}

/// One instance: a program and its metadata server.
#[derive(Debug)]
pub struct Instance<'a> {
    server: Server,
    failed: bool,
    waiting: bool,
    counts: &'a mut Counts,
}

impl<'a> Instance<'a> {
    pub fn new(server: Server, counts: &'a mut Counts) -> Self {
        Self {
            server,
            failed: false,
            waiting: false,
            counts,
        }
    }

    /// A request for a token.
    pub fn token(&mut self, now: Time) -> Answer {
        count(&mut self.counts.metadata, now);
        if let Some(times) = &mut self.counts.times {
            times.push(now);
        }
        let answer = self.server.token(now);
        if !matches!(answer, Answer::Kept(_)) {
            count(&mut self.counts.iam, now);
        }
        if answer != Answer::Unavailable && std::mem::take(&mut self.waiting) {
            count(&mut self.counts.recovered, now);
        }
        answer
    }

    /// A request that the metadata server answers by itself.
    pub fn account(&mut self, now: Time) {
        count(&mut self.counts.metadata, now);
    }

    /// A call of the program got an error instead of a token.
    pub fn call_failed(&mut self) {
        self.waiting = true;
        if !std::mem::replace(&mut self.failed, true) {
            self.counts.hurt += 1;
        }
    }
}
