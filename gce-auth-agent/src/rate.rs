//! How many requests a caller may make: a bucket of tokens for each caller of a rule.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{caller::Caller, clock::Started, policy::Rate};

/// So many callers are kept; beyond, those that asked for nothing for a minute are forgotten, and
/// if there are none, new ones wait.
const CALLERS: usize = 10_000;

/// Whose bucket it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Container(String),
    User(u32),
    Address(IpAddr),
    Unknown,
}

impl Key {
    fn of(caller: &Caller) -> Self {
        // One that its user named would be another with each request.
        let first = caller.processes.first().filter(|it| !it.named_by_user);
        if let Some(container) = first.and_then(|process| process.container.as_ref()) {
            return Self::Container(container.clone());
        }
        match (caller.uid, caller.address) {
            (Some(uid), _) => Self::User(uid),
            (None, Some(address)) => Self::Address(address),
            (None, None) => Self::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What was left then.
    left: f64,
    at: Started,
}

/// The buckets of all rules.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<(usize, Key), Bucket>>);

impl Limiter {
    /// Takes one request out of the caller's bucket.
    ///
    /// # Errors
    ///
    /// The whole seconds until the next request is allowed, at least 1.
    pub(crate) fn take(&self, rule: usize, rate: Rate, caller: &Caller) -> Result<(), u64> {
        self.take_at(rule, rate, Key::of(caller), Started::now())
    }

    fn take_at(&self, rule: usize, rate: Rate, key: Key, now: Started) -> Result<(), u64> {
        let burst = f64::from(rate.burst);
        let each_second = burst / rate.per.as_secs_f64();
        let filled = |bucket: &Bucket| {
            (bucket.left + now.since(bucket.at).as_secs_f64() * each_second).min(burst)
        };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CALLERS && !buckets.contains_key(&(rule, key.clone())) {
            buckets.retain(|_, bucket| now.since(bucket.at) < Duration::from_secs(60));
            if buckets.len() >= CALLERS {
                return Err(1);
            }
        }
        let bucket = buckets.entry((rule, key)).or_insert(Bucket {
            left: burst,
            at: now,
        });
        let left = filled(bucket);
        *bucket = Bucket { left, at: now };
        if left < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - left) / each_second);
            return Err(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        }
        bucket.left = left - 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Fact, Process};

    #[test]
    fn a_burst_is_let_through_and_then_as_many_as_the_rate_says() {
        let limiter = Limiter::default();
        let rate = Rate {
            burst: 3,
            per: Duration::from_secs(1),
        };
        let start = Started::now();
        let take = |key: u32, after: u64| {
            let now = start.plus(Duration::from_millis(after));
            limiter.take_at(0, rate, Key::User(key), now)
        };
        assert_eq!([take(1, 0), take(1, 0), take(1, 0)], [Ok(()); 3]);
        assert_eq!((take(1, 0), take(2, 0)), (Err(1), Ok(())));
        assert_eq!(
            (take(1, 300), take(1, 340), take(1, 350)),
            (Err(1), Ok(()), Err(1))
        );
        assert_eq!((0..5).filter(|_| take(1, 60_000).is_ok()).count(), 3);
    }

    #[test]
    fn the_time_to_wait_is_that_of_one_request() {
        let limiter = Limiter::default();
        let rate = Rate {
            burst: 2,
            per: Duration::from_secs(60),
        };
        let now = Started::now();
        let take = || limiter.take_at(0, rate, Key::Unknown, now);
        assert_eq!([take(), take(), take()], [Ok(()), Ok(()), Err(30)]);
        let later = now.plus(Duration::from_secs(12));
        assert_eq!(limiter.take_at(0, rate, Key::Unknown, later), Err(18));
    }

    #[test]
    fn callers_that_are_long_gone_are_forgotten() {
        let limiter = Limiter::default();
        let rate = Rate {
            burst: 1,
            per: Duration::from_secs(1),
        };
        let start = Started::now();
        for uid in 0..10_000 {
            limiter.take_at(0, rate, Key::User(uid), start).unwrap();
        }
        // While all of them are recent, one that is known has its own bucket and a new one waits.
        let recent = start.plus(Duration::from_millis(59_999));
        limiter.take_at(0, rate, Key::User(0), recent).unwrap();
        let new = limiter.take_at(0, rate, Key::User(10_000), recent);
        assert_eq!(new, Err(1));
        let later = start.plus(Duration::from_secs(60));
        limiter.take_at(0, rate, Key::User(10_000), later).unwrap();
        assert_eq!(limiter.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_slow_rate_holds_for_longer_than_callers_are_kept_when_there_are_many() {
        let limiter = Limiter::default();
        let rate = Rate {
            burst: 1,
            per: Duration::from_secs(3600),
        };
        let start = Started::now();
        let take = |uid: u32, after: u64| {
            let now = start.plus(Duration::from_secs(after));
            limiter.take_at(0, rate, Key::User(uid), now)
        };
        assert_eq!((take(1, 0), take(2, 61)), (Ok(()), Ok(())));
        assert_eq!(take(1, 62), Err(3538));
    }

    #[test]
    fn callers_share_a_bucket_by_the_surest_thing_known_of_them() {
        let rate = Rate {
            burst: 1,
            per: Duration::from_secs(3600),
        };
        let caller = |uid: Option<u32>, address: Option<[u8; 4]>| Caller {
            uid,
            address: address.map(IpAddr::from),
            ..Caller::default()
        };
        let within = |container: &str, named_by_user: bool| {
            let process = Process {
                pid: 1,
                gid: Fact::Unreadable,
                exe: Fact::Unreadable,
                cgroups: Fact::Unreadable,
                container: Some(container.to_owned()),
                pod: None,
                named_by_user,
                descends: false,
            };
            Caller {
                processes: vec![process],
                ..caller(Some(1), Some([10, 0, 0, 1]))
            }
        };
        for (first, second, shared) in [
            (within("a", false), within("a", false), true),
            (within("a", false), within("b", false), false),
            (within("a", false), caller(Some(1), None), false),
            // A name that the user chose is no way to another bucket.
            (within("a", true), within("b", true), true),
            (within("a", true), caller(Some(1), None), true),
            (
                caller(Some(1), Some([10, 0, 0, 1])),
                caller(Some(1), Some([10, 0, 0, 2])),
                true,
            ),
            (caller(Some(1), None), caller(Some(2), None), false),
            (
                caller(None, Some([10, 0, 0, 1])),
                caller(None, Some([10, 0, 0, 2])),
                false,
            ),
            (caller(None, None), caller(None, None), true),
        ] {
            let limiter = Limiter::default();
            limiter.take(0, rate, &first).unwrap();
            let taken = limiter.take(0, rate, &second);
            assert_eq!(taken.is_err(), shared, "{first:?} {second:?}");
            assert_eq!(limiter.take(1, rate, &second), Ok(()), "of another rule");
        }
    }
}
