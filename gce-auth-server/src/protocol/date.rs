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
        loop {
            let length = if is_leap(year) { 366 } else { 365 };
            if left < length {
                break;
            }
            left -= length;
            year += 1;
        }
        let mut month = 1;
        for length in lengths(year) {
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

    /// Reads a time as RFC 3339 has it: `2019-11-22T20:28:02Z`, with a fraction or an offset if
    /// wanted. Returns the milliseconds since 1970, or `None` if it is none.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<i64> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let (time, offset) = match time.strip_suffix(['Z', 'z']) {
            Some(time) => (time, 0),
            None => {
                let sign = time.rfind(['+', '-'])?;
                let (time, offset) = time.split_at_checked(sign)?;
                let (hours, minutes) = offset.get(1..)?.split_once(':')?;
                let minutes = number(hours, 2, 0..=23)? * 60 + number(minutes, 2, 0..=59)?;
                let minutes = if offset.starts_with('-') {
                    -minutes
                } else {
                    minutes
                };
                (time, minutes * 60)
            }
        };
        let mut date = date.split('-');
        let year = number(date.next()?, 4, 1..=9999)?;
        let month = number(date.next()?, 2, 1..=12)?;
        let day = number(date.next()?, 2, 1..=31)?;
        let (time, millis) = match time.split_once('.') {
            None => (time, 0),
            Some((time, fraction)) => (time, millis(fraction)?),
        };
        let mut time = time.split(':');
        let hour = number(time.next()?, 2, 0..=23)?;
        let minute = number(time.next()?, 2, 0..=59)?;
        // 60 is a leap second.
        let second = number(time.next()?, 2, 0..=60)?;
        if date.next().is_some() || time.next().is_some() {
            return None;
        }
        let days = days_before(year, month)? + day - 1;
        let midnight = Self::from_seconds(days * 86_400);
        // The 30th of February is in March.
        if i64::from(midnight.month) != month {
            return None;
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Some(seconds * 1000 + millis)
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

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// The lengths of the months before December.
fn lengths(year: i64) -> [i64; 11] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30]
}

/// Digits of a number, exactly so many.
fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| text.parse().ok()).flatten()?;
    range.contains(&number).then_some(number)
}

/// The milliseconds in the decimal fraction of a second.
fn millis(fraction: &str) -> Option<i64> {
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let first: String = fraction.chars().chain("000".chars()).take(3).collect();
    digits.then(|| first.parse().ok()).flatten()
}

/// The days from 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> Option<i64> {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let months = usize::try_from(month - 1).ok()?;
    Some(years + lengths(year).iter().take(months).sum::<i64>())
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

    #[test]
    fn times_are_read_as_rfc_3339_writes_them() {
        let read = Date::parse_rfc3339;
        assert_eq!(read("2019-11-22T20:28:02Z"), Some(1_574_454_482_000));
        assert_eq!(
            read("2019-11-22T21:58:02.25+01:30"),
            Some(1_574_454_482_250)
        );
        assert_eq!(read("2024-02-29 23:59:59.9999z"), Some(1_709_251_199_999));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some(-500));
        assert_eq!(read("0001-01-01T00:00:00Z"), Some(-62_135_596_800_000));
        for none in [
            "",
            "T",
            "2019-11-22",
            "2019-11-22T20:28:02",
            "2019-02-30T00:00:00Z",
            "2019-11-22T20:28Z",
            "2019-11-22T24:00:00Z",
            "2019-11-22T20:28:02.Z",
            "2019-11-22T20:28:02+1:00",
            "+019-11-22T20:28:02Z",
            "2019-11-22T20:28:02\u{e9}",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
