//! Dates of the Gregorian calendar in UTC, as HTTP and Google's APIs write them.

/// A second of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The second of the day.
    second: i64,
    /// The day of the week, from Thursday: 1970 began with one.
    weekday: usize,
}

impl Date {
    /// Returns the date of a second since 1970, which may be before.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Whole cycles of 400 years first.
        let mut year = 1970 + days.div_euclid(146_097) * 400;
        let mut left = days.rem_euclid(146_097);
        let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        loop {
            let length = if leap(year) { 366 } else { 365 };
            if left < length {
                break;
            }
            left -= length;
            year += 1;
        }
        let february = if leap(year) { 29 } else { 28 };
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if left < length {
                break;
            }
            left -= length;
            month += 1;
        }
        Self {
            year,
            month,
            day: u8::try_from(left + 1).unwrap_or(1),
            second,
            weekday: usize::try_from(days.rem_euclid(7)).unwrap_or_default(),
        }
    }

    /// Returns it as RFC 9110, section 5.6.7, has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn http(&self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let Self { year, day, .. } = self;
        let (hour, minute, second) = self.clock();
        let (weekday, month) = (DAYS[self.weekday], MONTHS[usize::from(self.month) - 1]);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// Returns it as RFC 3339 has it, without the `Z` at its end: `1994-11-06T08:49:37`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let Self {
            year, month, day, ..
        } = self;
        let (hour, minute, second) = self.clock();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    fn clock(&self) -> (i64, i64, i64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (second, http, stamp) in [
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00"),
            (
                784_111_777,
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "1994-11-06T08:49:37",
            ),
            (
                951_782_400,
                "Tue, 29 Feb 2000 00:00:00 GMT",
                "2000-02-29T00:00:00",
            ),
            (
                1_574_454_482,
                "Fri, 22 Nov 2019 20:28:02 GMT",
                "2019-11-22T20:28:02",
            ),
            (
                1_735_689_599,
                "Tue, 31 Dec 2024 23:59:59 GMT",
                "2024-12-31T23:59:59",
            ),
            (
                4_107_542_400,
                "Mon, 01 Mar 2100 00:00:00 GMT",
                "2100-03-01T00:00:00",
            ),
            (
                13_574_563_200,
                "Tue, 29 Feb 2400 00:00:00 GMT",
                "2400-02-29T00:00:00",
            ),
        ] {
            let date = Date::from_seconds(second);
            assert_eq!((&*date.http(), &*date.rfc3339()), (http, stamp));
        }
    }
}
