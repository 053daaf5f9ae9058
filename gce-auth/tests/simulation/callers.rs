//! Callers of every kind, and what must be true of what they get.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use gce_auth::{Error, ErrorKind, Headers};

use crate::{
    executors::Manner,
    handles::Handle,
    servers::{IAM, KEYS, Net},
    stage::{Bell, Stage, me},
};

/// Beyond its budget an operation has this long.
const BEYOND: Duration = Duration::from_secs(2);
/// A server that has been well for so long owes nothing to an outage.
const RECOVERED: Duration = Duration::from_secs(45);
/// A token that is this close to its end may count as expired.
const SKEW: Duration = Duration::from_secs(6);
const SIGNER_BUDGET: Duration = Duration::from_secs(60);
const KEYS_BUDGET: Duration = Duration::from_secs(10);

/// What was done to a slot on purpose.
#[derive(Debug, Default)]
struct Slot {
    /// No token that was given before this event may be handed out.
    refreshed: u64,
    /// Rejected tokens, and when.
    rejected: HashMap<String, u64>,
    /// Counts both.
    changes: u64,
}

/// The world that callers share.
pub(crate) struct World {
    pub(crate) stage: Arc<Stage>,
    pub(crate) net: Arc<Net>,
    slots: Mutex<HashMap<String, Slot>>,
}

/// What was true before a call.
struct Before {
    running: Duration,
    changes: u64,
    upheavals: u64,
    refreshed: u64,
    rejected: HashMap<String, u64>,
}

impl World {
    pub(crate) fn new(stage: &Arc<Stage>, net: &Arc<Net>) -> Arc<Self> {
        Arc::new(Self {
            stage: Arc::clone(stage),
            net: Arc::clone(net),
            slots: Mutex::default(),
        })
    }

    fn change(&self, handle: &Handle, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.slots.lock().unwrap();
        let slot = slots.entry(handle.slot.clone()).or_default();
        slot.changes += 1;
        change(slot);
    }

    fn before(&self, handle: &Handle) -> Before {
        let mut slots = self.slots.lock().unwrap();
        let slot = slots.entry(handle.slot.clone()).or_default();
        Before {
            running: self.stage.running(),
            changes: slot.changes,
            upheavals: self.stage.upheavals(),
            refreshed: slot.refreshed,
            rejected: slot.rejected.clone(),
        }
    }

    /// Asks for headers, in one of many ways, and judges what comes.
    pub(crate) fn headers(&self, handle: &Handle, last: &mut Option<Headers>) {
        let (blocking, give_up) = self.stage.roll(|dice| {
            let give_up = dice.one_in(6).then(|| dice.millis(0, 3000));
            (dice.one_in(2), give_up)
        });
        let before = self.before(handle);
        let cached = handle.cached();
        self.stage.tell(|| {
            format!(
                "class {} wants headers, {blocking} {cached:?}",
                handle.class
            )
        });
        let outcome = if blocking {
            Some(handle.blocking_headers())
        } else {
            self.drive(handle.headers(), give_up)
        };
        self.stage.tell(|| {
            format!(
                "class {} gets {outcome:?} in {:?}",
                handle.class, handle.mode
            )
        });
        let Some(outcome) = outcome else { return };
        self.judge(handle, &before, cached.as_deref(), &outcome);
        if let Ok(headers) = outcome {
            *last = Some(headers);
        }
    }

    fn judge(
        &self,
        handle: &Handle,
        before: &Before,
        cached: Option<&str>,
        outcome: &Result<Headers, Error>,
    ) {
        let after = self.before(handle);
        let took = after.running - before.running;
        let undisturbed = before.changes == after.changes && before.upheavals == after.upheavals;
        match outcome {
            Ok(headers) => self.judge_token(handle, before, headers),
            Err(error) => {
                self.judge_error(handle, before, error);
                if let Some(token) = cached.filter(|_| undisturbed) {
                    let expires = self.net.truth(token).unwrap().expires;
                    // A wall clock that is ahead calls it expired as well.
                    let expired = expires <= self.stage.boot() + SKEW || !self.stage.is_right();
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
        // A renewal on the caller's own thread has a budget, and what is asked for
        // after it has another.
        let gives_back = handle.manner == Manner::GivesBack;
        let budget = handle.budget * if gives_back { 2 } else { 1 };
        self.judge_time(budget, before, || "headers".to_owned());
    }

    fn judge_token(&self, handle: &Handle, before: &Before, headers: &Headers) {
        let value = headers.authorization().unwrap().to_str().unwrap();
        let token = value.strip_prefix("Bearer ").unwrap();
        let stage = &self.stage;
        let Some(truth) = self.net.truth(token) else {
            stage.fail(&format!("a token that no server gave: {token}"));
        };
        let boot = stage.boot();
        stage.check(truth.expires > boot, || {
            format!(
                "{token} expired {:?} before it was handed out",
                boot - truth.expires
            )
        });
        stage.check(truth.given >= before.refreshed, || {
            format!("{token} was fetched before a refresh of {}", handle.slot)
        });
        if let Some(rejected) = before.rejected.get(token) {
            let again = truth.asked > *rejected || self.net.gives_again(token);
            stage.check(again, || format!("{token} of {} was rejected", handle.slot));
        }
    }

    /// Whether nothing but the handle's own settings can make a call fail.
    fn owes_nothing(&self, handle: &Handle, servers: &[&str], begun: Duration) -> bool {
        let well = servers.iter().map(|name| self.net.well_since(name)).max();
        let calm = well.unwrap().max(self.stage.upset_at());
        let right = self.stage.is_right() || handle.is_access();
        handle.is_patient && right && calm.saturating_add(RECOVERED) < begun
    }

    fn judge_error(&self, handle: &Handle, before: &Before, error: &Error) {
        // Equal settings share a refresh, also one that their executor keeps
        // until its budget is nearly spent.
        let reliable = matches!(handle.manner, Manner::Good | Manner::GivesBack);
        if reliable && self.owes_nothing(handle, &[handle.server], before.running) {
            let manner = handle.manner;
            self.stage.fail(&format!(
                "class {} ({manner:?}) fails at a healthy server: {error:?}",
                handle.class
            ));
        }
        let text = format!("{error:?}");
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

    fn judge_time(&self, budget: Duration, before: &Before, what: impl FnOnce() -> String) {
        let took = self.stage.running() - before.running;
        // An attempt that was cut in two by a suspend is made again.
        let cuts = u32::try_from(self.stage.upheavals() - before.upheavals).unwrap();
        let attempt = if budget > SIGNER_BUDGET { 15 } else { 3 };
        let budget = budget + Duration::from_secs(attempt) * cuts;
        self.stage.check(took <= budget + BEYOND, || {
            format!("{} took {took:?} with a budget of {budget:?}", what())
        });
    }

    pub(crate) fn refresh(&self, handle: &Handle) {
        let (blocking, give_up) = self
            .stage
            .roll(|dice| (dice.one_in(2), dice.one_in(6).then(|| dice.millis(0, 3000))));
        let moment = self.net.moment();
        self.stage
            .tell(|| format!("class {} refreshes", handle.class));
        let before = self.before(handle);
        self.change(handle, |_| {});
        let outcome = self.net.forcing(&handle.path, || {
            if blocking {
                Some(handle.blocking_refresh())
            } else {
                self.drive(handle.refresh(), give_up)
            }
        });
        match outcome {
            Some(Ok(())) => self.change(handle, |slot| {
                slot.refreshed = slot.refreshed.max(moment);
            }),
            Some(Err(error)) => self.judge_error(handle, &before, &error),
            None => return self.change(handle, |_| {}),
        }
        self.change(handle, |_| {});
        self.judge_time(handle.budget, &before, || "refresh".to_owned());
    }

    pub(crate) fn invalidate(&self, handle: &Handle, headers: &Headers) {
        let value = headers.authorization().unwrap().to_str().unwrap();
        let token = value.strip_prefix("Bearer ").unwrap().to_owned();
        if self.stage.roll(|dice| dice.one_in(2)) {
            self.net.revoke(handle.server);
        }
        let moment = self.net.moment();
        self.net.forcing(&handle.path, || {
            self.change(handle, |_| {});
            let rejected = handle.invalidate(headers);
            self.stage
                .tell(|| format!("class {} rejects {token}: {rejected}", handle.class));
            let gone = rejected && handle.held().as_ref() != Some(&token);
            self.change(handle, |slot| {
                if gone {
                    slot.rejected.insert(token, moment);
                }
            });
        });
    }

    pub(crate) fn project_id(&self, handle: &Handle) {
        let (blocking, give_up) = self
            .stage
            .roll(|dice| (dice.one_in(2), dice.one_in(4).then(|| dice.millis(0, 3000))));
        let before = self.before(handle);
        let outcome = if blocking {
            Some(handle.client.blocking_project_id())
        } else {
            self.drive(handle.client.project_id(), give_up)
        };
        let Some(outcome) = outcome else { return };
        if let Err(error) = &outcome {
            self.judge_error(handle, &before, error);
        }
        self.judge_time(handle.budget, &before, || "project_id".to_owned());
    }

    pub(crate) fn sign(&self, handle: &Handle) {
        let before = self.before(handle);
        let outcome = self.drive(handle.signer.sign(b"bytes"), None).unwrap();
        let servers = [handle.server, IAM];
        if let Err(error) = outcome {
            let reliable = matches!(handle.manner, Manner::Good | Manner::GivesBack);
            if reliable && self.owes_nothing(handle, &servers, before.running) {
                self.stage.fail(&format!("a signature fails: {error:?}"));
            }
        }
        // The token that its last attempt carries has a budget of its own.
        let budget = SIGNER_BUDGET + handle.budget;
        self.judge_time(budget, &before, || "sign".to_owned());
    }

    pub(crate) fn verify(&self, handle: &Handle) {
        // {"alg":"RS256","kid":"k"}, and claims that are valid for years.
        let now = self.stage.true_wall().as_secs();
        let claims = format!(
            r#"{{"iss":"i","aud":"me","sub":"s","iat":{},"exp":{}}}"#,
            now - 10,
            now + 20_000
        );
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL};
        let token = format!(
            "{}.{}.c2ln",
            URL.encode(r#"{"alg":"RS256","kid":"k"}"#),
            URL.encode(claims)
        );
        let blocking = self.stage.roll(|dice| dice.one_in(2));
        let before = self.before(handle);
        let outcome = if blocking {
            handle.verifier.blocking_verify(&token)
        } else {
            self.drive(handle.verifier.verify(&token), None).unwrap()
        };
        let Err(error) = outcome else {
            self.stage.fail("a token without a key is accepted");
        };
        let reliable = matches!(handle.manner, Manner::Good | Manner::GivesBack);
        if reliable && self.owes_nothing(handle, &[KEYS], before.running) {
            self.stage.check(error.kind() == ErrorKind::Rejected, || {
                format!("keys do not come: {error:?}")
            });
        }
        self.judge_time(KEYS_BUDGET, &before, || "verify".to_owned());
    }

    /// Polls a future until it is ready, or drops it after some time.
    pub(crate) fn drive<F: Future>(
        &self,
        future: F,
        give_up: Option<Duration>,
    ) -> Option<F::Output> {
        let waker = Waker::from(Arc::new(Bell {
            stage: Arc::clone(&self.stage),
            actor: me(),
        }));
        let end = give_up.map(|time| self.stage.running() + time);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            if end.is_some_and(|end| self.stage.running() >= end) {
                return None;
            }
            self.stage.wait_until(end.unwrap_or(Duration::MAX));
        }
    }
}
