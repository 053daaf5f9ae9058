//! The agent, a process of its own: tokens in hand beside bare hyper, callers
//! that come at once, memory, and an outage of its source.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use crate::{
    contestant::{Failure, Library},
    guarded::{self, Agent, Process},
    load,
    report::{Report, Row},
    sections::emulator::bench,
    server::Server,
    spread::{Spread, short},
};

const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_millis(700);
const CONNECTIONS: usize = 32;
/// Callers with a new connection for each request ask from so many threads.
const THREADS: usize = 8;
const CALLERS: usize = 10_000;
const KEYS: usize = 4;
/// So many times they come.
const CROWDS: usize = 5;
/// The source takes so long to answer those that come at once.
const ANSWER: Duration = Duration::from_millis(500);
const OUTAGE: usize = 100_000;

/// What is measured in turn with bare hyper.
struct Beside {
    what: &'static str,
    least: f64,
    rate: Spread,
    share: Spread,
    late: Spread,
}

/// The section.
///
/// # Errors
/// If the agent does not start, or refuses a request.
pub fn run(_: &Server) -> Result<Report, Failure> {
    more_descriptors()?;
    let mut report = Report::default();
    let ready = Spread::of(starts()?);
    let (_source, server) = guarded::source()?;
    let agent = Agent::start(&server)?;
    let idle = agent.process.memory()?;
    let (floor, bare) = bare_like(&agent)?;
    let rates = beside(&agent, bare)?;
    report.table(
        &[
            "a token in hand, beside bare hyper",
            "requests per second",
            "of bare hyper, %",
            "99 % wait less than, ms",
        ],
        rates.iter().map(|it| {
            let cells = [&it.rate, &it.share, &it.late].map(ToString::to_string);
            [vec![it.what.to_owned()], cells.to_vec()].concat()
        }),
    );
    for it in &rates {
        let (share, late) = (it.share.median(), it.late.median());
        let kept = it.least > 55.0;
        let aim = if kept { ", p99 < 1 ms" } else { "" };
        report.row(
            Row::new(
                format!("agent, {}", it.what),
                format!("≥ {} % of bare hyper{aim}", it.least),
            )
            .cell(
                Library::GceAuth,
                format!(
                    "{} ({share:.0} %), p99 {} ms",
                    short(it.rate.median()),
                    short(late)
                ),
            )
            .cell(Library::Floor, "bare hyper: 100 %")
            .met(share >= it.least && (!kept || late < 1.0)),
        );
    }
    found(&mut report)?;
    memory(&mut report, idle, &agent)?;
    crowd(&mut report, (&agent, &server), (&floor, bare))?;
    let median = ready.median();
    report.row(
        Row::new(
            "agent, from its start to ready",
            "≤ 20 ms after the source's first answer",
        )
        .cell(Library::GceAuth, format!("{ready} ms, all in all"))
        .met(median <= 20.0),
    );
    outage(&mut report)?;
    Ok(report)
}

/// Milliseconds until an agent is ready, each with a source of its own.
fn starts() -> Result<Vec<f64>, Failure> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (_source, server) = guarded::source()?;
        all.push(Agent::start(&server)?.ready);
    }
    Ok(all)
}

/// hyper alone, whose answers are as long as the agent's.
fn bare_like(agent: &Agent) -> Result<(Process, SocketAddr), Failure> {
    let mut stream = load::connect(agent.address)?;
    stream.write_all(&load::request("", false))?;
    let length = load::answer(&mut stream)?;
    // The head of the agent's answer is longer.
    guarded::bare(length.saturating_sub(100), ANSWER)
}

fn beside(agent: &Agent, bare: SocketAddr) -> Result<Vec<Beside>, Failure> {
    let mut all = Vec::new();
    let kept = |address| load::kept(address, CONNECTIONS, TURN);
    let fresh = |address| load::fresh(address, THREADS, TURN);
    type Ask<'a> = &'a dyn Fn(SocketAddr) -> Result<load::Load, Failure>;
    let turns: [(&str, f64, Ask<'_>); 2] = [
        ("32 connections that stay open", 60.0, &kept),
        ("a new connection for each request", 50.0, &fresh),
    ];
    for (what, least, ask) in turns {
        let (mut rates, mut shares, mut lates) = (Vec::new(), Vec::new(), Vec::new());
        ask(agent.address)?;
        for _ in 0..ROUNDS {
            let floor = ask(bare)?;
            let own = ask(agent.address)?;
            rates.push(own.rate);
            shares.push(own.rate / floor.rate * 100.0);
            lates.push(own.late());
        }
        all.push(Beside {
            what,
            least,
            rate: Spread::of(rates),
            share: Spread::of(shares),
            late: Spread::of(lates),
        });
    }
    Ok(all)
}

/// Finding whose a connection is, by the bench of the server's crate.
fn found(report: &mut Report) -> Result<(), Failure> {
    let printed = bench("callers")?;
    for (sockets, most) in [("10", 40.0), ("10000", 150.0)] {
        let before = format!("with {sockets} sockets: ");
        let line = printed.lines().find_map(|line| line.split_once(&before));
        let (_, time) = line.ok_or_else(|| format!("no {before} in {printed}"))?;
        let median: f64 = time.split(' ').next().unwrap_or_default().parse()?;
        report.row(
            Row::new(
                format!("agent, a loopback caller found among {sockets} sockets"),
                format!("≤ {most} µs"),
            )
            .cell(Library::GceAuth, time)
            .met(median <= most),
        );
    }
    let lines = printed.lines().map(|line| format!("- {line}"));
    report.paragraph(&lines.collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// Ten thousand callers ask at once, for tokens that were never fetched. hyper
/// answers as many in turn, which wait for an event as late as the source.
fn crowd(
    report: &mut Report,
    (agent, server): (&Agent, &Server),
    (floor, bare): (&Process, SocketAddr),
) -> Result<(), Failure> {
    let ask = |address: SocketAddr, process: &Process, scopes: &str| {
        let mut streams = many(address)?;
        let before = process.busy()?;
        let waited = load::at_once(&mut streams, scopes, KEYS)?;
        let busy = (process.busy()? - before) / CALLERS as f64;
        let beyond = waited.late() - ANSWER.as_secs_f64() * 1e3;
        Ok::<_, Failure>([beyond, busy])
    };
    let (mut own, mut its) = (Vec::new(), Vec::new());
    let mut fetched = 0;
    for round in 0..CROWDS {
        its.push(ask(bare, floor, "cold")?);
        server.set(ANSWER, 3600)?;
        own.push(ask(
            agent.address,
            &agent.process,
            &format!("cold{round}-"),
        )?);
        fetched += server.set(Duration::ZERO, 3600)?.tokens;
    }
    let of = |all: &[[f64; 2]], at: usize| Spread::of(all.iter().map(|it| it[at]));
    let (beyond, floor) = (of(&own, 0), of(&its, 0));
    let row = |what: &str, all: &[[f64; 2]]| {
        [
            what.to_owned(),
            of(all, 0).to_string(),
            of(all, 1).to_string(),
        ]
        .to_vec()
    };
    report.table(
        &[
            "10,000 callers at once",
            "99 % wait less than the source's answer and, ms",
            "server's processor for each, µs",
        ],
        [row("agent", &own), row("bare hyper", &its)],
    );
    report.row(
        Row::new(
            "agent, 10,000 callers at once, cold",
            "1 request for each of 4 keys, 99 % within the source's answer + 50 ms",
        )
        .cell(
            Library::GceAuth,
            format!(
                "{} requests each time, + {} ms",
                short(fetched as f64 / CROWDS as f64),
                short(beyond.median())
            ),
        )
        .cell(
            Library::Floor,
            format!("bare hyper: + {} ms", short(floor.median())),
        )
        .met(fetched == (KEYS * CROWDS) as u64 && beyond.median() <= 50.0),
    );
    Ok(())
}

fn memory(report: &mut Report, idle: f64, agent: &Agent) -> Result<(), Failure> {
    // What the callers before left behind has ended.
    thread::sleep(Duration::from_secs(1));
    let streams = many(agent.address)?;
    thread::sleep(Duration::from_secs(1));
    let held = agent.process.memory()?;
    drop(streams);
    report.row(
        Row::new(
            "agent, memory: at its start; with 10,000 idle connections",
            "≤ 10 MiB; ≤ 64 MiB",
        )
        .cell(
            Library::GceAuth,
            format!("{} MiB; {} MiB", short(idle), short(held)),
        )
        .met(idle <= 10.0 && held <= 64.0),
    );
    Ok(())
}

/// Connections on which nothing is asked.
fn many(address: SocketAddr) -> Result<Vec<TcpStream>, Failure> {
    (0..CALLERS).map(|_| load::connect(address)).collect()
}

/// The source is gone, and a token in hand.
fn outage(report: &mut Report) -> Result<(), Failure> {
    let (source, server) = guarded::source()?;
    let agent = Agent::start(&server)?;
    drop(source);
    let (mut asked, mut waits) = (0, Vec::new());
    while asked < OUTAGE {
        let load = load::kept(agent.address, CONNECTIONS, TURN)?;
        asked += load.waits.len();
        waits.extend(load.waits);
    }
    waits.sort_by(f64::total_cmp);
    let late = waits[waits.len() * 99 / 100];
    report.row(
        Row::new(
            "agent, source gone, token in hand, 100,000 requests",
            "all served, p99 ≤ 5 ms",
        )
        .cell(
            Library::GceAuth,
            format!("{} served, p99 {} ms", short(asked as f64), short(late)),
        )
        .met(late <= 5.0),
    );
    Ok(())
}

/// Ten thousand connections are as many descriptors.
fn more_descriptors() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}
