//! The clocks. The only file that reads them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gce_auth::time::{Clock as _, Now, SystemClock};

/// Returns the time, by the wall clock and by the boot clock, at most some milliseconds late.
pub(crate) fn now() -> Now {
    SystemClock::new().now()
}

/// A moment to measure from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started(Instant);

impl Started {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that all others ask"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    #[cfg(test)]
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0 + time)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

/// The value of a `Date` header, written once a second.
#[derive(Debug, Default)]
pub(crate) struct HttpDate(Mutex<(u64, Bytes)>);

impl HttpDate {
    pub(crate) fn get(&self) -> Bytes {
        let second = now().wall.as_secs();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second || last.1.is_empty() {
            *last = (second, http_date(second).into());
        }
        last.1.clone()
    }
}

/// A moment since 1970 as RFC 9110, section 5.6.7, has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(second: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Civil {
        year,
        month,
        day,
        clock: (hour, minute, second_of_minute),
    } = Civil::of(second);
    let weekday = DAYS[usize::try_from(second / 86_400 % 7).unwrap_or_default()];
    let month = MONTHS[month - 1];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second_of_minute:02} GMT")
}

/// A moment since 1970 as RFC 3339 has it, to the millisecond: `1994-11-06T08:49:37.000Z`.
pub(crate) fn rfc3339(wall: Duration) -> String {
    let Civil {
        year,
        month,
        day,
        clock: (hour, minute, second),
    } = Civil::of(wall.as_secs());
    let millis = wall.subsec_millis();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A moment in the calendar, in UTC.
struct Civil {
    year: u64,
    /// From 1.
    month: usize,
    day: u64,
    clock: (u64, u64, u64),
}

impl Civil {
    fn of(second: u64) -> Self {
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut days = second / 86_400;
        // Whole cycles of 400 years first.
        let mut year = 1970 + days / 146_097 * 400;
        days %= 146_097;
        loop {
            let length = if leap(year) { 366 } else { 365 };
            if days < length {
                break;
            }
            days -= length;
            year += 1;
        }
        let february = if leap(year) { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        Self {
            year,
            month: month + 1,
            day: days + 1,
            clock: (second / 3600 % 24, second / 60 % 60, second % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (second, date, stamp) in [
            (
                0,
                "Thu, 01 Jan 1970 00:00:00 GMT",
                "1970-01-01T00:00:00.000Z",
            ),
            (
                784_111_777,
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "1994-11-06T08:49:37.000Z",
            ),
            (
                951_782_400,
                "Tue, 29 Feb 2000 00:00:00 GMT",
                "2000-02-29T00:00:00.000Z",
            ),
            (
                1_798_761_599,
                "Thu, 31 Dec 2026 23:59:59 GMT",
                "2026-12-31T23:59:59.000Z",
            ),
            (
                4_107_542_400,
                "Mon, 01 Mar 2100 00:00:00 GMT",
                "2100-03-01T00:00:00.000Z",
            ),
            (
                13_574_563_200,
                "Tue, 29 Feb 2400 00:00:00 GMT",
                "2400-02-29T00:00:00.000Z",
            ),
        ] {
            assert_eq!(http_date(second), date);
            assert_eq!(rfc3339(Duration::from_secs(second)), stamp);
        }
        assert_eq!(
            rfc3339(Duration::from_millis(1_007)),
            "1970-01-01T00:00:01.007Z"
        );
    }
}
