//! What signals and the admin listener do to a running agent.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use gce_auth_server::listen::Listener;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    listeners::{self, Bound, Place},
    policy::{Config, Limits, ListenConfig, Policy, SourceKind},
    state::State,
};

/// What signals and the admin listener do.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) state: Arc<State>,
    pub(crate) bound: Arc<Mutex<Vec<Bound>>>,
    /// What the file named when the agent was started: a source and an address of it.
    pub(crate) source: (Option<SourceKind>, Option<String>),
    /// Whether code named a source and an address: those of the file mean nothing then.
    pub(crate) is_named: (bool, bool),
    pub(crate) limits: Limits,
    pub(crate) parent: Option<u32>,
    pub(crate) own_uid: u32,
    pub(crate) opened: UnboundedSender<Listener>,
}

impl Control {
    pub(crate) fn places(&self) -> Vec<Place> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.iter().map(|bound| bound.place.clone()).collect()
    }

    pub(crate) fn show_listening(&self) {
        let shown = self.places().iter().map(ToString::to_string).collect();
        let mut listening = self.state.listening.lock();
        *listening.as_deref_mut().unwrap_or(&mut Vec::new()) = shown;
    }

    /// Reads the file again: see [`Agent::reload`]. Inside the runtime.
    pub(crate) fn reload(&self) -> Result<(), String> {
        if let Some(audit) = &self.state.audit
            && let Err(error) = audit.reopen()
        {
            self.state.log(&error);
        }
        let Some(file) = &self.state.config_file else {
            return Ok(());
        };
        self.reload_from(file).inspect_err(|why| {
            self.state
                .log(&format!("{why}; the rules before stay in force"));
        })
    }

    fn reload_from(&self, file: &Path) -> Result<(), String> {
        // Held to the end: of two reloads the one that reads the file last decides.
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let config = Config::read(file, self.own_uid).map_err(|error| error.to_string())?;
        let policy = narrowed(config.policy, &self.limits, self.parent)?;
        let wanted = |bound: &Bound| match &bound.config {
            Some(own) => config.listen.contains(own),
            None => true,
        };
        let known = |config: &&ListenConfig| {
            bound
                .iter()
                .any(|bound| bound.config.as_ref() == Some(*config))
        };
        // Nothing changes before all of it can.
        let (mut opened, mut taken_over) = (Vec::new(), Vec::new());
        for config in config.listen.iter().filter(|config| !known(config)) {
            let old = bound
                .iter()
                .position(|bound| !wanted(bound) && bound.is_at(config));
            let new = match old {
                Some(at) => bound[at].reconfigured(config),
                None => listeners::configured(config),
            };
            taken_over.extend(old.map(|old| (old, opened.len())));
            opened.push(new.map_err(|error| error.to_string())?);
        }
        for (old, new) in taken_over {
            let yielded = bound[old].yield_to(&mut opened[new].0);
            yielded.map_err(|error| error.to_string())?;
        }
        bound.retain(wanted);
        for (new, listener) in opened {
            bound.push(new);
            let _ = self.opened.send(listener);
        }
        self.state.exchange_rules(policy);
        drop(bound);
        self.show_listening();
        self.state
            .log(&format!("the rules of {} are in force", file.display()));
        let (source, upstream) = &self.source;
        if (!self.is_named.0 && config.source != *source)
            || (!self.is_named.1 && config.upstream != *upstream)
        {
            self.state.log(
                "`source` and `upstream` of the file are read when the agent is started, and changed \
                 since; restart it",
            );
        }
        Ok(())
    }

    pub(crate) fn flush(&self) {
        self.state.tokens.flush();
        self.state.log("all tokens were dropped");
    }
}

/// The rules of the file with what the arguments say.
pub(crate) fn narrowed(
    policy: Policy,
    limits: &Limits,
    parent: Option<u32>,
) -> Result<Policy, String> {
    let policy = policy.limited(limits)?;
    match parent {
        Some(parent) => policy.for_program(parent),
        None => Ok(policy),
    }
}
