//! Ten thousand tasks want a token at the same moment: of new credentials, of
//! credentials whose token has just expired, and of those whose token is about
//! to.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::watch, time::sleep};

use crate::{
    contestant::{Contestant, Failure, Library},
    field::{Event, waiters},
    report::{Report, Row},
    sections::{check, crowd, runtime},
    server::Server,
    spread::{Spread, short},
};

/// So many.
pub const CALLERS: usize = 10_000;
const ROUNDS: usize = 5;
/// The server takes so long, where callers have to wait for it.
const ANSWER: Duration = Duration::from_millis(1);
/// And so long where no caller has to, so that it shows if one does.
const SLOW: Duration = Duration::from_millis(50);
/// A token with so many seconds to live, of which [`AGE`] have passed, is one
/// that everybody wants to renew.
const STALE: u64 = 30;
const AGE: Duration = Duration::from_secs(11);
/// One with two seconds to live has none left after this.
const EXPIRED: Duration = Duration::from_millis(2100);

/// What there is when they come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    Cold,
    Expiry,
    Stale,
}

/// What it was for all of them.
#[derive(Clone, Debug)]
pub struct Seen {
    /// From the moment that they come to that at which each goes on; sorted.
    pub served: Vec<Duration>,
    /// The same, from when each was given the processor and asked; sorted.
    pub waited: Vec<Duration>,
    /// How many got no token.
    pub errors: usize,
    /// How often the server was asked for one.
    pub requests: u64,
}

type Round<'a> = Box<dyn FnOnce() -> Result<Seen, Failure> + 'a>;

/// What they were, or why there were none.
type Rounds = Result<Vec<Seen>, String>;

struct Crowd<'a> {
    server: Server,
    runtime: &'a Runtime,
    start: Start,
}

impl<'a> Event for Crowd<'a> {
    type Output = Round<'a>;

    fn enter<C: Contestant>(&mut self) -> Result<Self::Output, Failure> {
        let (server, runtime, start) = (self.server, self.runtime, self.start);
        let lifetime = match start {
            Start::Cold => {
                // Only to know whether it can.
                let one = async { C::new(server.address).await?.with(check).await? };
                runtime.block_on(one)?;
                return Ok(Box::new(move || runtime.block_on(cold::<C>(server))));
            }
            Start::Expiry => 2,
            Start::Stale => STALE,
        };
        server.set(Duration::ZERO, lifetime)?;
        let has_one = runtime.block_on(async {
            let contestant = C::new(server.address).await?;
            contestant.with(check).await??;
            Ok::<_, Failure>(Arc::new(contestant))
        })?;
        Ok(Box::new(move || {
            let latency = if start == Start::Stale { SLOW } else { ANSWER };
            runtime.block_on(crowd::<C>(server, latency, Some(has_one)))
        }))
    }
}

/// All of them at new credentials.
///
/// # Errors
/// If the credentials can't be made, or the server is not there.
pub async fn cold<C: Contestant>(server: Server) -> Result<Seen, Failure> {
    crowd::<C>(server, ANSWER, None).await
}

async fn crowd<C: Contestant>(
    server: Server,
    latency: Duration,
    has_one: Option<Arc<C>>,
) -> Result<Seen, Failure> {
    let (gate, closed) = watch::channel(None::<Arc<C>>);
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let mut gate = closed.clone();
            tokio::spawn(async move {
                let opened = gate.wait_for(Option::is_some).await;
                let contestant = opened.ok().and_then(|opened| opened.clone());
                let asked = Instant::now();
                let outcome = match contestant {
                    Some(contestant) => contestant.with(check).await.and_then(|checked| checked),
                    None => Err("there is no contestant".into()),
                };
                (asked, Instant::now(), outcome)
            })
        })
        .collect();
    drop(closed);
    // All of them stand at the gate.
    sleep(Duration::from_millis(50)).await;
    server.set(latency, 3600)?;
    let come = Instant::now();
    let contestant = match has_one {
        Some(contestant) => contestant,
        None => Arc::new(C::new(server.address).await?),
    };
    gate.send_replace(Some(contestant));
    let mut seen = Seen {
        served: Vec::with_capacity(CALLERS),
        waited: Vec::with_capacity(CALLERS),
        errors: 0,
        requests: 0,
    };
    for task in tasks {
        let (asked, went, outcome) = task.await?;
        seen.served.push(went - come);
        seen.waited.push(went - asked);
        seen.errors += usize::from(outcome.is_err());
    }
    // A renewal in the background is asked for by now, if it is; it ends.
    sleep(2 * latency).await;
    seen.requests = server.counts()?.tokens;
    seen.served.sort();
    seen.waited.sort();
    Ok(seen)
}

/// The section of new credentials.
///
/// # Errors
/// If the server is not there.
pub fn run_cold(server: &Server) -> Result<Report, Failure> {
    table(server, Start::Cold)
}

/// The section of an expired token.
///
/// # Errors
/// If the server is not there.
pub fn run_expiry(server: &Server) -> Result<Report, Failure> {
    table(server, Start::Expiry)
}

/// The section of a token that is about to expire.
///
/// # Errors
/// If the server is not there.
pub fn run_stale(server: &Server) -> Result<Report, Failure> {
    table(server, Start::Stale)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err takes")]
fn told(why: Failure) -> String {
    why.to_string()
}

fn python(server: &Server, start: Start) -> Result<Seen, String> {
    let (token, latency) = match start {
        Start::Cold => ((3600, Duration::ZERO), ANSWER),
        Start::Expiry => ((2, EXPIRED), ANSWER),
        Start::Stale => ((STALE, AGE), SLOW),
    };
    crowd::crowd(server, token, latency).map_err(told)
}

fn table(server: &Server, start: Start) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let mut results: Vec<(Library, &str, Rounds)> = Vec::new();
    for _ in 0..ROUNDS {
        let entries = waiters(&mut Crowd {
            server: *server,
            runtime: &runtime,
            start,
        });
        match start {
            Start::Cold => {}
            Start::Expiry => thread::sleep(EXPIRED),
            Start::Stale => thread::sleep(AGE),
        }
        let mut round: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let seen = entry.result.and_then(|round| round().map_err(told));
                (entry.library, entry.call, seen)
            })
            .collect();
        round.push((Library::Python, crowd::CALL, python(server, start)));
        for (index, (library, call, seen)) in round.into_iter().enumerate() {
            if results.len() == index {
                results.push((library, call, Ok(Vec::new())));
            }
            let result = &mut results[index].2;
            match seen {
                Err(why) => *result = Err(why),
                Ok(seen) => {
                    if let Ok(rounds) = result {
                        rounds.push(seen);
                    }
                }
            }
        }
    }
    let mut rows = Vec::new();
    let (what, target) = match start {
        Start::Cold => (
            "10,000 tasks, new credentials",
            "1 request, 99 % served within 20 ms",
        ),
        Start::Expiry => (
            "10,000 tasks, token expired",
            "1 request, 99 % wait at most 11 ms",
        ),
        Start::Stale => (
            "10,000 tasks, token about to expire",
            "1 request, no caller waits",
        ),
    };
    let mut summary = Row::new(what, target);
    for (library, call, result) in results {
        let mut row = vec![library.name().to_owned(), call.to_owned()];
        match result {
            Err(why) => row.push(format!("left out: {why}")),
            Ok(rounds) => {
                let ms = |time: Duration| time.as_secs_f64() * 1e3;
                let at =
                    |times: &[Duration], share: usize| ms(times[(times.len() - 1) * share / 100]);
                let spread = |pick: &dyn Fn(&Seen) -> f64| Spread::of(rounds.iter().map(pick));
                let requests = spread(&|seen| seen.requests as f64);
                let errors = spread(&|seen| seen.errors as f64);
                let waited = spread(&|seen| at(&seen.waited, 99));
                let longest = spread(&|seen| at(&seen.waited, 100));
                let served = spread(&|seen| at(&seen.served, 99));
                let cells = [&requests, &errors, &waited, &longest, &served];
                row.extend(cells.map(Spread::to_string));
                let (wait, unit) = match start {
                    Start::Cold => (&served, "99 % served within"),
                    Start::Expiry => (&waited, "99 % wait at most"),
                    Start::Stale => (&longest, "the longest wait"),
                };
                summary = summary.cell(
                    library,
                    format!(
                        "{}{} {}, {unit} {} ms",
                        if library == Library::Python {
                            "of 1,000 threads: "
                        } else {
                            ""
                        },
                        short(requests.median()),
                        if requests.median() == 1.0 {
                            "request"
                        } else {
                            "requests"
                        },
                        short(wait.median())
                    ),
                );
                if library == Library::GceAuth {
                    let in_time = match start {
                        Start::Cold => served.median() <= 20.0,
                        Start::Expiry => waited.median() <= ms(ANSWER) + 10.0,
                        // Less than the server needs, so no caller waited for it.
                        Start::Stale => longest.at(1.0) < ms(SLOW),
                    };
                    let once = requests.at(0.0) == 1.0 && requests.at(1.0) == 1.0;
                    summary = summary.met(once && errors.at(1.0) == 0.0 && in_time);
                }
            }
        }
        rows.push(row);
    }
    let mut report = Report::default();
    let head = [
        "library",
        "call",
        "requests",
        "errors",
        "99 % wait, ms",
        "longest wait, ms",
        "99 % served after, ms",
    ];
    report.table(&head, rows);
    report.row(summary);
    Ok(report)
}
