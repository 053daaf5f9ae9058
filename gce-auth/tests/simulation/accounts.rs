//! Accounts that change while the process runs, and signers that follow them.

use std::{collections::HashMap, time::Duration};

use crate::{
    callers::World,
    handles::Handle,
    judge::SIGNER_BUDGET,
    servers::{METADATA, Net},
    sources::ACCOUNT,
};

/// Beyond its budget a signature may be under way for so long.
const BEYOND: Duration = Duration::from_secs(20);
const FOLDER: &str = "/service-accounts/";

/// The accounts of metadata servers, and who may still sign as an earlier one.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// For each server when its account changed: before these events it was
    /// number 0, 1 and so on.
    changes: HashMap<&'static str, Vec<u64>>,
    /// For each class the least account that it may sign as from now on.
    least: HashMap<usize, usize>,
    /// Signatures that are under way: of which class, the least account at
    /// their beginning, and until when they may go on.
    signing: Vec<(usize, usize, Duration)>,
}

fn name(number: usize) -> String {
    match number {
        0 => ACCOUNT.to_owned(),
        _ => format!("a{number}{}", &ACCOUNT[1..]),
    }
}

impl Accounts {
    fn at(&self, server: &str, moment: u64) -> usize {
        let changes = self.changes.get(server).into_iter().flatten();
        changes.filter(|at| **at <= moment).count()
    }
}

impl Net {
    /// Attaches another account to a metadata server.
    pub(crate) fn change_account(&self, server: &'static str) {
        if !METADATA.contains(&server) {
            return;
        }
        let mut state = self.lock();
        state.events += 1;
        let moment = state.events;
        state
            .accounts
            .changes
            .entry(server)
            .or_default()
            .push(moment);
        drop(state);
        self.stage
            .tell(|| format!("{server}: another account is attached"));
    }

    /// The account that a metadata server says it has; `None` if another one is
    /// asked for, by its name.
    pub(crate) fn account(&self, server: &str, path: &str) -> Option<String> {
        let state = self.lock();
        let current = name(state.accounts.at(server, u64::MAX));
        let asked = path.split_once(FOLDER).map_or("", |(_, rest)| rest);
        let asked = asked.split('/').next().unwrap_or_default();
        let is_named = asked.contains('@') || asked.contains("%40");
        let is_current = asked.replace("%40", "@") == current;
        (!is_named || is_current).then_some(current)
    }

    /// Takes note that all that is known of an account was asked anew: from
    /// `moment` on at the earliest.
    pub(crate) fn follows(&self, class: usize, server: &str, moment: u64) {
        let mut state = self.lock();
        let least = state.accounts.at(server, moment);
        let known = state.accounts.least.entry(class).or_default();
        *known = least.max(*known);
    }

    /// Fails if a class asks for a signature of an account that it should know is
    /// gone.
    pub(crate) fn judge_signatory(&self, class: usize, path: &str) {
        let Some((_, rest)) = path.split_once("serviceAccounts/") else {
            return;
        };
        let Some((account, _)) = rest.split_once(":signBlob") else {
            return;
        };
        let running = self.stage.running();
        let state = self.lock();
        let mine = state.accounts.signing.iter();
        let mine = mine.filter(|(of, _, until)| *of == class && *until >= running);
        let Some(least) = mine.map(|(_, least, _)| *least).min() else {
            return;
        };
        let old = (0..least).map(name).any(|name| name == account);
        drop(state);
        self.stage.check(!old, || {
            format!("class {class} signs as {account}, which was replaced before its refresh")
        });
    }
}

impl World {
    /// Has `sign` make a signature, which must be of the account that was known
    /// before.
    pub(crate) fn signing<R>(&self, handle: &Handle, sign: impl FnOnce() -> R) -> R {
        let class = handle.class;
        let mut state = self.net.lock();
        let least = state
            .accounts
            .least
            .get(&class)
            .copied()
            .unwrap_or_default();
        let signing = (class, least, Duration::MAX);
        state.accounts.signing.push(signing);
        drop(state);
        let signed = sign();
        let until = self.stage.running() + SIGNER_BUDGET + BEYOND;
        let mut state = self.net.lock();
        let signings = &mut state.accounts.signing;
        let own = signings.iter().position(|it| *it == signing).unwrap();
        signings[own].2 = until;
        drop(state);
        signed
    }
}
