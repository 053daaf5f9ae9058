//! What must be true of what callers get.

use std::{collections::HashMap, time::Duration};

use gce_auth::{Error, ErrorKind, Headers};

use crate::{
    callers::{Before, World},
    executors::Manner,
    handles::Handle,
    servers::KEYS,
    sources::Kind,
};

/// Beyond its budget an operation has this long.
const BEYOND: Duration = Duration::from_secs(2);
/// What asks healthy servers takes no longer, whatever hangs elsewhere.
const PROMPT: Duration = Duration::from_secs(8);
/// A token that is this close to its end may count as expired.
const SKEW: Duration = Duration::from_secs(6);
/// Servers say whole seconds, and answers take their time.
const UNSURE: Duration = Duration::from_secs(3);
/// A token that was fetched under a wrong wall clock is gone by then.
const FORGOTTEN: Duration = Duration::from_secs(3700);
/// Keys that could not be renewed are used for so long.
const KEYS_LIFE: Duration = Duration::from_secs(24 * 3600);
const KEYS_PAUSE: Duration = Duration::from_secs(30);
pub(crate) const SIGNER_BUDGET: Duration = Duration::from_secs(60);
pub(crate) const KEYS_BUDGET: Duration = Duration::from_secs(10);

/// What was done to a slot on purpose.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// No token that was asked for before this event may be handed out.
    pub(crate) refreshed: u64,
    /// Rejected tokens, and when.
    pub(crate) rejected: HashMap<String, u64>,
    /// Counts both.
    pub(crate) changes: u64,
    /// The refreshes that programs asked for: of which class, what they may
    /// bring at the earliest, and until when they may be out.
    pub(crate) out: Vec<(usize, u64, Duration)>,
}

impl World {
    pub(crate) fn judge(
        &self,
        handle: &Handle,
        before: &Before,
        cached: Option<&str>,
        blocking: bool,
        outcome: &Result<Headers, Error>,
    ) {
        let after = self.before(handle);
        let took = after.running - before.running;
        let undisturbed = before.changes == after.changes && before.upheavals == after.upheavals;
        match outcome {
            Ok(headers) => {
                self.judge_token(handle, before, headers);
                let free = undisturbed && !before.forced && !after.forced;
                if let Some(cached) = cached.filter(|_| free) {
                    self.judge_renewal(handle, cached);
                }
            }
            Err(error) => {
                self.judge_error(handle, &handle.servers, before, blocking, error);
                if let Some(token) = cached.filter(|_| undisturbed) {
                    let truth = self.net.truth(token).unwrap();
                    // A wall clock that has been set ahead since calls it expired as well.
                    let ahead = self.stage.set().saturating_sub(truth.set);
                    let expired = truth.expires <= self.stage.boot() + ahead + SKEW
                        || !self.stage.is_right()
                        || handle.is_dated && after.running < self.stage.upset_at() + FORGOTTEN;
                    let waits = handle.waits_for_renewals();
                    let kept = !waits || !expired;
                    self.stage.check(!kept, || {
                        format!("an error with the token {token} in hand: {error:?}")
                    });
                }
            }
        }
        if !handle.waits_for_renewals() && cached.is_some() && undisturbed {
            self.stage.check(took.is_zero(), || {
                format!("a wait of {took:?} with the token {cached:?} in hand")
            });
        }
        self.judge_time(handle.budget, before, || "headers".to_owned());
        self.judge_delay(handle, &handle.servers, handle.budget, before);
    }

    /// Whether the wall clock is wrong, or was as a token came that is held.
    fn may_be_wrong(&self) -> bool {
        let upset = self.stage.upset_at();
        !self.stage.is_right() || !upset.is_zero() && self.stage.running() < upset + FORGOTTEN
    }

    /// A renewal leaves a token in place that lives longer.
    fn judge_renewal(&self, handle: &Handle, cached: &str) {
        // What was rejected is replaced, also if it lives longer.
        let rejected = self.net.lock().rejected.contains(cached);
        let right = !rejected && !self.may_be_wrong();
        let ends = |token: &str| self.net.truth(token).map(|truth| truth.expires);
        let held = handle.held();
        if let (Some(before), Some(after)) = (ends(cached), held.and_then(|it| ends(&it))) {
            self.stage.check(after + UNSURE >= before || !right, || {
                format!(
                    "a renewal of {} shortened {before:?} to {after:?}",
                    handle.slot
                )
            });
        }
    }

    fn judge_token(&self, handle: &Handle, before: &Before, headers: &Headers) {
        let value = headers.authorization().unwrap().to_str().unwrap();
        let token = value.strip_prefix("Bearer ").unwrap();
        let stage = &self.stage;
        let Some(truth) = self.net.truth(token) else {
            stage.fail(&format!("a token that no server gave: {token}"));
        };
        let boot = stage.boot();
        // IAM says when an access token ends, and not how long it lives; an ID token
        // that is given again says when it was new. A wall clock that is behind
        // gives both more time.
        let dated = handle.kind == Kind::Impersonated || handle.is_dated && truth.again;
        let unsure = dated && self.may_be_wrong();
        stage.check(truth.expires > boot || unsure, || {
            format!(
                "{token} expired {:?} before it was handed out",
                boot - truth.expires
            )
        });
        stage.check(truth.asked >= before.refreshed, || {
            format!(
                "{token} was asked for before a refresh of {} (event {} of {})",
                handle.slot, truth.asked, before.refreshed
            )
        });
        if let Some(rejected) = before.rejected.get(token) {
            let again = truth.asked > *rejected || self.net.gives_again(token);
            stage.check(again, || format!("{token} of {} was rejected", handle.slot));
        }
    }

    /// Whether nothing but the handle's own settings can make a call fail, or
    /// take long. What began during an outage is over after `longest`.
    fn owes_nothing(
        &self,
        handle: &Handle,
        servers: &[&'static str],
        longest: Duration,
        begun: Duration,
    ) -> bool {
        let well = servers.iter().map(|name| self.net.well_since(name)).max();
        let calm = well.unwrap().max(self.stage.upset_at());
        let right = self.stage.is_right() || !handle.is_dated;
        let recovered = longest + Duration::from_secs(15);
        handle.is_patient && right && calm.saturating_add(recovered) < begun
    }

    /// `servers` is what the call asks.
    pub(crate) fn judge_error(
        &self,
        handle: &Handle,
        servers: &[&'static str],
        before: &Before,
        blocking: bool,
        error: &Error,
    ) {
        let text = format!("{error:?}");
        // A blocking caller does the work itself where its executor begins none; an
        // earlier failure of the executor is none of the server.
        let undropped = blocking && handle.crew.drops() == before.drops;
        let undropped = match handle.manner {
            Manner::Never => undropped,
            Manner::Drops => undropped && text.contains("executor dropped"),
            _ => false,
        };
        if (handle.is_reliable() || undropped)
            && self.owes_nothing(handle, servers, handle.budget, before.running)
        {
            let (class, manner) = (handle.class, handle.manner);
            self.stage.fail(&format!(
                "class {class} ({manner:?}, blocking: {blocking}) fails at healthy servers: {error:?}"
            ));
        }
        if let Some((_, of)) = text.split_once("for class ") {
            let of: String = of.chars().take_while(char::is_ascii_digit).collect();
            self.stage.check(of == handle.class.to_string(), || {
                format!(
                    "class {} gets an error of other settings: {text}",
                    handle.class
                )
            });
        }
        let own = handle.manner == Manner::Drops || !text.contains("executor dropped");
        self.stage.check(own, || {
            format!(
                "class {} gets the failure of another's executor: {text}",
                handle.class
            )
        });
    }

    pub(crate) fn judge_signature(
        &self,
        handle: &Handle,
        servers: &[&'static str],
        longest: Duration,
        before: &Before,
        error: &Error,
    ) {
        let fails =
            handle.is_reliable() && self.owes_nothing(handle, servers, longest, before.running);
        self.stage
            .check(!fails, || format!("a signature fails: {error:?}"));
    }

    pub(crate) fn judge_time(
        &self,
        budget: Duration,
        before: &Before,
        what: impl FnOnce() -> String,
    ) {
        let took = self.stage.running() - before.running;
        // An attempt that was cut in two by a suspend is made again.
        let cuts = u32::try_from(self.stage.upheavals() - before.upheavals).unwrap();
        let attempt = Duration::from_secs(15).min(budget);
        let budget = budget + attempt * cuts;
        self.stage.check(took <= budget + BEYOND, || {
            format!("{} took {took:?} with a budget of {budget:?}", what())
        });
    }

    /// The trouble of one server delays nothing at another.
    pub(crate) fn judge_delay(
        &self,
        handle: &Handle,
        servers: &[&'static str],
        longest: Duration,
        before: &Before,
    ) {
        let took = self.stage.running() - before.running;
        let calm = before.upheavals == self.stage.upheavals()
            && servers
                .iter()
                .all(|name| self.net.well_since(name) < before.running);
        if calm
            && handle.is_reliable()
            && self.owes_nothing(handle, servers, longest, before.running)
        {
            self.stage.check(took <= PROMPT, || {
                format!("class {} waits {took:?} for {servers:?}", handle.class)
            });
        }
    }

    /// Judges what a verification of a token that is signed by `key` gave.
    pub(crate) fn judge_keys(
        &self,
        handle: &Handle,
        before: &Before,
        in_hand: bool,
        error: &Error,
    ) {
        let took = self.stage.running() - before.running;
        let rejected = error.kind() == ErrorKind::Rejected;
        if in_hand {
            self.stage.check(rejected, || {
                format!("keys in hand do not verify: {error:?}")
            });
            self.stage.check(took.is_zero() || handle.works_here(), || {
                format!("keys in hand wait {took:?} for their renewal")
            });
        }
        // Keys that failed to come are not asked for again before a pause.
        let longest = KEYS_BUDGET + KEYS_PAUSE;
        if handle.is_reliable() && self.owes_nothing(handle, &[KEYS], longest, before.running) {
            self.stage
                .check(rejected, || format!("keys do not come: {error:?}"));
        }
        self.judge_time(KEYS_BUDGET, before, || "verify".to_owned());
        self.judge_delay(handle, &[KEYS], KEYS_BUDGET, before);
    }

    /// Whether keys that were fetched once are still to be used.
    pub(crate) fn has_keys(&self, handle: &Handle) -> bool {
        let came = self.keys.lock().unwrap().get(&handle.class).copied();
        came.is_some_and(|came| self.stage.boot() < came + KEYS_LIFE)
    }

    /// Takes note that the verifier of `handle` has keys.
    pub(crate) fn note_keys(&self, handle: &Handle) {
        if let Some(first) = self.net.first_keys(handle.class) {
            self.keys
                .lock()
                .unwrap()
                .entry(handle.class)
                .or_insert(first);
        }
    }
}
