//! What each caller may have: from a file to rules, from a caller and a request to a decision.
//!
//! Pure: no I/O but the file's, no clock. `gce-auth agent check` and the server decide by the same
//! functions.

pub mod config;
pub mod request;

use std::sync::Arc;
use std::time::Duration;

pub use self::config::{Config, ConfigError, ListenConfig, SourceKind};
pub use self::request::{Refused, Request, Topic};
use crate::caller::{Caller, Lookup};

/// The rules, and what holds for callers that none of them names.
#[derive(Clone, Debug)]
pub struct Policy {
    own_uid: u32,
}

/// What decides for a caller. Depends on the caller alone, so it holds for all requests of a
/// connection until the rules change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The rule with this index.
    Rule(usize),
    /// No rule; `default` serves it.
    Served,
    /// No rule; `default` refuses it.
    Refused,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is served, within these limits.
    Served(Grant),
    /// It is refused: what, and why, without the rule's name.
    Refused(String),
}

/// The limits within which a request is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The scopes to ask for: those of the request, else those of the rule. Sorted, each once.
    /// `None` are the account's own.
    pub scopes: Option<Vec<String>>,
    /// Whether the rule limits scopes, so that the source must be held to them.
    pub limits_scopes: bool,
    /// The account to ask the source for, if it is not the one that the request names: the first
    /// of `accounts`, where the request names the address of `as`.
    pub account: Option<Arc<str>>,
    /// The account whose tokens are given instead, by impersonation.
    pub act_as: Option<Arc<str>>,
    /// How long tokens may live. Only with `act_as`.
    pub max_lifetime: Option<Duration>,
    /// The Credential Access Boundary that tokens are downscoped to, as JSON.
    pub boundary: Option<Arc<str>>,
}

/// How many requests a caller may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in each `per`, and at once.
    pub burst: u32,
    /// A second or a minute.
    pub per: Duration,
}

impl Policy {
    /// Returns the policy of an empty file: the user of the agent and root are served.
    pub fn own_user(own_uid: u32) -> Self {
        Self { own_uid }
    }

    /// Returns what has to be looked up for these rules.
    pub fn lookup(&self) -> Lookup {
        Lookup::default()
    }

    /// Returns what decides for a caller: the first rule that fits, else `default`.
    pub fn fit(&self, caller: &Caller) -> Fit {
        if caller
            .uid
            .is_some_and(|uid| uid == self.own_uid || uid == 0)
        {
            Fit::Served
        } else {
            Fit::Refused
        }
    }

    /// Returns the name of the rule that decides; `none` if no rule does.
    pub fn rule_name(&self, _fit: Fit) -> Arc<str> {
        Arc::from("none")
    }

    /// Returns the names of the rules, in their order.
    pub fn rule_names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Returns whether decisions about accounts may depend on the address of `default`.
    pub fn compares_accounts(&self, _fit: Fit) -> bool {
        false
    }

    /// Returns the rate of the rule that decides.
    pub fn rate(&self, _fit: Fit) -> Option<Rate> {
        None
    }

    /// Decides about a request. `default_email` is the address of the account `default`, if it is
    /// known.
    ///
    /// Under `as`, its address names the allowed accounts as well: a client asks for the email of
    /// `default` first, and then for a token of that email.
    pub fn decide(&self, fit: Fit, _request: &Request, _default_email: Option<&str>) -> Decision {
        match fit {
            Fit::Served | Fit::Rule(_) => Decision::Served(Grant::default()),
            Fit::Refused => Decision::Refused("this caller is not served".to_owned()),
        }
    }

    /// Returns whether a caller may see the value at a path below `/computeMetadata/v1/`, without a
    /// slash at its end. For listings and recursive answers.
    pub fn shows_value(&self, fit: Fit, _path: &str, _default_email: Option<&str>) -> bool {
        fit != Fit::Refused
    }

    /// Returns whether a caller may see anything below the directory at a path.
    pub fn shows_directory(&self, fit: Fit, _path: &str, _default_email: Option<&str>) -> bool {
        fit != Fit::Refused
    }
}
