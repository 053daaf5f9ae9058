//! Headers put on a request that has room for them.

use std::{hint::black_box, time::Instant};

use gce_auth::Credentials;
use http::HeaderMap;

use crate::{
    contestant::{Failure, Library},
    report::{Report, Row},
    sections::hot::allocations,
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 60;
const CALLS: u32 = 20_000;

type Put = fn(&Credentials, &mut HeaderMap) -> Result<(), Failure>;

/// In the order in which the program `allocations` counts them.
const WAYS: [(&str, Put); 2] = [
    (
        "`blocking_headers()?.apply_to(&mut map)`",
        |credentials, map| {
            credentials.blocking_headers()?.apply_to(map);
            Ok(())
        },
    ),
    ("`apply(&mut map)?`", |credentials, map| {
        Ok(credentials.apply(map)?)
    }),
];

/// The section.
///
/// # Errors
/// If there is no token.
pub fn run(server: &Server) -> Result<Report, Failure> {
    let credentials = Credentials::builder()
        .endpoint(server.address.to_string())
        .build()?;
    let mut map = HeaderMap::with_capacity(4);
    let mut times = WAYS.map(|_| Vec::new());
    for round in 0..=ROUNDS {
        for ((_, put), times) in WAYS.iter().zip(&mut times) {
            let begun = Instant::now();
            for _ in 0..CALLS {
                map.clear();
                put(&credentials, black_box(&mut map))?;
            }
            if round > 0 {
                times.push(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
            }
        }
    }
    let counted = allocations(&["apply"])?;
    if counted.len() != WAYS.len() {
        return Err("no count of allocations".into());
    }
    let most = counted.iter().copied().fold(0.0, f64::max);
    let rows = WAYS.iter().zip(times).zip(&counted);
    let rows = rows.map(|(((call, _), times), count)| {
        vec![
            (*call).to_owned(),
            Spread::of(times).to_string(),
            short(*count),
        ]
    });
    let mut report = Report::default();
    report.table(&["gce-auth", "ns", "allocations"], rows);
    report.row(
        Row::new("put on a request", "0 allocations where the map has room")
            .cell(Library::GceAuth, format!("{} alloc.", short(most)))
            .met(most == 0.0),
    );
    Ok(report)
}
