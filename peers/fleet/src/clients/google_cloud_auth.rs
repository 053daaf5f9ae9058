//! google-cloud-auth 1.19.0: `token_cache.rs`, `refresh_task`. A task that
//! asks whether or not anybody calls; one attempt (`retry.rs`, `resolve`).

use crate::{
    chance::Chance,
    clients::Client,
    world::{Instance, LIFETIME, SECOND, Time},
};

const NORMAL_REFRESH_SLACK: Time = 240 * SECOND;
const SHORT_REFRESH_SLACK: Time = 10 * SECOND;

#[derive(Debug)]
pub struct GoogleCloudAuth;

impl Client for GoogleCloudAuth {
    fn period(&self) -> Time {
        LIFETIME - NORMAL_REFRESH_SLACK
    }

    fn live(&self, start: Time, end: Time, instance: &mut Instance<'_>, _: &mut impl Chance) {
        let mut now = start;
        let mut expires = start;
        while now < end {
            if let Some(seconds) = instance.token(now).seconds() {
                let left = seconds * SECOND;
                expires = now + left;
                now += if left > NORMAL_REFRESH_SLACK {
                    left - NORMAL_REFRESH_SLACK
                } else {
                    SHORT_REFRESH_SLACK
                };
            } else {
                now += SHORT_REFRESH_SLACK;
                if expires <= now {
                    instance.call_failed();
                }
            }
        }
    }
}
