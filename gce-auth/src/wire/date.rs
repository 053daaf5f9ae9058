//! Dates as HTTP writes them (RFC 9110, 5.6.7), as Unix times.

use std::time::Duration;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads one of the three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, and the
/// obsolete `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
/// The name of the day is not looked at. What was before 1970 is 1970.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (day, month, year, clock) = if let Some((_, date)) = text.split_once(',') {
        let date = date.trim().strip_suffix("GMT")?.trim();
        let (date, clock) = date.rsplit_once(' ')?;
        let parts: Vec<&str> = date
            .split([' ', '-'])
            .filter(|part| !part.is_empty())
            .collect();
        let [day, month, year] = parts[..] else {
            return None;
        };
        (day, month, year, clock)
    } else {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [_, month, day, clock, year] = parts[..] else {
            return None;
        };
        (day, month, year, clock)
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let day = number(day, 1..=31)?;
    let year = match (year.len(), number(year, 0..=9999)?) {
        // Two digits are of the last century from 70 on.
        (2, year @ 70..) => 1900 + year,
        (2, year) => 2000 + year,
        (4, year) => year,
        _ => return None,
    };
    let clock: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = clock[..] else {
        return None;
    };
    let (hour, minute) = (number(hour, 0..=23)?, number(minute, 0..=59)?);
    let second = number(second, 0..=60)?;
    let days = days_since_1970(year, month as i64 + 1, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Reads `2026-11-28T16:00:00Z` (RFC 3339, in UTC), with or without a fraction,
/// which is dropped, and with or without the `Z`.
#[cfg(feature = "iam")]
pub(crate) fn utc(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let text = match text.split_once('.') {
        Some((text, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => text,
        Some(_) => return None,
        None => text,
    };
    let (date, clock) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let mut clock = clock.splitn(3, ':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    let parts = [month, day, hour, minute, second];
    if year.len() != 4 || parts.into_iter().any(|part| part.len() != 2) {
        return None;
    }
    let days = days_since_1970(
        number(year, 0..=9999)?,
        number(month, 1..=12)?,
        number(day, 1..=31)?,
    );
    let seconds = days * 86_400
        + number(hour, 0..=23)? * 3600
        + number(minute, 0..=59)? * 60
        + number(second, 0..=60)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Writes a Unix time as `20261128T160000Z` (ISO 8601, basic format), as signed
/// URLs and AWS want it.
#[cfg(feature = "iam")]
pub(crate) fn basic_utc(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // From days to a date, in years that begin in March (the inverse of
    // `days_since_1970`).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        clock / 3600,
        clock % 3600 / 60,
        clock % 60
    )
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| range.contains(number))
}

/// Days in the calendar that is in use, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before = (153 * month + 2) / 5;
    year * 365 + leap_days + before + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        read(text).map(|time| time.as_secs())
    }

    #[test]
    fn the_three_forms_of_one_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(seconds(text), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn moments_around_the_turns_of_the_calendar() {
        for (text, time) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Wed, 31 Dec 1969 23:59:59 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Thursday, 01-Jan-69 00:00:00 GMT", 3_124_224_000),
        ] {
            assert_eq!(seconds(text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            ",",
            "GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 19940 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[cfg(feature = "iam")]
    #[test]
    fn what_is_no_moment_of_rfc_3339() {
        assert_eq!(
            utc("1994-11-06T08:49:37.25Z"),
            Some(Duration::from_secs(784_111_777))
        );
        for text in [
            "1994-11-06T08:49:37.2x",
            "1994-11-06T08:49:37.",
            "994-11-06T08:49:37Z",
            "1994-1-06T08:49:37Z",
            "1994-11-06T08:49:7Z",
            "1994-11-06 08:49:37Z",
        ] {
            let dropped = text
                .ends_with('.')
                .then(|| Duration::from_secs(784_111_777));
            assert_eq!(utc(text), dropped, "{text}");
        }
    }

    #[cfg(feature = "iam")]
    #[test]
    fn basic_moments_around_the_turns_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_868_799, "20000229T235959Z"),
            (951_868_800, "20000301T000000Z"),
            (978_220_800, "20001231T000000Z"),
            (1_767_225_600, "20260101T000000Z"),
            (4_107_456_000, "21000228T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
            (13_574_563_200, "24000229T000000Z"),
        ] {
            assert_eq!(basic_utc(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[cfg(feature = "iam")]
        #[test]
        fn a_basic_moment_is_read_back(seconds in 0u64..40_000_000_000) {
            let text = basic_utc(Duration::from_secs(seconds));
            let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
            let days = days_since_1970(part(0, 4), part(4, 6), part(6, 8));
            let clock = part(9, 11) * 3600 + part(11, 13) * 60 + part(13, 15);
            prop_assert_eq!(days * 86_400 + clock, i64::try_from(seconds).unwrap());
            prop_assert!((1..=12).contains(&part(4, 6)) && (1..=31).contains(&part(6, 8)));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}", digits in "[A-Za-z0-9,: -]{0,40}") {
            let _ = (read(&text), read(&digits));
        }

        #[test]
        fn days_follow_each_other(days in 0i64..200_000) {
            // Each day of the calendar, walked to from the first.
            let mut year = 1970;
            let mut left = days;
            let length = |year: i64| {
                if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 }
            };
            while left >= length(year) {
                left -= length(year);
                year += 1;
            }
            prop_assert_eq!(days_since_1970(year, 1, 1) + left, days);
        }
    }
}
