//! Durations on the command line.

use std::time::Duration;

/// Reads a number of seconds above zero, like `3` or `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || "give seconds, like 3 or 0.5: above zero, and at most a week".to_owned();
    let seconds: f64 = text.parse().map_err(|_| refused())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(7 * 86_400) {
        return Err(refused());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_above_zero_and_at_most_a_week() {
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(seconds("604800"), Ok(Duration::from_secs(604_800)));
        for text in [
            "", "0", "-1", "soon", "inf", "NaN", "1e300", "0.0001", "604801",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
