use std::time::Duration;

use proptest::prelude::*;

use super::{RetryPolicy, after::retry_after, server::Server};

const PLENTY: Duration = Duration::from_secs(1000);
/// Wed, 21 Oct 2015 07:28:00 GMT.
const MORNING: Option<Duration> = Some(Duration::from_secs(1_445_412_480));

fn nominal(policy: &RetryPolicy, n: u32) -> Vec<u64> {
    (1..=n)
        .filter_map(|failed| policy.next_wait(failed, 0, None, PLENTY, 0.5))
        .map(|wait| u64::try_from(wait.as_millis()).unwrap())
        .collect()
}

#[test]
fn waits_double_up_to_the_cap() {
    assert_eq!(
        nominal(&RetryPolicy::new(), 8),
        [100, 200, 400, 800, 1600, 3000, 3000, 3000]
    );
}

#[test]
fn waits_without_a_cap_are_no_panic() {
    let policy = RetryPolicy::new()
        .longest_wait(Duration::MAX)
        .attempts(u32::MAX);
    for (failed, waited) in [(70, 0), (1000, 0), (u32::MAX - 1, u32::MAX)] {
        for sample in [0.0, 0.5, 1.0] {
            let wait = policy.next_wait(failed, waited, None, PLENTY, sample);
            assert_eq!(wait, None, "{failed} {waited}");
        }
    }
    let policy = RetryPolicy::new()
        .first_wait(Duration::MAX)
        .longest_wait(Duration::MAX);
    assert_eq!(policy.next_wait(1, 0, None, PLENTY, 1.0), None);
}

#[test]
fn jitter_spreads_waits_evenly_around_the_nominal_one() {
    let waits = |policy: RetryPolicy| {
        [0.0, 0.5, 1.0].map(|sample| policy.next_wait(1, 0, None, PLENTY, sample).unwrap())
    };
    let millis = |waits: [u64; 3]| waits.map(Duration::from_millis);
    assert_eq!(waits(RetryPolicy::new()), millis([80, 100, 120]));
    assert_eq!(
        waits(RetryPolicy::new().jitter(0.5)),
        millis([50, 100, 150])
    );
    assert_eq!(waits(RetryPolicy::new().jitter(9.0)), millis([0, 100, 200]));
    for none in [0.0, -1.0, f64::NAN] {
        assert_eq!(waits(RetryPolicy::new().jitter(none)), millis([100; 3]));
    }
}

#[test]
fn no_wait_leaves_nothing_for_the_attempt_after_it() {
    let wait = Duration::from_millis(100);
    let policy = RetryPolicy::new();
    assert_eq!(policy.next_wait(1, 0, None, wait, 0.5), None);
    let more = wait + Duration::from_nanos(1);
    assert_eq!(policy.next_wait(1, 0, None, more, 0.5), Some(wait));
}

#[test]
fn google_auth_waits_1_2_4_8_and_gives_up() {
    assert_eq!(
        nominal(&RetryPolicy::google_auth().at(Server::Metadata), 9),
        [1000, 2000, 4000, 8000]
    );
}

#[test]
fn retry_after_is_honoured_only_inside_the_budget() {
    let policy = RetryPolicy::new();
    let second = Some(Duration::from_secs(1));
    assert_eq!(policy.next_wait(1, 0, second, PLENTY, 0.5), second);
    assert_eq!(
        policy.next_wait(1, 0, second, Duration::from_millis(900), 0.5),
        None
    );
    assert_eq!(retry_after(" 3 ", MORNING), Some(Duration::from_secs(3)));
    assert_eq!(retry_after("1.5", MORNING), None);
    assert_eq!(retry_after("soon", MORNING), None);
    assert_eq!(retry_after("-1", MORNING), None);
    assert_eq!(retry_after("+1", MORNING), None);
    assert_eq!(retry_after("", MORNING), None);
    let ages = retry_after("99999999999999999999", MORNING);
    assert!(ages > Some(Duration::from_secs(1_000_000)));
    assert_eq!(policy.next_wait(1, 0, ages, PLENTY, 0.5), None);
}

#[test]
fn a_date_to_wait_for_is_a_time_to_wait() {
    for (date, seconds) in [
        ("Wed, 21 Oct 2015 07:28:02 GMT", 2),
        ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
        ("Wed Oct 21 08:28:00 2015", 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        // Over.
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ] {
        let wait = Some(Duration::from_secs(seconds));
        assert_eq!(retry_after(date, MORNING), wait, "{date}");
        assert_eq!(retry_after(date, None), None);
    }
}

#[test]
fn an_operation_goes_on_with_the_waits_of_one_that_failed() {
    let wait = |policy: &RetryPolicy, waited| policy.next_wait(1, waited, None, PLENTY, 0.5);
    let millis = |millis| Some(Duration::from_millis(millis));
    let policy = RetryPolicy::new();
    assert_eq!(wait(&policy, 0), millis(100));
    assert_eq!(wait(&policy, 2), millis(400));
    assert_eq!(wait(&policy, 7), millis(3000));
    assert_eq!(wait(&policy, u32::MAX), millis(3000));
    // What google-auth does is one call at a time.
    assert_eq!(wait(&RetryPolicy::google_auth(), 7), millis(1000));
    // Waits are no attempts.
    assert_eq!(wait(&RetryPolicy::new().attempts(2), 7), millis(3000));
}

proptest! {
    #[test]
    fn no_wait_reaches_beyond_the_budget_and_jitter_stays_in_range(
        failed in 1u32..10_000,
        waited in 0u32..10_000,
        attempts in 1u32..50,
        first in 0u64..20_000,
        longest in 0u64..20_000,
        factor in -1.0f64..1e6,
        jitter in -1.0f64..3.0,
        remaining in 0u64..60_000,
        after in proptest::option::of(0u64..60_000),
        sample in -1.0f64..2.0,
    ) {
        let policy = RetryPolicy::new()
            .attempts(attempts)
            .first_wait(Duration::from_millis(first))
            .longest_wait(Duration::from_millis(longest))
            .factor(factor)
            .jitter(jitter);
        let remaining = Duration::from_millis(remaining);
        let after = after.map(Duration::from_millis);
        let wait = policy.next_wait(failed, waited, after, remaining, sample);
        if let Some(wait) = wait {
            prop_assert!(failed < attempts);
            prop_assert!(wait < remaining);
            prop_assert!(after.is_none_or(|after| wait >= after));
            let nominal = policy.nominal_wait(failed + waited);
            let most = nominal.mul_f64(1.0 + jitter.clamp(0.0, 1.0)) + Duration::from_micros(1);
            prop_assert!(wait <= most.max(after.unwrap_or_default()));
        }
    }

    #[test]
    fn nominal_waits_never_shrink(first in 0u64..5_000, factor in 0.0f64..10.0) {
        let policy = RetryPolicy::new().first_wait(Duration::from_millis(first)).factor(factor);
        for failed in 1..20 {
            prop_assert!(policy.nominal_wait(failed) <= policy.nominal_wait(failed + 1));
        }
    }
}
