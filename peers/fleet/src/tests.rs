//! The model does what the library does: a real `Credentials` goes through the
//! same day, and asks at the same times.

use std::ops::Range;

use crate::{
    ROUNDING, replay,
    world::{HOUR, MINUTE, SECOND, Time},
};

/// How many requests the day took.
fn same(seed: u64, cache_margin: Time, outage: Range<Time>) -> usize {
    let replay = replay::day(seed, cache_margin, outage.clone()).expect("a day is played");
    let difference = replay.difference();
    assert!(
        difference.as_ref().is_ok_and(|it| *it <= ROUNDING),
        "seed {seed}, outage {outage:?}: {difference:?}"
    );
    replay.library.len()
}

#[test]
fn the_model_asks_when_the_library_asks_on_a_day_without_trouble() {
    for seed in 0..4 {
        let requests = same(seed, 300 * SECOND, 0..0);
        // One each 3375 to 3435 s, and the first.
        assert!((26..=27).contains(&requests), "{requests}");
    }
}

#[test]
fn the_model_asks_when_the_library_asks_through_an_outage_of_an_hour() {
    for seed in 0..4 {
        let requests = same(seed, 300 * SECOND, 6 * HOUR..7 * HOUR);
        assert!(requests > 300, "{requests}");
    }
}

#[test]
fn the_model_asks_when_the_library_asks_through_short_outages_at_any_moment() {
    let quiet = same(1, 300 * SECOND, 0..0);
    let mut hit = 0;
    for start in 0..20 {
        let begin = 6 * HOUR + start * 3 * MINUTE;
        hit += usize::from(same(1, 300 * SECOND, begin..begin + 4 * MINUTE) > quiet + 4);
    }
    // A renewal falls into such an outage at one moment in some fifteen.
    assert!((1..=3).contains(&hit), "{hit}");
}

#[test]
fn the_model_asks_when_the_library_asks_of_a_server_that_renews_late() {
    // Such a server hands out the same token, dying, and is asked gently.
    let requests = same(1, 120 * SECOND, 0..0);
    assert!(requests > 100, "{requests}");
}
