//! Answers with values and directories: what the source has, as far as the rule shows it.

use gce_auth_server::protocol::{
    query::Wait,
    render,
    reply::Reply,
    tree::{Node, steps},
};
use serde_json::Value;

use crate::{
    asked_value::AskedValue,
    policy::Fit,
    record::Record,
    state::Rules,
    turn::Turn,
    values::view::{self, Shows},
};

impl Turn<'_> {
    /// A path without a slash: a value, or the way to a directory.
    pub(crate) async fn value(self, mut record: Record<'_>, value: AskedValue) -> Reply {
        if let Some(own) = value.own_account() {
            let reply = self.own_document(&own, &value);
            return record.end(reply);
        }
        let found = match self.wait(&value) {
            None => {
                let values = &self.state.values;
                values.value(&value.path, value.reading.alt).await
            }
            Some(wait) => {
                let _waits = self.state.metrics.waiters.enter();
                let polls = &self.state.values.polls;
                let (last, limit) = (wait.last_etag.as_deref(), wait.timeout);
                let changed = polls.wait((value.path.clone(), false), last, limit).await;
                match (changed, value.reading.alt) {
                    // Another form of what is there now.
                    (Ok(_), alt @ Some(_)) => self.state.values.value(&value.path, alt).await,
                    (found, _) => found,
                }
            }
        };
        let policy = &self.rules.policy;
        let email = value.email.as_deref();
        let reply = match found {
            Ok(found) if policy.shows_value(self.fit, &value.path, email) => {
                match value.own_scopes() {
                    Some(scopes) => self.own_document(&scopes, &value),
                    None => found.reply(),
                }
            }
            // The rule names values below a directory, and this is a value.
            Ok(_) => {
                let why = format!("{} is not among `metadata`", value.path);
                let reply = self.refused(record.path(), &why);
                record.why = Some(why);
                reply
            }
            Err(failure) if failure.is_directory => value.target.add_slash(),
            Err(failure) => {
                let reply = failure.reply(record.path());
                record.why = Some(failure.why);
                reply
            }
        };
        record.end(reply)
    }

    /// How a change is waited for, where values may change: those of Application Default
    /// Credentials do not.
    fn wait<'v>(&self, value: &'v AskedValue) -> Option<&'v Wait> {
        let waits = self.state.source.as_adc().is_none();
        value.reading.wait.as_ref().filter(|_| waits)
    }

    /// A path with a slash: a directory, of which the caller sees what its rule shows.
    pub(crate) async fn directory(self, mut record: Record<'_>, value: AskedValue) -> Reply {
        if let Some(own) = value.own_account() {
            let reply = self.own_document(&own, &value);
            return record.end(reply);
        }
        let values = &self.state.values;
        let found = match self.wait(&value) {
            Some(wait) if value.reading.recursive => {
                let _waits = self.state.metrics.waiters.enter();
                let (last, limit) = (wait.last_etag.as_deref(), wait.timeout);
                let key = (value.path.clone(), true);
                values.polls.wait(key, last, limit).await
            }
            _ => values.directory(&value.path).await,
        };
        let reply = match found {
            Ok(found) => match found.document() {
                Some(mut document) => {
                    if value.grant.act_as.is_some() {
                        view::exchange_accounts(&mut document, &value.path, &value.accounts());
                    } else if let Some(scopes) = &value.grant.scopes {
                        view::exchange_scopes(&mut document, &value.path, scopes);
                    }
                    self.view(&document, found.etag.as_deref(), &value)
                }
                None => value.target.not_found(),
            },
            Err(failure) => {
                let reply = failure.reply(record.path());
                record.why = Some(failure.why);
                reply
            }
        };
        record.end(reply)
    }

    fn view(&self, document: &Value, etag: Option<&str>, value: &AskedValue) -> Reply {
        let shows = Shown {
            rules: &self.rules,
            fit: self.fit,
            email: value.email.as_deref(),
        };
        let place = (value.path.as_str(), etag);
        view::reply(document, place, &value.target, &value.reading, &shows)
    }

    /// What the agent itself says of accounts, under a rule with `as` or `scopes`.
    fn own_document(&self, own: &Value, value: &AskedValue) -> Reply {
        if value.target.slash() {
            return self.view(own, None, value);
        }
        let node = Node::part(own, steps(&value.path));
        match render::form(&node, &value.target, &value.reading) {
            Ok(form) => {
                let (kind, body) = render::body(&node, form);
                Reply::new(200, kind, body)
            }
            Err(refused) => refused,
        }
    }
}

/// What a rule shows.
struct Shown<'a> {
    rules: &'a Rules,
    fit: Fit,
    email: Option<&'a str>,
}

impl Shows for Shown<'_> {
    fn value(&self, path: &str) -> bool {
        self.rules.policy.shows_value(self.fit, path, self.email)
    }

    fn directory(&self, path: &str) -> bool {
        self.rules
            .policy
            .shows_directory(self.fit, path, self.email)
    }
}
