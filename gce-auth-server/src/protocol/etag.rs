//! ETags: what tells one state of a place from another.

use std::fmt;

/// 16 hex digits, as the metadata server writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etag(pub u64);

impl Etag {
    /// Returns whether a client means this one; some fill theirs up to 16 digits.
    pub fn is(self, text: &str) -> bool {
        let own = self.to_string();
        own.trim_start_matches('0') == text.trim_start_matches('0')
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_in_front_do_not_count() {
        let etag = Etag(0x0630_ddb9_980e_a9e3);
        assert_eq!(etag.to_string(), "0630ddb9980ea9e3");
        assert!(etag.is("630ddb9980ea9e3") && etag.is("0630ddb9980ea9e3"));
        assert!(!etag.is("0") && !etag.is("NONE") && !etag.is("30ddb9980ea9e3"));
    }
}
