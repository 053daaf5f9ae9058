//! Random numbers for jitter; nothing secret is made of them.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1, different in every process and at every call.
pub(crate) fn sample() -> f64 {
    // Each RandomState has keys of its own, seeded by the operating system.
    let bits = RandomState::new().hash_one(0u8) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn samples_spread_over_the_unit() {
        let samples: Vec<f64> = (0..1000).map(|_| super::sample()).collect();
        assert!(samples.iter().all(|sample| (0.0..=1.0).contains(sample)));
        assert!(samples.iter().any(|sample| *sample < 0.1));
        assert!(samples.iter().any(|sample| *sample > 0.9));
    }
}
