//! What all targets share: a bound on memory.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What reading `n` bytes may allocate, everything counted that was ever
/// allocated: `EACH * n + ONCE`.
///
/// The worst that is known are small objects in a list, `{"":0}`: a node of a
/// map takes some 90 bytes for each byte that it was written with.
const EACH: usize = 256;
const ONCE: usize = 64 * 1024;

/// Reads `bytes`, and panics where that takes more memory than it may.
pub fn bounded(bytes: &[u8], read: impl FnOnce(&[u8])) {
    let region = Region::new(ALLOCATOR);
    read(bytes);
    let allocated = region.change().bytes_allocated;
    let bound = bytes.len() * EACH + ONCE;
    assert!(allocated <= bound, "{allocated} bytes for {}", bytes.len());
}
