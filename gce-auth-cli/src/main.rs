//! The command `gce-auth`.

fn main() {}
