//! gce-auth: `engine/freshness.rs`, `engine/keeper.rs` and `wire/retry.rs`,
//! written again for a program of which nothing but the times matter. That it
//! does not drift from the library is seen by `replay.rs`.

use crate::{
    chance::Chance,
    clients::{Client, call_at, spread},
    world::{Answer, Instance, LIFETIME, SECOND, Time},
};

/// The numbers of the library.
#[derive(Clone, Debug)]
pub struct Ours {
    pub stale_margin: Time,
    pub jitter: Time,
    pub skew: Time,
    pub gentle: Time,
    pub quiet: Time,
    pub first_backoff: Time,
    pub most_backoff: Time,
    pub first_wait: Time,
    pub longest_wait: Time,
    pub wait_jitter: f64,
    pub budget: Time,
    /// Whether an operation goes on with the waits of one that failed.
    pub waits_go_on: bool,
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            stale_margin: 225 * SECOND,
            jitter: 60 * SECOND,
            skew: 5 * SECOND,
            gentle: 10 * SECOND,
            quiet: SECOND,
            first_backoff: 5 * SECOND,
            most_backoff: 60 * SECOND,
            first_wait: SECOND / 10,
            longest_wait: 3 * SECOND,
            wait_jitter: 0.2,
            budget: 10 * SECOND,
            waits_go_on: true,
        }
    }
}

/// A token in hand.
struct Held {
    stale: Time,
    invalid: Time,
}

impl Ours {
    /// The attempts of one operation: when it ended, and with what.
    fn operation(
        &self,
        begun: Time,
        waits: &mut u32,
        instance: &mut Instance<'_>,
        chance: &mut impl Chance,
    ) -> (Time, Answer) {
        let mut now = begun;
        if !self.waits_go_on {
            *waits = 0;
        }
        loop {
            let answer = instance.token(now);
            if answer != Answer::Unavailable {
                *waits = 0;
                return (now, answer);
            }
            let wait = (self.first_wait << (*waits).min(16)).min(self.longest_wait);
            let pause = spread(wait, self.wait_jitter, chance);
            if pause >= begun + self.budget - now {
                return (now, answer);
            }
            now += pause;
            *waits += 1;
        }
    }

    fn held(&self, now: Time, seconds: Time, sample: f64) -> Held {
        let life = seconds * SECOND;
        let skew = self.skew.min(life / 8);
        let jitter = (self.jitter as f64 * sample) as Time;
        let margin = (self.stale_margin - jitter).max(skew);
        Held {
            stale: now + life - margin,
            invalid: now + life - skew,
        }
    }

    fn backoff(&self, failures: u32) -> Time {
        let doublings = failures.saturating_sub(1).min(16);
        (self.first_backoff << doublings).min(self.most_backoff)
    }
}

impl Client for Ours {
    fn period(&self) -> Time {
        LIFETIME - self.stale_margin + self.jitter / 2
    }

    fn live(&self, start: Time, end: Time, instance: &mut Instance<'_>, chance: &mut impl Chance) {
        let mut held: Option<Held> = None;
        let mut failures = 0;
        let mut waits = 0;
        let mut now = start;
        while now < end {
            let (ended, answer) = self.operation(now, &mut waits, instance, chance);
            let sample = chance.sample();
            let next = if let Some(seconds) = answer.seconds() {
                let token = self.held(ended, seconds, sample);
                failures = 0;
                let same = matches!(answer, Answer::Kept(_));
                let gentle = if same || token.stale <= ended {
                    ended + self.gentle
                } else {
                    ended
                };
                let next = token.stale.max(gentle).min(token.invalid);
                held = Some(token);
                next
            } else {
                failures += 1;
                let again = ended + self.backoff(failures);
                let quiet = ended + self.quiet;
                match &held {
                    Some(token) if ended < token.invalid => again.min(token.invalid).max(quiet),
                    _ => {
                        instance.call_failed();
                        quiet
                    }
                }
            };
            now = call_at(start, next);
        }
    }
}
