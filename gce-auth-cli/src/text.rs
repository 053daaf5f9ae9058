//! Formats times, durations and secrets. Pure.

use std::time::{Duration, SystemTime};

/// Formats a time in UTC, to the second: `2026-01-31T23:59:59Z` (RFC 3339).
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = civil(since / 86_400);
    let (hour, minute, second) = (since / 3600 % 24, since / 60 % 60, since % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns year, month and day, `days` after 1970-01-01. Counts in 400-year eras that begin in
/// March, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day - first + 1)
}

/// Reads the time of an HTTP header: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110).
pub(crate) fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_once(", ")?.1.split([' ', ':']);
    let mut number = || words.next()?.parse::<u64>().ok();
    let day = number()?;
    let month = MONTHS.find(words.next()?)? as u64 / 3 + 1;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (year, hour, minute, second) = (number()?, number()?, number()?, number()?);
    // The last second may be a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = (0..)
        .take(200 * 366)
        .find(|days| civil(*days) == (year, month, day))?;
    let since = days * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

/// Formats a duration in its two largest units: `59 min 58 s`, `1.5 ms`.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_millis(10) => {
            format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
        }
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Redacts a secret: shows its first characters and its length.
pub(crate) fn redacted(secret: &str) -> String {
    let shown = match secret.len() {
        0..24 => "",
        _ => secret.get(..5).unwrap_or(""),
    };
    format!("{shown}… ({} characters)", secret.chars().count())
}

/// Quotes text as one word of a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes text as one value of a curl configuration.
pub(crate) fn curl_word(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> String {
        rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn times_are_of_the_calendar() {
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(at(1_234_567_890), "2009-02-13T23:31:30Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn dates_of_headers_are_read() {
        let read = |text| http_date(text).map(rfc3339);
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT").as_deref(),
            Some("1994-11-06T08:49:37Z")
        );
        for text in [
            "",
            "Sun, 06 Nov 1994",
            "Sun, 31 Feb 2000 00:00:00 GMT",
            "now",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 18446744073709551615:49:37 GMT",
            "Sun, 06 Nov 1994 08:18446744073709551615:37 GMT",
            "Sun, 06 Nov 1994 08:49:18446744073709551615 GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in [
            (0, "0.0 ms"),
            (1, "1.0 ms"),
            (250, "250 ms"),
            (1500, "1.5 s"),
            (12_000, "12 s"),
            (3_598_900, "59 min 58 s"),
            (3_660_000, "1 h 1 min"),
        ] {
            assert_eq!(lasting(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn of_a_secret_only_its_beginning_is_shown() {
        assert_eq!(redacted("short"), "… (5 characters)");
        assert_eq!(
            redacted("ya29.0123456789012345678901234"),
            "ya29.… (30 characters)"
        );
    }

    #[test]
    fn curl_reads_one_value() {
        assert_eq!(curl_word("a: b"), r#""a: b""#);
        assert_eq!(curl_word(r#"a: "b\c""#), r#""a: \"b\\c\"""#);
    }

    #[test]
    fn shells_read_one_word() {
        assert_eq!(shell_word("127.0.0.1:80"), "127.0.0.1:80");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }
}
