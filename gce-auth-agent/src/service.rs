//! Answers the callers' requests: the guard, then the rule, then the token or the value.

use std::sync::Arc;

use bytes::Bytes;
use gce_auth_server::{
    protocol::{
        pages, query::Wait, render, reply::Reply, request::Request as HttpRequest, route::Target,
    },
    service::{Answer, Connection, Service},
};
use serde_json::{Value, json};

use crate::{
    asked_value::AskedValue,
    audit::AuditCaller,
    connection::Caller,
    credential, guard,
    policy::{Decision, Fit, Request, Topic},
    record::Record,
    source::failure::line,
    state::{Rules, State},
    values::view::{self, Shows},
};

/// The callers' side of the agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentService(pub(crate) Arc<State>);

impl Service for AgentService {
    type Caller = Caller;

    fn date(&self) -> Bytes {
        self.0.date.get()
    }

    async fn identify(&self, connection: &Connection) -> Caller {
        Caller::of(connection, &self.0).await
    }

    fn serve<'a>(&'a self, request: HttpRequest, caller: &'a Caller) -> Answer<'a> {
        let state = &*self.0;
        let mut record = Record::new(state, caller, &request.path);
        if let Err(stopped) = guard::check(&request, caller.local) {
            record.why = Some(stopped.why.to_owned());
            return Answer::Ready(record.end(stopped.reply()));
        }
        let rules = Arc::clone(record.rules());
        match caller.fit(&rules) {
            Some(fit) => answer(record, request, (caller, rules, fit)),
            None => Answer::Later(Box::pin(async move {
                let fit = caller.look_again(&rules, state).await;
                at_last(answer(record, request, (caller, rules, fit))).await
            })),
        }
    }
}

/// Answers a request of a caller under the rule that decides.
fn answer<'a>(
    mut record: Record<'a>,
    request: HttpRequest,
    (caller, rules, fit): (&'a Caller, Arc<Rules>, Fit),
) -> Answer<'a> {
    let state = record.state();
    record.fit = Some(fit);
    if let Some(reply) = over_rate(&mut record, &rules, fit, caller) {
        return Answer::Ready(record.end(reply));
    }
    let asked = match Request::read(&request.path, &request.query) {
        Ok(asked) => asked,
        Err(refused) => {
            let reply = if refused.status == 404 {
                pages::not_found(&request.path)
            } else {
                line(refused.status, &refused.why)
            };
            record.why = Some(refused.why);
            return Answer::Ready(record.end(reply));
        }
    };
    note_asked(&mut record, &asked);
    let turn = Turn {
        state,
        rules,
        fit,
        caller,
    };
    // Whether `default` is the account that an address names has to be known first.
    let email = state.values.known_email();
    let compares = turn.rules.policy.compares_accounts(fit) || turn.is_of_other_account(&asked);
    if email.is_none() && names_account(&asked) && compares {
        return Answer::Later(Box::pin(async move {
            let email = turn.state.values.default_email().await;
            at_last(turn.decided(record, asked, request, email)).await
        }));
    }
    turn.decided(record, asked, request, email)
}

async fn at_last(answer: Answer<'_>) -> Reply {
    match answer {
        Answer::Ready(reply) | Answer::Stream(reply, _) => reply,
        Answer::Later(reply) => reply.await,
        // The agent closes no connection so.
        Answer::Perhaps(_) | Answer::Closed => pages::internal(),
    }
}

/// What decides about one request.
struct Turn<'a> {
    state: &'a State,
    rules: Arc<Rules>,
    fit: Fit,
    caller: &'a Caller,
}

impl<'a> Turn<'a> {
    /// Whether a token is asked for by an address, where the source has one account alone.
    fn is_of_other_account(&self, asked: &Request) -> bool {
        match &asked.topic {
            Topic::Token { account, .. } | Topic::Identity { account, .. } => {
                !self.state.source.has_account(account)
            }
            Topic::Home | Topic::Caller | Topic::Value { .. } => false,
        }
    }

    fn decided(
        self,
        mut record: Record<'a>,
        asked: Request,
        request: HttpRequest,
        email: Option<Arc<str>>,
    ) -> Answer<'a> {
        let policy = &self.rules.policy;
        let grant = match policy.decide(self.fit, &asked, email.as_deref()) {
            Decision::Served(grant) => grant,
            Decision::Refused(why) => {
                let reply = self.refused(record.path(), &why);
                record.why = Some(why);
                return Answer::Ready(record.end(reply));
            }
        };
        match asked.topic {
            Topic::Home => Answer::Ready(record.end(home(&request))),
            Topic::Caller => Answer::Ready(record.end(self.introduce())),
            Topic::Token { account, .. } => {
                credential::access(self.state, record, &account, grant, email.as_deref())
            }
            Topic::Identity {
                account,
                audience,
                full,
                licenses,
            } => {
                let what = credential::Identity {
                    audience,
                    full,
                    licenses,
                };
                credential::identity(self.state, record, &account, what, grant, email.as_deref())
            }
            Topic::Value { path, slash } => {
                let value = AskedValue {
                    path,
                    reading: asked.reading,
                    target: Target::new(request),
                    grant,
                    email,
                };
                if slash {
                    return Answer::Later(Box::pin(self.directory(record, value)));
                }
                if value.is_plain()
                    && let Some(found) = self.state.values.at_once(&value.path, value.reading.alt)
                    && policy.shows_value(self.fit, &value.path, value.email.as_deref())
                {
                    return Answer::Ready(record.end(found.reply()));
                }
                Answer::Later(Box::pin(self.value(record, value)))
            }
        }
    }

    /// A path without a slash: a value, or the way to a directory.
    async fn value(self, mut record: Record<'a>, value: AskedValue) -> Reply {
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
            Ok(found) if policy.shows_value(self.fit, &value.path, email) => found.reply(),
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
    async fn directory(self, mut record: Record<'a>, value: AskedValue) -> Reply {
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

    /// What the agent itself says of accounts, under a rule with `as`.
    fn own_document(&self, own: &Value, value: &AskedValue) -> Reply {
        if value.target.slash() {
            return self.view(own, None, value);
        }
        let node = gce_auth_server::protocol::tree::Node::part(
            own,
            gce_auth_server::protocol::tree::steps(&value.path),
        );
        match render::form(&node, &value.target, &value.reading) {
            Ok(form) => {
                let (kind, body) = render::body(&node, form);
                Reply::new(200, kind, body)
            }
            Err(refused) => refused,
        }
    }

    /// Says who the caller is taken for, and which rule decides.
    fn introduce(&self) -> Reply {
        let (rule, _) = self.rules.of(Some(self.fit));
        let introduction = json!({
            "agent": env!("CARGO_PKG_VERSION"),
            "caller": AuditCaller(&self.caller.found()),
            "rule": &**rule,
        });
        Reply::new(200, "application/json", introduction.to_string())
    }

    /// The answer to what a rule refuses: one line that names it, and how to see why.
    fn refused(&self, path: &str, why: &str) -> Reply {
        let (rule, _) = self.rules.of(Some(self.fit));
        let by = match self.fit {
            Fit::Rule(_) => format!("rule `{rule}`"),
            Fit::Served | Fit::Refused => "`default`".to_owned(),
        };
        let mut check = "gce-auth agent check".to_owned();
        if let Some(file) = &self.state.config_file {
            check = format!("{check} --config {}", file.display());
        }
        if let Some(uid) = self.caller.found().uid {
            check = format!("{check} --uid {uid}");
        }
        line(
            403,
            &format!("{path} is refused by {by}: {why}; see `{check} {path}`"),
        )
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

fn over_rate(record: &mut Record<'_>, rules: &Rules, fit: Fit, caller: &Caller) -> Option<Reply> {
    let (Fit::Rule(at), Some(rate)) = (fit, rules.policy.rate(fit)) else {
        return None;
    };
    let wait = rules.limiter.take(at, rate, &caller.found()).err()?;
    let (rule, _) = rules.of(Some(fit));
    let why = format!("more requests than rule `{rule}` allows this caller");
    let reply = line(429, &why).with("Retry-After", wait.to_string());
    record.why = Some(why);
    Some(reply)
}

/// `/`, which detection asks, and the versions.
fn home(request: &HttpRequest) -> Reply {
    match request.path.as_str() {
        "/" => render::lines("computeMetadata/\n"),
        "/computeMetadata/" => render::lines("v1/\n"),
        path => pages::add_slash(&request.origin(), path, &request.query),
    }
}

fn names_account(asked: &Request) -> bool {
    match &asked.topic {
        Topic::Home | Topic::Caller => false,
        Topic::Token { .. } | Topic::Identity { .. } => true,
        Topic::Value { path, .. } => {
            let accounts = "instance/service-accounts";
            accounts.starts_with(path.as_str()) || path.starts_with(accounts)
        }
    }
}

fn note_asked(record: &mut Record<'_>, asked: &Request) {
    match &asked.topic {
        Topic::Token { account, scopes } => {
            record.asked.account = Some(account.as_str().into());
            record.asked.scopes.clone_from(scopes);
        }
        Topic::Identity {
            account, audience, ..
        } => {
            record.asked.account = Some(account.as_str().into());
            record.asked.audience = Some(audience.clone());
        }
        Topic::Home | Topic::Caller | Topic::Value { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::PREFIX;

    #[test]
    fn paths_above_and_below_accounts_show_them() {
        for (path, shown) in [
            ("", true),
            ("instance/", true),
            ("instance/service-accounts/default/email", true),
            ("instance/zone", false),
            ("project/", false),
        ] {
            let asked = Request::parse(&format!("{PREFIX}{path}?recursive=true")).unwrap();
            assert_eq!(names_account(&asked), shown, "{path}");
        }
    }
}
