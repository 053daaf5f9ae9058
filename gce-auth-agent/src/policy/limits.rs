//! Limits as people write them.

use std::time::Duration;

/// How many requests a caller may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in each `per`, and at once.
    pub burst: u32,
    /// A second or a minute.
    pub per: Duration,
}

impl Rate {
    /// Reads `50/s` or `100/m`.
    ///
    /// # Errors
    ///
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "write a number from 1 and /s or /m, such as \"50/s\"";
        let (burst, unit) = text.split_once('/').ok_or(wrong)?;
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            _ => return Err(wrong),
        };
        match number(burst) {
            Some(burst) if burst > 0 => Ok(Self { burst, per }),
            _ => Err(wrong),
        }
    }
}

/// The longest lifetime of an impersonated account's token (IAM, `generateAccessToken`).
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Reads the lifetime of tokens: `900s`, `15m` or `1h`.
///
/// # Errors
///
/// What is allowed.
pub fn parse_lifetime(text: &str) -> Result<Duration, &'static str> {
    let wrong = "write a number from 1 and s, m or h, up to 12h, such as \"15m\"";
    let unit = text.chars().next_back().ok_or(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong),
    };
    let lifetime = text
        .strip_suffix(unit)
        .and_then(number)
        .and_then(|count| count.checked_mul(seconds))
        .map(|seconds| Duration::from_secs(seconds.into()))
        .ok_or(wrong)?;
    if lifetime.is_zero() || lifetime > LONGEST {
        return Err(wrong);
    }
    Ok(lifetime)
}

/// A number of digits alone.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_lifetimes_are_a_number_and_a_unit() {
        let rate = |burst, per| Rate {
            burst,
            per: Duration::from_secs(per),
        };
        assert_eq!(Rate::parse("50/s"), Ok(rate(50, 1)));
        assert_eq!(Rate::parse("100/m"), Ok(rate(100, 60)));
        for text in [
            "",
            "fast",
            "-1/s",
            "0/s",
            "+1/s",
            "1.5/s",
            "1/h",
            "5",
            "5/",
            "5/s ",
            "99999999999/s",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
        let lifetime = |text| parse_lifetime(text).map(|it| it.as_secs());
        assert_eq!(lifetime("900s"), Ok(900));
        assert_eq!(lifetime("15m"), Ok(900));
        assert_eq!(lifetime("12h"), Ok(43_200));
        for text in [
            "",
            "soon",
            "15",
            "0m",
            "-1m",
            "1.5h",
            "13h",
            "m",
            "15 m",
            "1\u{fc}",
            "99999999h",
        ] {
            assert!(parse_lifetime(text).is_err(), "{text}");
        }
    }
}
