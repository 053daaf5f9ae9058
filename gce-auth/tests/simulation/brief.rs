//! Credentials that live for one call, and calls that are given up.

use std::{collections::HashMap, time::Duration};

use gce_auth::Credentials;

use crate::{
    callers::World,
    handles::Handle,
    servers::{Asked, Net},
};

/// What was left by its last handle stays for at least so long.
const LINGERS: Duration = Duration::from_secs(290);
/// A getter that has begun asks for no longer than this.
const GETTER: Duration = Duration::from_secs(60);
const PROJECT: &str = "/project/project-id";

/// The handles of a class that live, and when the last one was dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    holders: usize,
    left: Option<Duration>,
}

impl World {
    /// Builds credentials, asks them for headers, and drops them. They fetch unless
    /// a fresh token of earlier ones is still held.
    pub(crate) fn ask_once(&self, handle: &Handle) {
        let (class, account) = (handle.class, format!("brief{}", handle.class));
        let path = format!(
            "{}/computeMetadata/v1/instance/service-accounts/{account}/token",
            handle.metadata
        );
        self.net.brief(
            class,
            |held| {
                let stays = held
                    .left
                    .is_some_and(|left| self.stage.boot() < left + LINGERS);
                held.holders += 1;
                held.holders > 1 || stays
            },
            &path,
        );
        let credentials = Credentials::builder()
            .client(handle.client.clone())
            .service_account(&account)
            .build()
            .unwrap();
        let blocking = self.stage.roll(|dice| dice.one_in(2));
        let before = self.before(handle);
        if blocking {
            let _ = credentials.blocking_headers();
        } else {
            let _ = self.drive(credentials.headers(), None);
        }
        self.judge_time(handle.own_budget, &before, || "headers once".to_owned());
        drop(credentials);
        let boot = self.stage.boot();
        let mut state = self.net.lock();
        let held = state.brief.entry(class).or_default();
        held.holders -= 1;
        held.left = Some(boot);
    }
}

impl Net {
    /// Notes a handle that is about to be built; where nothing may be left, its
    /// token may be fetched.
    fn brief(&self, class: usize, holds: impl FnOnce(&mut Held) -> bool, path: &str) {
        let mut state = self.lock();
        let stays = holds(state.brief.entry(class).or_default());
        if !stays {
            state.fresh.remove(&(path.to_owned(), class));
            state.failed.remove(&(path.to_owned(), class));
        }
    }

    /// Has `ask` ask for the project, and takes note of when the last caller of
    /// the class has gone.
    pub(crate) fn asking_project<R>(&self, class: usize, ask: impl FnOnce() -> R) -> R {
        self.lock().asking.entry(class).or_default().holders += 1;
        let asked = ask();
        let running = self.stage.running();
        let mut state = self.lock();
        let held = state.asking.entry(class).or_default();
        held.holders -= 1;
        held.left = Some(running);
        asked
    }

    /// Fails if a getter begins though its last caller has gone.
    pub(crate) fn judge_begun(&self, class: usize, path: &str) {
        if !path.ends_with(PROJECT) {
            return;
        }
        let running = self.stage.running();
        let state = self.lock();
        let recent = |it: &Asked| it.class == class && it.path == path && it.at + GETTER >= running;
        // One that began before may go on, and ask again.
        let begun = state.asked.iter().any(recent);
        let held: &HashMap<usize, Held> = &state.asking;
        let gone = held.get(&class).and_then(|held| {
            let left = held.left.filter(|left| *left < running);
            left.filter(|_| held.holders == 0)
        });
        drop(state);
        self.stage.check(begun || gone.is_none(), || {
            format!("class {class} asks for {path}, which no caller waits for since {gone:?}")
        });
    }
}
