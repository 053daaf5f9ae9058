//! Medians, and how far the rounds lie apart.

use std::fmt;

/// What several rounds gave, sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of these rounds, of which there has to be one at least.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        assert!(!rounds.is_empty(), "nothing was measured");
        Self(rounds)
    }

    /// The value below which this share of the rounds lies.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[((last as f64 * share).round() as usize).min(last)]
    }

    /// The round in the middle.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// The median, and between which values half of the rounds lie.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| short(self.at(share)));
        write!(f, "{middle} ({low}–{high})")
    }
}

/// Three digits are enough, and the thousands stand apart.
pub fn short(value: f64) -> String {
    let digits = match value {
        value if value < 9.95 => 2,
        value if value < 99.5 => 1,
        _ => 0,
    };
    if value < 1000.0 {
        let text = format!("{value:.digits$}");
        return match text.strip_suffix(".00").or_else(|| text.strip_suffix(".0")) {
            Some(whole) => whole.to_owned(),
            None => text,
        };
    }
    let whole = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_quarters() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread.median(), 3.0);
        assert_eq!(spread.to_string(), "3 (2–4)");
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.234, 12.34, 123.4, 1234.0, 1_234_567.0].map(short);
        assert_eq!(texts, ["0", "1.23", "12.3", "123", "1,234", "1,234,567"]);
    }
}
