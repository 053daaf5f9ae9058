//! Callers of every kind.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL};
use gce_auth::{ErrorKind, Headers};
use serde_json::json;

use crate::{
    handles::Handle,
    judge::{SIGNER_BUDGET, Slot},
    part::{Bell, me},
    servers::{IAM, Net},
    sources::Kind,
    stage::Stage,
};

/// The world that callers share.
pub(crate) struct World {
    pub(crate) stage: Arc<Stage>,
    pub(crate) net: Arc<Net>,
    slots: Mutex<HashMap<String, Slot>>,
    /// When a class was sent the request that brought the keys that it has, or
    /// earlier ones.
    pub(crate) keys: Mutex<HashMap<usize, Duration>>,
}

/// What was true before a call.
pub(crate) struct Before {
    pub(crate) running: Duration,
    pub(crate) changes: u64,
    pub(crate) upheavals: u64,
    pub(crate) drops: u64,
    pub(crate) refreshed: u64,
    pub(crate) rejected: HashMap<String, u64>,
    /// Whether a refresh that a program asked for may be out.
    pub(crate) forced: bool,
}

impl World {
    pub(crate) fn new(stage: &Arc<Stage>, net: &Arc<Net>) -> Arc<Self> {
        Arc::new(Self {
            stage: Arc::clone(stage),
            net: Arc::clone(net),
            slots: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    fn change<R>(&self, handle: &Handle, change: impl FnOnce(&mut Slot) -> R) -> R {
        let mut slots = self.slots.lock().unwrap();
        let slot = slots.entry(handle.slot.clone()).or_default();
        slot.changes += 1;
        change(slot)
    }

    pub(crate) fn before(&self, handle: &Handle) -> Before {
        let mut slots = self.slots.lock().unwrap();
        let slot = slots.entry(handle.slot.clone()).or_default();
        let running = self.stage.running();
        Before {
            running,
            forced: slot.out.iter().any(|(.., until)| *until >= running),
            changes: slot.changes,
            upheavals: self.stage.upheavals(),
            drops: handle.crew.drops(),
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
        self.judge(handle, &before, cached.as_deref(), blocking, &outcome);
        if let Ok(headers) = outcome {
            *last = Some(headers);
        }
    }

    pub(crate) fn refresh(&self, handle: &Handle) {
        let (blocking, give_up) = self
            .stage
            .roll(|dice| (dice.one_in(2), dice.one_in(6).then(|| dice.millis(0, 3000))));
        self.stage
            .tell(|| format!("class {} refreshes", handle.class));
        let before = self.before(handle);
        let (asked, running) = (self.net.moment(), before.running);
        // It may join one that is out, by equal settings.
        let earliest = self.change(handle, |slot| {
            slot.out.retain(|(.., until)| *until >= running);
            let same = slot.out.iter().filter(|(of, ..)| *of == handle.class);
            let earliest = same.map(|(_, asked, _)| *asked).min();
            slot.out.push((handle.class, asked, Duration::MAX));
            earliest.map_or(asked, |earliest| earliest.min(asked))
        });
        let outcome = self.net.forcing(&handle.path, || {
            if blocking {
                Some(handle.blocking_refresh())
            } else {
                self.drive(handle.refresh(), give_up)
            }
        });
        let is_done = matches!(outcome, Some(Ok(())));
        let until = if is_done {
            Duration::ZERO
        } else {
            self.stage.running() + handle.budget + Duration::from_secs(15)
        };
        self.change(handle, |slot| {
            let own = (handle.class, asked, Duration::MAX);
            let own = slot.out.iter().position(|it| *it == own).unwrap();
            slot.out[own].2 = until;
            if is_done {
                slot.refreshed = slot.refreshed.max(earliest);
            }
        });
        if is_done && handle.kind == Kind::Metadata {
            self.net.follows(handle.class, handle.metadata, earliest);
        }
        if let Some(outcome) = outcome {
            if let Err(error) = &outcome {
                self.judge_error(handle, &handle.servers, &before, blocking, error);
            }
            self.judge_time(handle.budget, &before, || "refresh".to_owned());
            self.judge_delay(handle, &handle.servers, handle.budget, &before);
        }
    }

    pub(crate) fn invalidate(&self, handle: &Handle, headers: &Headers) {
        let value = headers.authorization().unwrap().to_str().unwrap();
        let token = value.strip_prefix("Bearer ").unwrap().to_owned();
        if self.stage.roll(|dice| dice.one_in(2)) {
            self.net.revoke(handle.maker());
        }
        let moment = self.net.moment();
        self.net.note_rejected(&token);
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
        let outcome = self.net.asking_project(handle.class, || {
            if blocking {
                Some(handle.client.blocking_project_id())
            } else {
                self.drive(handle.client.project_id(), give_up)
            }
        });
        let Some(outcome) = outcome else { return };
        let servers = [handle.metadata];
        if let Err(error) = &outcome {
            self.judge_error(handle, &servers, &before, blocking, error);
        }
        self.judge_time(handle.own_budget, &before, || "project_id".to_owned());
        self.judge_delay(handle, &servers, handle.own_budget, &before);
    }

    pub(crate) fn sign(&self, handle: &Handle) {
        let blocking = self.stage.roll(|dice| dice.one_in(2));
        let before = self.before(handle);
        let outcome = self.signing(handle, || {
            if blocking {
                handle.signer.blocking_sign_bytes(b"bytes")
            } else {
                self.drive(handle.signer.sign_bytes(b"bytes"), None)
                    .unwrap()
            }
        });
        let servers = [handle.metadata, IAM];
        if let Err(error) = outcome {
            self.judge_signature(handle, &servers, SIGNER_BUDGET, &before, &error);
        }
        self.judge_time(SIGNER_BUDGET, &before, || "sign".to_owned());
        self.judge_delay(handle, &servers, SIGNER_BUDGET, &before);
    }

    /// Verifies a token that is good but for its signature, or the key of it.
    pub(crate) fn verify(&self, handle: &Handle) {
        let (blocking, known) = self.stage.roll(|dice| (dice.one_in(2), !dice.one_in(4)));
        let key = if known { "k" } else { "another" };
        let now = self.stage.true_wall().as_secs();
        let claims =
            json!({"iss": "i", "aud": "me", "sub": "s", "iat": now - 10, "exp": now + 20_000});
        let token = format!(
            "{}.{}.c2ln",
            URL.encode(json!({"alg": "RS256", "kid": key}).to_string()),
            URL.encode(claims.to_string())
        );
        let before = self.before(handle);
        let in_hand = known && self.has_keys(handle);
        let outcome = if blocking {
            handle.verifier.blocking_verify(&token)
        } else {
            self.drive(handle.verifier.verify(&token), None).unwrap()
        };
        let Err(error) = outcome else {
            self.stage.fail("a token without a key is accepted");
        };
        self.judge_keys(handle, &before, in_hand, &error);
        if error.kind() == ErrorKind::Rejected {
            self.note_keys(handle);
        }
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
