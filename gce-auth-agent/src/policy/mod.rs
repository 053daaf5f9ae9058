//! What each caller may have: from a file to rules, from a caller and a request to a decision.
//!
//! Pure: no I/O but the file's, no clock. `gce-auth agent check` and the server decide by the same
//! functions.

mod allow;
mod concealed;
pub mod config;
mod file;
pub mod glob;
pub mod limits;
mod position;
pub mod request;
mod rule;
mod rules;
pub mod system;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod fit_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use self::rule::{Allow, Rule};
pub use self::{
    config::{Config, ConfigError, ListenConfig, SourceKind},
    limits::{Rate, parse_lifetime},
    request::{Refused, Request, Topic},
};
use crate::caller::{Caller, Lookup};

/// The name that stands for no rule, in metrics and the audit.
pub const NO_RULE: &str = "none";

/// The rules, and what holds for callers that none of them names.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Default,
    own_uid: u32,
    /// What callers may have that no rule names.
    unnamed: Allow,
    /// The process of `exec --agent`.
    parent: Option<u32>,
}

/// What holds for callers that no rule names.
#[derive(Clone, Copy, Debug, std::default::Default, PartialEq, Eq)]
enum Default {
    Deny,
    #[default]
    OwnUser,
    Allow,
    /// Those that descend from the program of `exec --agent` are served.
    Descendants,
}

/// Limits for all callers, beside those of their rules.
#[derive(Clone, Debug, std::default::Default, PartialEq, Eq)]
pub struct Limits {
    /// The account whose tokens are given, where the rule names none.
    pub act_as: Option<Arc<str>>,
    /// The scopes that may be asked for.
    pub scopes: Option<Vec<String>>,
    /// How long tokens of an impersonated account may live.
    pub max_lifetime: Option<Duration>,
    /// The Credential Access Boundary, as JSON. A rule with another one is an error.
    pub boundary: Option<Arc<str>>,
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
#[derive(Clone, Debug, std::default::Default, PartialEq, Eq)]
pub struct Grant {
    /// The scopes to ask for: those of the request, else those of the rule. Sorted, each once.
    /// `None` are the account's own. Of a value, those that accounts are shown with.
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

impl Policy {
    /// Returns the policy of an empty file: the user of the agent and root are served.
    pub fn own_user(own_uid: u32) -> Self {
        Self::new(Vec::new(), Default::OwnUser, own_uid)
    }

    fn new(rules: Vec<Rule>, default: Default, own_uid: u32) -> Self {
        Self {
            rules,
            default,
            own_uid,
            unnamed: Allow::default(),
            parent: None,
        }
    }

    /// Limits all callers, beside their rules.
    ///
    /// # Errors
    ///
    /// If a rule has another boundary than `limits`: neither may be dropped, and a token has one.
    pub fn limited(mut self, limits: &Limits) -> Result<Self, String> {
        for rule in &mut self.rules {
            if let (Some(own), Some(all)) = (&rule.allow.boundary, &limits.boundary)
                && own != all
            {
                return Err(format!(
                    "the rule `{}` and the settings for all callers have two boundaries, and a \
                     token has one; remove `boundary` from the rule, or --boundary",
                    rule.name
                ));
            }
            rule.allow.limit(limits);
        }
        self.unnamed.limit(limits);
        Ok(self)
    }

    /// Returns the policy for the program of `exec --agent`: its descendants are served, as far as
    /// the rules and `default` allow; all others are unknown. Rules with `child-of` come first.
    /// `parent` is the process that starts the program, and adopts its orphans.
    ///
    /// # Errors
    ///
    /// If `default` is `allow`, which would serve the others.
    pub fn for_program(mut self, parent: u32) -> Result<Self, String> {
        self.default = match self.default {
            Default::Allow => {
                let why = "`default = \"allow\"` would serve other programs, too; leave it out";
                return Err(why.to_owned());
            }
            Default::OwnUser => Default::Descendants,
            other => other,
        };
        self.rules.sort_by_key(|rule| !rule.caller.child);
        self.parent = Some(parent);
        Ok(self)
    }

    /// Returns what has to be looked up for these rules.
    pub fn lookup(&self) -> Lookup {
        let rules = self.rules.iter().any(|rule| rule.caller.needs_processes());
        Lookup {
            processes: rules || self.parent.is_some(),
            parent: self.parent,
        }
    }

    /// Returns what decides for a caller: the first rule that fits, else `default`.
    pub fn fit(&self, caller: &Caller) -> Fit {
        if let Some(index) = self.rules.iter().position(|rule| rule.fits(caller)) {
            return Fit::Rule(index);
        }
        let served = match self.default {
            Default::Deny => false,
            Default::Allow => true,
            Default::OwnUser => caller
                .uid
                .is_some_and(|uid| uid == self.own_uid || uid == 0),
            Default::Descendants => caller.descends(),
        };
        if served { Fit::Served } else { Fit::Refused }
    }

    /// Returns the name of the rule that decides; `none` if no rule does.
    pub fn rule_name(&self, fit: Fit) -> Arc<str> {
        self.rule(fit)
            .map_or_else(|| Arc::from(NO_RULE), |rule| Arc::clone(&rule.name))
    }

    /// Returns the names of the rules, in their order.
    pub fn rule_names(&self) -> Vec<Arc<str>> {
        self.rules
            .iter()
            .map(|rule| Arc::clone(&rule.name))
            .collect()
    }

    /// Returns whether decisions about accounts may depend on the address of `default`.
    pub fn compares_accounts(&self, fit: Fit) -> bool {
        self.allow(fit)
            .is_some_and(|allow| allow.accounts.as_ref().is_some_and(|all| !all.is_empty()))
    }

    /// Returns the rate of the rule that decides.
    pub fn rate(&self, fit: Fit) -> Option<Rate> {
        self.rule(fit)?.rate
    }

    /// Decides about a request. `default_email` is the address of the account `default`, if it is
    /// known.
    pub fn decide(&self, fit: Fit, request: &Request, default_email: Option<&str>) -> Decision {
        let Some(allow) = self.allow(fit) else {
            let why = match (fit, self.default) {
                (Fit::Rule(_), _) => "this caller is denied everything (deny = true)",
                (_, Default::Descendants) => "only the program of `exec --agent` is served",
                (_, Default::OwnUser) => {
                    "only the agent's own user and root are served without a rule"
                }
                _ => "callers without a rule are not served",
            };
            return Decision::Refused(why.to_owned());
        };
        let refused = match &request.topic {
            Topic::Home | Topic::Caller => None,
            Topic::Token { account, scopes } => allow
                .refuses_account(account, default_email)
                .or_else(|| allow.refuses_scopes(scopes.as_deref())),
            Topic::Identity {
                account, audience, ..
            } => allow
                .refuses_account(account, default_email)
                .or_else(|| allow.refuses_audience(audience)),
            Topic::Value { path, slash } => {
                let shown = if *slash {
                    allow.shows_directory(path, default_email)
                } else {
                    allow.shows_value(path, default_email) || allow.shows_way(path, default_email)
                };
                (!shown).then(|| format!("{path} is not allowed"))
            }
        };
        match refused {
            Some(why) => Decision::Refused(why),
            None => Decision::Served(allow.grant(&request.topic)),
        }
    }

    /// Returns whether a caller may see the value at a path below `/computeMetadata/v1/`, without a
    /// slash at its end. For listings and recursive answers.
    pub fn shows_value(&self, fit: Fit, path: &str, default_email: Option<&str>) -> bool {
        self.allow(fit)
            .is_some_and(|allow| allow.shows_value(path, default_email))
    }

    /// Returns whether a caller may see anything below the directory at a path.
    pub fn shows_directory(&self, fit: Fit, path: &str, default_email: Option<&str>) -> bool {
        self.allow(fit)
            .is_some_and(|allow| allow.shows_directory(path, default_email))
    }

    fn rule(&self, fit: Fit) -> Option<&Rule> {
        match fit {
            Fit::Rule(index) => self.rules.get(index),
            Fit::Served | Fit::Refused => None,
        }
    }

    /// What a caller may have; `None` is nothing.
    fn allow(&self, fit: Fit) -> Option<&Allow> {
        match fit {
            Fit::Rule(_) => self
                .rule(fit)
                .filter(|rule| !rule.deny)
                .map(|rule| &rule.allow),
            Fit::Served => Some(&self.unnamed),
            Fit::Refused => None,
        }
    }
}
