//! Counts allocations:
//!
//! - `hot`: of one call of each reader, in their order, a line each;
//! - `apply`: of putting headers into a map with room, by each call that does;
//! - `id-tokens LIBRARY COUNT`: the bytes that each audience takes.

use std::{alloc::System, any::Any, env};

use gce_auth::Credentials;
use gce_auth_peers::{
    audiences,
    contestant::{Contestant, Failure},
    field::{Event, readers},
    sections::{alone, look, ready, runtime},
    server::Server,
};
use http::HeaderMap;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 1000;

struct Counted {
    server: Server,
    runtime: tokio::runtime::Runtime,
}

impl Event for Counted {
    type Output = f64;

    fn enter<C: Contestant>(&mut self) -> Result<f64, Failure> {
        let contestant = ready::<C>(&self.server, &self.runtime)?;
        let _within = self.runtime.enter();
        alone(async {
            let region = Region::new(ALLOCATOR);
            for _ in 0..CALLS {
                contestant.with(look).await?;
            }
            Ok(region.change().allocations as f64 / f64::from(CALLS))
        })
    }
}

fn hot() -> Result<(), Failure> {
    let mut counted = Counted {
        server: Server::find()?,
        runtime: runtime()?,
    };
    for entry in readers(&mut counted) {
        // Who does not take part has no number.
        println!("{}", entry.result.unwrap_or(f64::NAN));
    }
    Ok(())
}

fn apply() -> Result<(), Failure> {
    let server = Server::find()?.address.to_string();
    let credentials = Credentials::builder().endpoint(server).build()?;
    let mut map = HeaderMap::with_capacity(4);
    let mut count = |put: &dyn Fn(&mut HeaderMap) -> Result<(), Failure>| {
        (0..3).try_for_each(|_| put(&mut map))?;
        let region = Region::new(ALLOCATOR);
        for _ in 0..CALLS {
            map.clear();
            put(&mut map)?;
        }
        let allocations = region.change().allocations as f64 / f64::from(CALLS);
        println!("{allocations}");
        Ok::<_, Failure>(())
    };
    count(&|map| {
        credentials.blocking_headers()?.apply_to(map);
        Ok(())
    })?;
    count(&|map| Ok(credentials.apply(map)?))
}

fn id_tokens(library: &str, count: usize) -> Result<(), Failure> {
    let server = Server::find()?;
    let runtime = runtime()?;
    // What there is once is there before.
    let (region, held): (_, Box<dyn Any>) = match library {
        "gce-auth" => {
            audiences::gce_auth(server.address, 1)?;
            let region = Region::new(ALLOCATOR);
            (
                region,
                Box::new(audiences::gce_auth(server.address, count)?),
            )
        }
        #[cfg(feature = "peers")]
        "google-cloud-auth" => {
            runtime.block_on(audiences::google_cloud_auth(1))?;
            let region = Region::new(ALLOCATOR);
            let all = runtime.block_on(audiences::google_cloud_auth(count))?;
            (region, Box::new(all))
        }
        _ => return Err("whose?".into()),
    };
    let change = region.change();
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    println!("{}", bytes / count as f64);
    drop((held, runtime));
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["hot"] => hot(),
        ["apply"] => apply(),
        ["id-tokens", library, count] => id_tokens(library, count.parse()?),
        _ => Err("what to count?".into()),
    }
}
