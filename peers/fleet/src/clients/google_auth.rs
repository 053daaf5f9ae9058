//! google-auth 2.63.0, as it is without further settings: blocking. A call
//! that finds the token within `REFRESH_THRESHOLD` of its end (`_helpers.py`)
//! asks for account and token (`compute_engine/credentials.py`), five times
//! (`compute_engine/_metadata.py`, `get`; `_exponential_backoff.py`), and
//! raises if that fails.

use crate::{
    chance::Chance,
    clients::{Client, call_at, spread},
    world::{Instance, LIFETIME, SECOND, Time},
};

const REFRESH_THRESHOLD: Time = 225 * SECOND;
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Time = SECOND;
const RANDOMIZATION: f64 = 0.1;

#[derive(Debug)]
pub struct GoogleAuth;

impl Client for GoogleAuth {
    fn period(&self) -> Time {
        LIFETIME - REFRESH_THRESHOLD
    }

    fn live(&self, start: Time, end: Time, instance: &mut Instance<'_>, chance: &mut impl Chance) {
        let mut now = start;
        while now < end {
            instance.account(now);
            let mut wait = FIRST_WAIT;
            let mut got = instance.token(now).seconds();
            for _ in 1..ATTEMPTS {
                if got.is_some() {
                    break;
                }
                now += spread(wait, RANDOMIZATION, chance);
                wait *= 2;
                got = instance.token(now).seconds();
            }
            now = match got {
                Some(seconds) => {
                    let stale = now + seconds * SECOND - REFRESH_THRESHOLD;
                    call_at(start, stale.max(now + 1))
                }
                None => {
                    instance.call_failed();
                    call_at(start, now + 1)
                }
            };
        }
    }
}
