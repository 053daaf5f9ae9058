//! Drivers for the judges.

fn main() {}
