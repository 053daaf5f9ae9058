//! Whatever the machine does: a header of a good token allocates nothing. The
//! only test of its process, as all threads are counted.

use std::alloc::System;

use gce_auth_peers::{
    contestant::{Contestant, Failure, Library},
    field::{Event, readers},
    sections::{alone, look, ready, runtime},
    server::Server,
    stub,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Counted {
    server: Server,
    runtime: tokio::runtime::Runtime,
}

impl Event for Counted {
    type Output = usize;

    fn enter<C: Contestant>(&mut self) -> Result<usize, Failure> {
        let contestant = ready::<C>(&self.server, &self.runtime)?;
        alone(contestant.with(look))?;
        let region = Region::new(ALLOCATOR);
        alone(contestant.with(look))?;
        Ok(region.change().allocations)
    }
}

#[test]
fn a_header_allocates_nothing() {
    let address = stub::start().unwrap();
    let mut counted = Counted {
        server: Server { address },
        runtime: runtime().unwrap(),
    };
    let entries = readers(&mut counted);
    let ours = entries
        .iter()
        .filter(|entry| entry.library == Library::GceAuth);
    let ours: Vec<_> = ours
        .map(|entry| (entry.call, entry.result.as_ref()))
        .collect();
    assert_eq!(ours.len(), 4);
    for (call, allocations) in ours {
        assert_eq!(allocations, Ok(&0), "{call}");
    }
}
