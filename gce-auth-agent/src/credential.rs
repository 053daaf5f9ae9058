//! Answers with tokens: which one a request gets within its grant.

use std::sync::Arc;

use gce_auth_server::{protocol::reply::Reply, service::Answer};

use crate::{
    metrics::Cache,
    policy::Grant,
    record::Record,
    source::{AccessKey, DEFAULT, IdentityKey, failure::Failure},
    state::State,
    tokens::Valid,
};

/// The parameters of an identity token, except the account.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) audience: String,
    pub(crate) full: bool,
    pub(crate) licenses: bool,
}

/// The account, by the one name that its tokens are kept under.
fn account(asked: &str, grant: &Grant, email: Option<&str>) -> Arc<str> {
    let asked = grant.account.as_deref().unwrap_or(asked);
    if email == Some(asked) {
        Arc::from(DEFAULT)
    } else {
        Arc::from(asked)
    }
}

/// Answers with an access token.
pub(crate) fn access<'a>(
    state: &'a State,
    mut record: Record<'a>,
    asked: &str,
    grant: Grant,
    email: Option<&str>,
) -> Answer<'a> {
    let account = account(asked, &grant, email);
    record.asked.scopes.clone_from(&grant.scopes);
    let key = AccessKey {
        account,
        enforce: grant.limits_scopes,
        scopes: grant.scopes,
        act_as: grant.act_as,
        lifetime: grant.max_lifetime,
        boundary: grant.boundary,
    };
    if let Some(found) = state.tokens.access_at_once(&key) {
        return Answer::Ready(access_reply(record, &found));
    }
    Answer::Later(Box::pin(async move {
        match state.tokens.access(key).await {
            Ok(found) => access_reply(record, &found),
            Err(failure) => failed(record, failure),
        }
    }))
}

fn access_reply(mut record: Record<'_>, found: &Valid<gce_auth::AccessToken>) -> Reply {
    let left = noted(&mut record, found);
    let token = found.token.secret();
    // Nothing in a token needs an escape: the library refuses what no header may hold, and quotes.
    let body = if token.contains(['"', '\\']) {
        serde_json::json!({"access_token": token, "expires_in": left, "token_type": "Bearer"})
            .to_string()
    } else {
        format!("{{\"access_token\":\"{token}\",\"expires_in\":{left},\"token_type\":\"Bearer\"}}")
    };
    record.end(Reply::new(200, "application/json", body))
}

/// Answers with an identity token.
pub(crate) fn identity<'a>(
    state: &'a State,
    mut record: Record<'a>,
    asked: &str,
    what: Identity,
    grant: Grant,
    email: Option<&str>,
) -> Answer<'a> {
    let key = IdentityKey {
        account: account(asked, &grant, email),
        audience: what.audience,
        full: what.full,
        licenses: what.licenses,
        act_as: grant.act_as,
    };
    if let Some(found) = state.tokens.identity_at_once(&key) {
        return Answer::Ready(identity_reply(record, &found));
    }
    Answer::Later(Box::pin(async move {
        match state.tokens.identity(key).await {
            Ok(found) => identity_reply(record, &found),
            Err(failure) => {
                record.cache = Cache::Miss;
                failed(record, failure)
            }
        }
    }))
}

fn identity_reply(mut record: Record<'_>, found: &Valid<gce_auth::IdToken>) -> Reply {
    noted(&mut record, found);
    let body = found.token.secret().to_owned();
    record.end(Reply::new(200, "text/html", body))
}

/// Notes what is handed out; returns the whole seconds that are left, at least one.
fn noted<T>(record: &mut Record<'_>, found: &Valid<T>) -> u64 {
    record.cache = if found.hit { Cache::Hit } else { Cache::Miss };
    let left = found.left.as_secs().max(1);
    record.lifetime = Some(left);
    left
}

fn failed(mut record: Record<'_>, failure: Failure) -> Reply {
    record.cache = Cache::Miss;
    let reply = failure.reply(record.path());
    record.why = Some(failure.why);
    record.end(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_name() {
        let plain = Grant::default();
        let acting = Grant {
            act_as: Some(Arc::from("narrow@p")),
            account: Some(Arc::from("main@p")),
            ..Grant::default()
        };
        let email = Some("main@p");
        assert_eq!(&*account("default", &plain, email), "default");
        assert_eq!(&*account("main@p", &plain, email), "default");
        assert_eq!(&*account("main@p", &plain, None), "main@p");
        assert_eq!(&*account("other@p", &plain, email), "other@p");
        assert_eq!(&*account("narrow@p", &acting, email), "default");
        assert_eq!(&*account("narrow@p", &plain, email), "narrow@p");
    }
}
