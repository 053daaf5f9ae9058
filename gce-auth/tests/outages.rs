//! The table of outages in `src/docs/limits.md`, line by line: what a caller
//! gets, how often the server is asked, and when it is asked again.
//!
//! Time is a number here. A program asks once a second for a minute; whatever
//! was left to the background is done before it asks again.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use gce_auth::{
    Credentials, Error, ErrorKind, MetadataClient, RefreshMode, RetryPolicy,
    testing::{HandClock, HandQueue},
    time::Clock,
    transport::{Limits, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};

const DOCUMENT: &str = include_str!("../src/docs/limits.md");
const START: u64 = 1_800_000_000;
const LIFETIME: u64 = 3600;
const ME: &str = "me@p.iam.gserviceaccount.com";

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What is wrong; the names are those of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    Broken(TransportErrorKind),
    Hangs,
    Status(u16, Option<&'static str>),
    StatusTwice(u16),
    NoFlavor,
    Redirect,
    CutJson,
    BornExpired,
    SameToken,
    AnotherIdentity,
    Suspended,
    NoThread,
}

/// What happens to the clocks before a caller comes.
type Jump = fn(&HandClock);

fn stand_still(_: &HandClock) {}

fn shift_wall(clock: &HandClock, shift: impl FnOnce(u64) -> u64) {
    clock.set_wall(shift(clock.now().wall.as_secs()));
}

/// Every fault of a server, and of the way to it.
const SERVER_FAULTS: [(&str, Fault); 16] = [
    (
        "the port refuses",
        Fault::Broken(TransportErrorKind::Connect),
    ),
    (
        "the connection breaks",
        Fault::Broken(TransportErrorKind::Closed),
    ),
    (
        "the name cannot be looked up",
        Fault::Broken(TransportErrorKind::Resolve),
    ),
    ("the server hangs", Fault::Hangs),
    ("503 forever", Fault::Status(503, None)),
    ("503 twice, then well", Fault::StatusTwice(503)),
    ("404", Fault::Status(404, None)),
    ("403", Fault::Status(403, None)),
    ("429, `Retry-After: 2`", Fault::Status(429, Some("2"))),
    ("429, `Retry-After: 30`", Fault::Status(429, Some("30"))),
    ("200 without `Metadata-Flavor`", Fault::NoFlavor),
    ("a redirect", Fault::Redirect),
    ("JSON cut short", Fault::CutJson),
    (
        "an answer beyond the limits",
        Fault::Broken(TransportErrorKind::TooLarge),
    ),
    ("a token that has expired", Fault::BornExpired),
    ("another identity", Fault::AnotherIdentity),
];

/// What the name of a row means.
fn conditions(name: &str) -> Vec<(Fault, Jump)> {
    let jump: (Fault, Jump) = match name {
        "any of the faults below" => {
            return SERVER_FAULTS
                .into_iter()
                .map(|(_, fault)| (fault, stand_still as Jump))
                .collect();
        }
        "nothing" => (Fault::Nothing, stand_still),
        "the same token comes back" => (Fault::SameToken, stand_still),
        "suspended for an hour while asking" => (Fault::Suspended, stand_still),
        "the server hangs, and no thread can start" => (Fault::NoThread, stand_still),
        "wall clock an hour ahead" => (Fault::Nothing, |clock| {
            shift_wall(clock, |wall| wall + 3600);
        }),
        "wall clock an hour ahead, and 503" => (Fault::Status(503, None), |clock| {
            shift_wall(clock, |wall| wall + 3600);
        }),
        "wall clock an hour back" => (Fault::Nothing, |clock| {
            shift_wall(clock, |wall| wall - 3600);
        }),
        "suspended for an hour" => (Fault::Nothing, |clock| clock.advance(HOUR)),
        "suspended for an hour, wall clock stood still" => {
            (Fault::Nothing, |clock| clock.advance_boot(HOUR))
        }
        _ => {
            let known = SERVER_FAULTS.into_iter().find(|(known, _)| *known == name);
            let (_, fault) = known.unwrap_or_else(|| panic!("no test knows {name:?}"));
            (fault, stand_still)
        }
    };
    vec![jump]
}

/// A metadata server with one fault, behind a transport that keeps time.
#[derive(Debug)]
struct Server {
    clock: Arc<HandClock>,
    fault: Mutex<Fault>,
    /// When each request came, since boot.
    requests: Mutex<Vec<Duration>>,
    tokens: AtomicUsize,
}

impl Server {
    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn token(&self, renew: bool, seconds: u64) -> (u16, String) {
        let number = if renew {
            self.tokens.fetch_add(1, SeqCst) + 1
        } else {
            self.tokens.load(SeqCst)
        };
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":{seconds}}}"#);
        (200, body)
    }
}

impl Transport for Server {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        self.requests.lock().unwrap().push(self.clock.now().boot);
        let fault = *self.fault.lock().unwrap();
        let broken = |kind| Err(TransportError::new(kind, "broken by the test"));
        let mut response = Response::builder();
        let mut flavor = true;
        let (status, body) = match fault {
            _ if request.uri().path().ends_with("/email") => {
                let email = if fault == Fault::AnotherIdentity {
                    "somebody@else.iam.gserviceaccount.com"
                } else {
                    ME
                };
                (200, email.to_owned())
            }
            Fault::Nothing | Fault::AnotherIdentity => self.token(true, LIFETIME),
            Fault::Broken(kind) => return broken(kind),
            Fault::Hangs | Fault::NoThread => {
                self.clock.advance(limits.attempt);
                return broken(TransportErrorKind::Timeout);
            }
            Fault::Status(status, after) => {
                if let Some(after) = after {
                    response = response.header("Retry-After", after);
                }
                (status, String::new())
            }
            Fault::StatusTwice(status) => {
                if self.requests() <= 2 {
                    (status, String::new())
                } else {
                    self.token(true, LIFETIME)
                }
            }
            Fault::NoFlavor => {
                flavor = false;
                (200, "<html>Please sign in</html>".to_owned())
            }
            Fault::Redirect => {
                response = response.header("Location", "http://portal.example/");
                (302, String::new())
            }
            Fault::CutJson => (200, r#"{"access_token":"token-"#.to_owned()),
            Fault::BornExpired => self.token(true, 0),
            Fault::SameToken => {
                let left = (START + LIFETIME).saturating_sub(self.clock.now().wall.as_secs());
                self.token(false, left)
            }
            Fault::Suspended => {
                *self.fault.lock().unwrap() = Fault::Nothing;
                self.clock.advance(HOUR);
                return broken(TransportErrorKind::Timeout);
            }
        };
        if flavor {
            response = response.header("Metadata-Flavor", "Google");
        }
        let response = response.status(status).body(body.into_bytes());
        Ok(response.expect("a response that makes sense"))
    }
}

/// What was seen in a minute, in the words of the table.
#[derive(Debug, PartialEq)]
struct Seen {
    gets: String,
    first_call: usize,
    minute: usize,
    again: String,
}

struct World {
    credentials: Credentials,
    server: Arc<Server>,
    clock: Arc<HandClock>,
    queue: Arc<HandQueue>,
    old: Option<String>,
}

impl World {
    fn new(fault: Fault, state: &str) -> Self {
        let clock = Arc::new(HandClock::at(START));
        let queue = Arc::new(if fault == Fault::NoThread {
            HandQueue::refusing()
        } else {
            HandQueue::new()
        });
        let server = Arc::new(Server {
            clock: clock.clone(),
            fault: Mutex::new(Fault::Nothing),
            requests: Mutex::default(),
            tokens: AtomicUsize::new(0),
        });
        let client = MetadataClient::builder()
            .endpoint("metadata.test")
            .transport(server.clone())
            .clock(clock.clone())
            .executor(queue.clone())
            .retry(RetryPolicy::new().jitter(0.0))
            .limits(Limits::new())
            .build()
            .expect("a client");
        let mut builder = Credentials::builder().client(client);
        if fault == Fault::AnotherIdentity {
            builder = builder.expect_account(ME);
        }
        if state == "stale, blocking" {
            builder = builder.refresh_mode(RefreshMode::Blocking);
        }
        let credentials = builder.build().expect("credentials");
        let mut world = Self {
            credentials,
            server,
            clock,
            queue,
            old: None,
        };
        let age = match state {
            "none" => None,
            "fresh" => Some(60),
            "stale" | "stale, blocking" => Some(LIFETIME - 100),
            "expired" => Some(LIFETIME),
            _ => panic!("no test knows the state {state:?}"),
        };
        if let Some(age) = age {
            world.old = Some(world.call().0.expect("a well server"));
            world.clock.advance(Duration::from_secs(age));
        }
        *world.server.fault.lock().unwrap() = fault;
        world.server.requests.lock().unwrap().clear();
        world
    }

    /// One call, and how long it waited.
    fn call(&self) -> (Result<String, Error>, Duration) {
        let begun = self.clock.now().boot;
        let headers = self.credentials.blocking_headers();
        let waited = self.clock.now().boot - begun;
        let token = headers.map(|headers| {
            let value = headers.authorization().expect("a token");
            value.to_str().expect("text").to_owned()
        });
        (token, waited)
    }

    fn describe(&self, outcome: &Result<String, Error>) -> String {
        match outcome {
            Err(error) => format!("`{}`", error.kind().name()),
            Ok(token) if self.old.as_ref() == Some(token) => "the old token".to_owned(),
            Ok(_) => "a new token".to_owned(),
        }
    }

    /// A minute of calls, one a second.
    fn minute(&self) -> Seen {
        let begun = self.clock.now().boot;
        let mut next = begun;
        let mut flights: Vec<(Duration, Duration)> = Vec::new();
        let mut gets = None;
        let mut first_call = 0;
        while next < begun + 60 * SECOND {
            let asked = self.server.requests();
            let (outcome, waited) = self.call();
            self.queue.run_all();
            let now = self.clock.now().boot;
            let requests = self.server.requests.lock().unwrap();
            if let Some(first) = requests.get(asked) {
                flights.push((*first, now));
            }
            let what = self.describe(&outcome);
            match &gets {
                None => {
                    let when = if waited.is_zero() {
                        "at once".to_owned()
                    } else {
                        format!("after {:.1} s", waited.as_secs_f64())
                    };
                    first_call = requests.len();
                    gets = Some((format!("{what} {when}"), outcome));
                }
                // A token that is valid is handed out until there is another,
                // and nobody who got one is refused later; an error stays the
                // same error.
                Some((_, Ok(_))) => assert!(outcome.is_ok(), "{what} at {now:?}"),
                Some((_, Err(error))) => {
                    let later = outcome.expect_err("a fault that lasts").kind();
                    assert_eq!(later, error.kind(), "at {now:?}");
                }
            }
            while next <= now {
                next += SECOND;
            }
            drop(requests);
            self.clock.advance(next - now);
        }
        let again: Vec<String> = flights
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].1).as_secs().to_string())
            .collect();
        let all_equal = again.windows(2).all(|pair| pair[0] == pair[1]);
        let again = match again.as_slice() {
            [] => "not at all".to_owned(),
            [first, ..] if all_equal => format!("{first} s"),
            list => format!("{} s", list.join(", ")),
        };
        Seen {
            gets: gets.expect("a call").0,
            first_call,
            minute: self.server.requests(),
            again,
        }
    }
}

/// The cells of the table under this heading, row by row.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, after) = DOCUMENT
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading:?}"));
    let section = after.split("\n## ").next().expect("a section");
    let rows: Vec<Vec<String>> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| {
            line.split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(rows.len() > 2, "no table under {heading:?}");
    rows.into_iter().skip(2).collect()
}

#[test]
fn the_table_of_outages_is_true() {
    let rows = table("What happens in an outage");
    let mut wrong = Vec::new();
    let mut seen_conditions = Vec::new();
    for row in &rows {
        let [condition, states, gets, first_call, minute, again] = row.as_slice() else {
            panic!("not six cells: {row:?}");
        };
        let said = Seen {
            gets: gets.clone(),
            first_call: first_call.parse().expect("a number"),
            minute: minute.parse().expect("a number"),
            again: again.clone(),
        };
        for (fault, jump) in conditions(condition) {
            for state in states.split(" or ") {
                let world = World::new(fault, state);
                jump(&world.clock);
                let seen = world.minute();
                if seen != said {
                    wrong.push(format!(
                        "{condition}, {state}:\n  said {said:?}\n  seen {seen:?}"
                    ));
                }
            }
        }
        seen_conditions.push(condition.clone());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, _) in SERVER_FAULTS {
        let rows = seen_conditions.iter().filter(|row| *row == name).count();
        assert!(rows >= 2, "{name:?} has {rows} rows");
    }
}

#[test]
fn after_an_outage_the_next_call_brings_a_token() {
    for (name, fault) in SERVER_FAULTS {
        for state in ["none", "expired", "stale", "stale, blocking"] {
            let world = World::new(fault, state);
            world.minute();
            *world.server.fault.lock().unwrap() = Fault::Nothing;
            // The longest wait of all, between two attempts in the background.
            world.clock.advance(60 * SECOND);
            let (first, _) = world.call();
            let token = first.unwrap_or_else(|error| panic!("{name}, {state}: {error}"));
            world.queue.run_all();
            let (second, waited) = world.call();
            assert!(waited.is_zero(), "{name}, {state}");
            let second = second.expect("a token in hand");
            assert!(
                second == token || world.describe(&Ok(second)) == "a new token",
                "{name}, {state}"
            );
        }
    }
}

#[test]
fn an_error_is_shared_for_a_second() {
    let world = World::new(Fault::Status(403, None), "none");
    let first = world.call().0.expect_err("403");
    assert_eq!(first.kind(), ErrorKind::Forbidden);
    world.clock.advance(Duration::from_millis(999));
    let shared = world.call().0.expect_err("403");
    assert_eq!(shared.to_string(), first.to_string());
    assert_eq!(world.server.requests(), 1);
    world.clock.advance(Duration::from_millis(1));
    world.call().0.expect_err("403");
    assert_eq!(world.server.requests(), 2);
}

#[test]
fn the_table_of_limits_is_true() {
    let limits = Limits::new();
    let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
    let said = table("Time and size");
    let expected = [
        ("`Limits::connect`", seconds(limits.connect)),
        ("`Limits::first_byte`", seconds(limits.first_byte)),
        ("`Limits::attempt`", seconds(limits.attempt)),
        (
            "`Limits::body_bytes`",
            format!("{} KiB", limits.body_bytes / 1024),
        ),
        (
            "`Limits::header_bytes`",
            format!("{} KiB", limits.header_bytes / 1024),
        ),
        ("`Limits::header_lines`", limits.header_lines.to_string()),
    ];
    for (name, value) in expected {
        let row = said.iter().find(|row| row[0] == name);
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        assert_eq!(row[1], value, "{name}");
    }
}
