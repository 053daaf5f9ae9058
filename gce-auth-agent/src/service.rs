//! Answers the callers' requests: the guard, then the rule, then the token or the value.

use std::sync::Arc;

use bytes::Bytes;
use gce_auth_server::{
    protocol::{pages, render, reply::Reply, request::Request as HttpRequest, route::Target},
    service::{Answer, Connection, Service},
};

use crate::{
    asked_value::AskedValue,
    connection::Caller,
    credential, guard,
    policy::{Decision, Fit, Request, Topic},
    record::Record,
    source::failure::line,
    state::{Rules, State},
    turn::Turn,
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
        if let Err(stopped) = guard::check(&request, caller.local, || state.own_addresses()) {
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
    let compares = turn.rules.policy.compares_accounts(fit) || is_of_other_account(state, &asked);
    if email.is_none() && asked.names_account() && compares {
        return Answer::Later(Box::pin(async move {
            let email = turn.state.values.default_email().await;
            at_last(decided(turn, record, asked, request, email)).await
        }));
    }
    decided(turn, record, asked, request, email)
}

async fn at_last(answer: Answer<'_>) -> Reply {
    match answer {
        Answer::Ready(reply) | Answer::Stream(reply, _) => reply,
        Answer::Later(reply) => reply.await,
        // The agent closes no connection so.
        Answer::Perhaps(_) | Answer::Closed => pages::internal(),
    }
}

/// Whether a token is asked for by an address, where the source has one account alone.
fn is_of_other_account(state: &State, asked: &Request) -> bool {
    match &asked.topic {
        Topic::Token { account, .. } | Topic::Identity { account, .. } => {
            !state.source.has_account(account)
        }
        Topic::Home | Topic::Caller | Topic::Value { .. } => false,
    }
}

/// Answers a request as the rule decides about it.
fn decided<'a>(
    turn: Turn<'a>,
    mut record: Record<'a>,
    asked: Request,
    request: HttpRequest,
    email: Option<Arc<str>>,
) -> Answer<'a> {
    let policy = &turn.rules.policy;
    let grant = match policy.decide(turn.fit, &asked, email.as_deref()) {
        Decision::Served(grant) => grant,
        Decision::Refused(why) => {
            let reply = turn.refused(record.path(), &why);
            record.why = Some(why);
            return Answer::Ready(record.end(reply));
        }
    };
    match asked.topic {
        Topic::Home => Answer::Ready(record.end(home(&request))),
        Topic::Caller => Answer::Ready(record.end(turn.introduce())),
        Topic::Token { account, .. } => {
            credential::access(turn.state, record, &account, grant, email.as_deref())
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
            credential::identity(turn.state, record, &account, what, grant, email.as_deref())
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
                return Answer::Later(Box::pin(turn.directory(record, value)));
            }
            if value.is_plain()
                && let Some(found) = turn.state.values.at_once(&value.path, value.reading.alt)
                && policy.shows_value(turn.fit, &value.path, value.email.as_deref())
            {
                return Answer::Ready(record.end(found.reply()));
            }
            Answer::Later(Box::pin(turn.value(record, value)))
        }
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
