//! The library itself, through the same days: a real `Credentials` with a clock
//! turned by hand, asked once a second, beside its model.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gce_auth::{
    Credentials, Error, MetadataClient,
    testing::{HandClock, HandQueue},
    time::Clock,
    transport::{Limits, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};

use crate::{
    chance::{Chance, Seeded},
    clients::{Client, ours::Ours},
    world::{Answer, Counts, DAY, Instance, SECOND, Server, Time},
};

/// A prime number of them, so that they do not always fall in the same places.
const SAMPLES: usize = 97;

/// When the metadata server was asked, in the library's world and in the model's.
#[derive(Debug)]
pub struct Replay {
    pub library: Vec<Time>,
    pub model: Vec<Time>,
}

impl Replay {
    /// The largest difference, or what differs more than in time.
    ///
    /// # Errors
    /// The numbers of requests differ.
    pub fn difference(&self) -> Result<Time, String> {
        let pairs = self.library.iter().zip(&self.model);
        let apart = pairs.clone().position(|(a, b)| (a - b).abs() >= SECOND);
        if let Some(at) = apart.filter(|_| self.library.len() != self.model.len()) {
            return Err(format!(
                "request {at}: the library asks at {} µs, the model at {} µs",
                self.library[at], self.model[at]
            ));
        }
        if self.library.len() != self.model.len() {
            let (library, model) = (self.library.len(), self.model.len());
            return Err(format!(
                "{library} requests of the library, {model} of the model"
            ));
        }
        Ok(pairs.map(|(a, b)| (a - b).abs()).max().unwrap_or(0))
    }
}

/// A day of one instance that begins at 0, twice.
///
/// # Errors
/// The library could not be set up.
pub fn day(seed: u64, cache_margin: Time, outage: Range<Time>) -> Result<Replay, Error> {
    let mut chance = Seeded::new(seed, 0);
    let samples: Vec<f64> = (0..SAMPLES).map(|_| chance.sample()).collect();
    let server = Server::new(cache_margin, outage);

    let mut counts = Counts::new();
    counts.times = Some(Vec::new());
    let mut instance = Instance::new(server.clone(), &mut counts);
    let mut cycle = Cycle {
        samples: &samples,
        next: 0,
    };
    Ours::default().live(0, DAY, &mut instance, &mut cycle);

    Ok(Replay {
        library: library(&samples, server)?,
        model: within_the_day(counts.times.unwrap_or_default()),
    })
}

/// The last operation may go on into the night.
fn within_the_day(times: Vec<Time>) -> Vec<Time> {
    times.into_iter().filter(|time| *time < DAY).collect()
}

struct Cycle<'a> {
    samples: &'a [f64],
    next: usize,
}

impl Chance for Cycle<'_> {
    fn sample(&mut self) -> f64 {
        let sample = self.samples[self.next % self.samples.len()];
        self.next += 1;
        sample
    }
}

fn library(samples: &[f64], server: Server) -> Result<Vec<Time>, Error> {
    let clock = Arc::new(HandClock::at(1_800_000_000).jitters(samples.iter().copied()));
    let queue = Arc::new(HandQueue::new());
    let wire = Arc::new(Wire {
        began: clock.now().boot,
        clock: clock.clone(),
        state: Mutex::new((server, Vec::new())),
    });
    let client = MetadataClient::builder()
        .endpoint("metadata.test")
        .transport(wire.clone())
        .clock(clock.clone())
        .executor(queue.clone())
        .build()?;
    let credentials = Credentials::builder()
        .client(client)
        .shared(false)
        .build()?;
    let mut call = 0;
    while call < DAY {
        // An error is an answer like any other here: the next call comes.
        let _ = credentials.blocking_headers();
        queue.run_all();
        let now = wire.now();
        call = (call + SECOND).max((now + SECOND - 1).div_euclid(SECOND) * SECOND);
        clock.advance(Duration::from_micros((call - now).unsigned_abs()));
    }
    let state = wire.state.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(within_the_day(state.1.clone()))
}

/// The metadata server of the model, as a transport of the library.
#[derive(Debug)]
struct Wire {
    began: Duration,
    clock: Arc<HandClock>,
    state: Mutex<(Server, Vec<Time>)>,
}

impl Wire {
    fn now(&self) -> Time {
        let since = self.clock.now().boot.saturating_sub(self.began);
        Time::try_from(since.as_micros()).unwrap_or(Time::MAX)
    }
}

impl Transport for Wire {
    fn send(&self, _: Request<Vec<u8>>, _: &Limits) -> Result<Response<Vec<u8>>, TransportError> {
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.push(now);
        let (status, body) = match state.0.token(now) {
            Answer::Kept(seconds) | Answer::Made(seconds) => (
                200,
                format!(
                    r#"{{"access_token":"ya29.{}","expires_in":{seconds},"token_type":"Bearer"}}"#,
                    now + seconds * SECOND
                ),
            ),
            Answer::Unavailable => (503, String::new()),
        };
        Response::builder()
            .status(status)
            .header("Metadata-Flavor", "Google")
            .body(body.into_bytes())
            .map_err(|error| {
                TransportError::new(TransportErrorKind::Protocol, "no response").with_source(error)
            })
    }
}
