//! The page `docs::scale`, from figures.

use std::fmt::Write as _;

use crate::{
    day::{between, mean, peak},
    figures::{BACK, Days, Figures, OUTAGES, in_outage, late, recovery, wave_after},
    plot::{Line, Panel},
    world::{SECOND, Time},
};

/// The command that writes the page.
pub const COMMAND: &str =
    "cargo run --release --manifest-path peers/Cargo.toml -p fleet -- --write";

pub fn plot(figures: &Figures) -> String {
    let panel = |title, of: fn(&Days) -> &[u32]| Panel {
        title,
        lines: figures
            .days
            .iter()
            .map(|days| Line {
                name: days.name,
                seconds: of(days),
            })
            .collect(),
    };
    crate::plot::svg(&[
        panel("All begin in the same second", |days| &days.restart.iam),
        panel("IAM is away from hour 6 to hour 7", |days| &days.outage.iam),
        panel("A day like any other", |days| &days.steady.iam),
    ])
}

pub fn page(figures: &Figures, jitter: Time) -> String {
    let mut out = String::new();
    head(&mut out, figures);
    libraries(&mut out, figures);
    choice(&mut out, figures, jitter);
    retries(&mut out, figures);
    assumptions(&mut out);
    // A page of rustdoc has the picture from elsewhere: the first definition of
    // a name counts, and `docs/mod.rs` puts one before this page.
    out.push_str("\n[plot]: scale.svg\n");
    out
}

fn head(out: &mut String, figures: &Figures) {
    let _ = write!(
        out,
        "What {} instances request from IAM in a day, by simulation, and how the jitter was chosen.\n\n\
         Each instance runs one program that needs a token once a second. IAM makes the tokens, and the metadata server of the instance caches one. The figures are requests per second of all instances together; a *peak* is the worst second. `{COMMAND}` plays the days (seeded, {}; no clock is read) and writes this page.\n\n\
         ![Requests per second to IAM over three days, for three libraries][plot]\n",
        grouped(figures.instances),
        figures.seed,
    );
}

/// What a cell says of one library.
type Cell = fn(&Days) -> String;

fn libraries(out: &mut String, figures: &Figures) {
    out.push_str("\n## Three days\n\n| Requests per second |");
    for days in &figures.days {
        let _ = write!(out, " {} |", days.name);
    }
    out.push_str("\n| --- |");
    for _ in &figures.days {
        out.push_str(" ---: |");
    }
    out.push('\n');
    let rows: [(&str, Cell); 16] = [
        ("**A day like any other**: to IAM, mean", |it| {
            number(mean(&it.steady.iam))
        }),
        ("to IAM, peak", |it| grouped(peak(&it.steady.iam))),
        ("to metadata servers, mean", |it| {
            number(mean(&it.steady.metadata))
        }),
        ("to IAM, mean, with servers that renew at 240 s", |it| {
            number(mean(&it.late_cache.iam))
        }),
        ("to metadata servers, mean, the same", |it| {
            number(mean(&it.late_cache.metadata))
        }),
        ("**All begin in the same second**: to IAM, mean", |it| {
            number(mean(&it.restart.iam))
        }),
        ("to IAM, peak of the first renewals", |it| {
            grouped(wave_after(&it.restart.iam, 0))
        }),
        ("to IAM, peak of the last two hours", |it| {
            grouped(late(&it.restart.iam))
        }),
        (
            "**IAM is away for an hour**: to IAM, mean of the day",
            |it| number(mean(&it.outage.iam)),
        ),
        ("to IAM, mean of the last ten minutes of it", |it| {
            number(in_outage(&it.outage.iam))
        }),
        ("to metadata servers, the same", |it| {
            number(in_outage(&it.outage.metadata))
        }),
        ("to IAM, first second after it", |it| {
            grouped(peak(between(&it.outage.iam, BACK, BACK + SECOND)))
        }),
        ("seconds until 99 % have a token again", |it| {
            recovery(&it.outage).to_string()
        }),
        ("to IAM, peak of the next renewals", |it| {
            grouped(wave_after(&it.outage.iam, BACK))
        }),
        ("to IAM, peak of the last two hours", |it| {
            grouped(late(&it.outage.iam))
        }),
        ("instances of which a call failed", |it| {
            grouped(it.outage.hurt)
        }),
    ];
    for (name, cell) in rows {
        let _ = write!(out, "| {name} |");
        for days in &figures.days {
            let _ = write!(out, " {} |", cell(days));
        }
        out.push('\n');
    }
    out.push_str(
        "\nInstances that once requested together request together again, one token lifetime \
         later, until chance spreads them. Without jitter they never spread.\n",
    );
}

fn choice(out: &mut String, figures: &Figures, jitter: Time) {
    out.push_str(
        "\n## The jitter\n\nA token is stale 225 s before its end, less a random time of at most the jitter. It can't be renewed much earlier: a metadata server returns its cached token until 300 s before the end (240 s on serverless). Nor much later: the rest of a stale token's life bridges outages. So the jitter is a compromise: more of it flattens the renewals after all instances restart; less of it bridges longer outages.\n\n| Jitter | Peak of the first renewals | Peak of the last two hours |",
    );
    for outage in OUTAGES {
        let _ = write!(out, " Hurt by {} s |", outage / SECOND);
    }
    out.push_str("\n| ---: | ---: | ---: |");
    for _ in OUTAGES {
        out.push_str(" ---: |");
    }
    out.push('\n');
    for row in &figures.rows {
        let seconds = row.jitter / SECOND;
        let name = if row.jitter == jitter {
            format!("**{seconds} s**")
        } else {
            format!("{seconds} s")
        };
        let _ = write!(
            out,
            "| {name} | {} | {} |",
            grouped(row.wave),
            grouped(row.late)
        );
        for hurt in &row.hurt {
            let _ = write!(out, " {} |", percent(*hurt));
        }
        out.push('\n');
    }
    let find = |jitter: Time| figures.rows.iter().find(|row| row.jitter == jitter);
    let seconds = jitter / SECOND;
    let (Some(chosen), Some(half), Some(double)) =
        (find(jitter), find(jitter / 2), find(jitter * 2))
    else {
        return;
    };
    let three_minutes = |row: &crate::figures::Row| percent(row.hurt[2]);
    let _ = write!(
        out,
        "\n*Hurt by* is the share of instances of which a call fails in an outage of so many seconds, at any time of a normal day.\n\n\
         The default is **{seconds} s**. Half of it doubles the peak ({} instead of {}) and gains nothing in outages of up to {} s, which fail no call with {seconds} s either. Twice as much halves the peak once more ({}), but an outage of three minutes then hurts {} of the instances instead of {}, and a stale token is left with time for fewer attempts to replace it. `Policy::new` in `refresh/policy.rs` holds the number.\n",
        grouped(half.wave),
        grouped(chosen.wave),
        (225 * SECOND - jitter) / SECOND - 5,
        grouped(double.wave),
        three_minutes(double),
        three_minutes(chosen),
    );
}

fn retries(out: &mut String, figures: &Figures) {
    let Some(ours) = figures.days.first() else {
        return;
    };
    let outage = in_outage(&ours.outage.iam);
    let _ = write!(
        out,
        "\n## Retries\n\nAn operation that fails with a retryable error has waited 100 ms, 200 ms and so on up to 3 s between its attempts. The next one for the same token continues there instead of beginning at 100 ms: {} requests per second in the outage instead of {}. Each wait is up to 20 % longer or shorter, and the instances are as far apart as their tokens are, so nothing is in step when IAM comes back; 99 % of the instances without a token have one within {} s, which makes the first second steep. The next renewals repeat it, one token lifetime later; jitter flattens them.\n\n\
         google-cloud-auth sends the fewest requests in an outage: one in 10 s, whether or not a caller waits. google-auth requests the account as well, which the metadata server answers without IAM.\n",
        number(outage),
        number(figures.anew),
        recovery(&ours.outage),
    );
}

fn assumptions(out: &mut String) {
    out.push_str(
        "\n## What is assumed\n\n\
- A token lives for 3600 s. A metadata server returns its cached token until 300 s before its end, with the whole seconds that are left (Google, \"View and query VM metadata\"). Then it requests one from IAM for each request that it gets, and none by itself. Its further behaviour is not documented.\n\
- While IAM is away the metadata server answers 503 once its token is due, and asks IAM again for each request. (If it returned the token until its end, the outage would be shorter for all libraries.)\n\
- IAM and the metadata server answer at once, and IAM bears any load. If it doesn't, peaks become queues.\n\
- One program on an instance. More programs share the token of the metadata server, and IAM sees the first request only.\n\
- gce-auth: this version, default settings. The program (`peers/fleet`) and its tests compare its model with real `Credentials` and a clock moved by hand: request by request, within 0.1 ms.\n\
- google-auth 2.63.0, blocking as it is by default: `REFRESH_THRESHOLD` of 225 s (`google/auth/_helpers.py`), five attempts 1 s, 2 s, 4 s and 8 s apart, 10 % jitter (`google/auth/compute_engine/_metadata.py`, `google/auth/_exponential_backoff.py`). A call that finds the token stale asks and waits, and fails if that fails.\n\
- google-cloud-auth 1.19.0: `NORMAL_REFRESH_SLACK` of 240 s, `SHORT_REFRESH_SLACK` of 10 s, after a failure too (`src/token_cache.rs`), one attempt (`src/retry.rs`), in a task that runs also without callers.\n\
- Neither has jitter between processes. Both are modelled from their sources, not run.\n",
    );
}

fn percent(share: f64) -> String {
    if share == 0.0 {
        return "0".to_owned();
    }
    format!("{:.2} %", share * 100.0)
}

fn number(value: f64) -> String {
    grouped(value.round() as u64)
}

/// With a comma before each thousand.
fn grouped(value: impl Into<u64>) -> String {
    let digits = value.into().to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
