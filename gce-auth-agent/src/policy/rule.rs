//! A rule: which callers it is for, and what they may have.

use std::{net::IpAddr, sync::Arc, time::Duration};

use gce_auth_server::listen::Network;

use super::{Rate, glob::Glob};
use crate::caller::{Caller, Fact, Process};

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) caller: CallerTest,
    pub(super) deny: bool,
    pub(super) rate: Option<Rate>,
    pub(super) allow: Allow,
}

/// What must hold of a caller. `None` holds of every one.
#[derive(Clone, Debug, Default)]
pub(super) struct CallerTest {
    pub(super) uid: Option<Vec<u32>>,
    pub(super) gid: Option<Vec<u32>>,
    pub(super) exe: Option<Vec<Glob>>,
    pub(super) cgroup: Option<Vec<Glob>>,
    pub(super) container: Option<Vec<Glob>>,
    pub(super) pod: Option<Vec<Glob>>,
    pub(super) from: Option<Vec<Network>>,
    pub(super) listener: Option<Vec<String>>,
    /// Whether the caller must descend from the program of `exec --agent`.
    pub(super) child: bool,
}

/// What callers may have. `None` is no limit, an empty list nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Allow {
    pub(super) accounts: Option<Vec<String>>,
    pub(super) act_as: Option<Arc<str>>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) audiences: Option<Vec<Glob>>,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) metadata: Option<Vec<Glob>>,
    pub(super) boundary: Option<Arc<str>>,
}

impl Rule {
    /// Returns whether the rule decides for a caller. One that allows must fit for certain, and fit
    /// every process that holds the socket; one that denies need not, and is also for processes
    /// that may hold it.
    pub(super) fn fits(&self, caller: &Caller) -> bool {
        if self.deny {
            self.caller.may_hold(caller)
        } else {
            caller.is_known() && self.caller.holds(caller) == Truth::Yes
        }
    }
}

/// Whether something holds, as far as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    No,
    /// Not known, or true of some of the processes alone.
    Maybe,
    Yes,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Truth {
    /// Whether both hold.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }
}

impl CallerTest {
    /// Returns whether the test needs the processes of a caller.
    pub(super) fn needs_processes(&self) -> bool {
        self.gid.is_some() || self.needs_proc()
    }

    fn needs_proc(&self) -> bool {
        self.exe.is_some()
            || self.cgroup.is_some()
            || self.container.is_some()
            || self.pod.is_some()
            || self.child
    }

    fn holds(&self, caller: &Caller) -> Truth {
        self.connection(caller).and(self.processes(caller))
    }

    /// Returns whether it may hold of a process that holds the socket, known or hidden.
    fn may_hold(&self, caller: &Caller) -> bool {
        let hidden = |process| self.process(process) != Truth::No;
        self.connection(caller) != Truth::No
            && (self.processes(caller) != Truth::No || caller.hidden.iter().any(hidden))
    }

    fn connection(&self, caller: &Caller) -> Truth {
        let listener = self
            .listener
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| **name == *caller.listener));
        let from = self.from.as_ref().is_none_or(|networks| {
            let within = |address: IpAddr| networks.iter().any(|it| it.contains(address));
            caller.address.is_some_and(within)
        });
        Truth::from(listener && from).and(self.user(caller))
    }

    fn user(&self, caller: &Caller) -> Truth {
        match (&self.uid, caller.uid) {
            (None, _) => Truth::Yes,
            (Some(uids), Some(uid)) => uids.contains(&uid).into(),
            (Some(_), None) if caller.local => Truth::Maybe,
            (Some(_), None) => Truth::No,
        }
    }

    fn processes(&self, caller: &Caller) -> Truth {
        if !self.needs_processes() {
            return Truth::Yes;
        }
        if !caller.local {
            return Truth::No;
        }
        let each = caller.processes.iter().map(|process| self.process(process));
        each.reduce(|one, other| if one == other { one } else { Truth::Maybe })
            .unwrap_or(Truth::Maybe)
    }

    fn process(&self, process: &Process) -> Truth {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let of_user = self.uid.is_some();
        let gid = of(&self.gid, &process.gid, of_user, |gids, gid| {
            gids.contains(gid)
        });
        // What is no UTF-8 is matched as it is shown: a rule that denies is not escaped by it.
        let exe = of(&self.exe, &process.exe, of_user, |globs, exe| {
            any(globs, &exe.to_string_lossy())
        });
        let cgroup = of(&self.cgroup, &process.cgroups, of_user, |globs, paths| {
            paths.iter().any(|path| any(globs, path))
        });
        let named = |id: &Option<String>| match &process.cgroups {
            Fact::Unreadable => Fact::Unreadable,
            _ if process.named_by_user => Fact::Claimed(id.clone()),
            _ => Fact::Known(id.clone()),
        };
        let is_one =
            |globs: &Vec<Glob>, id: &Option<String>| id.as_ref().is_some_and(|id| any(globs, id));
        let container = of(&self.container, &named(&process.container), of_user, is_one);
        let pod = of(&self.pod, &named(&process.pod), of_user, is_one);
        let child = Truth::from(!self.child || process.descends);
        [exe, cgroup, container, pod, child]
            .into_iter()
            .fold(gid, Truth::and)
    }
}

/// Whether a condition that may stand holds of a fact that may be known. `of_user` says whether the
/// rule names the user, whose claim counts then.
fn of<C, F>(
    condition: &Option<C>,
    fact: &Fact<F>,
    of_user: bool,
    holds: impl FnOnce(&C, &F) -> bool,
) -> Truth {
    match (condition, fact) {
        (None, _) => Truth::Yes,
        (Some(condition), Fact::Known(fact)) => holds(condition, fact).into(),
        (Some(condition), Fact::Claimed(fact)) => match holds(condition, fact) {
            true if !of_user => Truth::Maybe,
            holds => holds.into(),
        },
        (Some(_), Fact::Unreadable) => Truth::Maybe,
    }
}
