//! A service account, as an answer describes it.

use serde_json::Value;

use super::response::{Answer, may_hold_token, unusable};
use crate::values::error::Error;

/// A service account, as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    pub(crate) email: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// Whether the server said anything about scopes.
    pub(crate) states_scopes: bool,
}

impl AccountInfo {
    /// Returns the email address; on GKE without a Google service account, the
    /// name of the workload identity pool.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Returns the other names for the account in paths, `default` among them.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Returns the OAuth 2.0 scopes granted to the instance, or to the workload.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

pub(crate) fn account_info(answer: &Answer) -> Result<AccountInfo, Error> {
    let fields = answer.object()?;
    let email = match fields.get("email") {
        Some(Value::String(email)) => account_name(email)?,
        _ => return Err(unusable("the account information holds no email")),
    };
    Ok(AccountInfo {
        email,
        aliases: strings(fields.get("aliases"))
            .ok_or_else(|| unusable("the aliases of the account are not a list of texts"))?,
        scopes: scopes(fields.get("scopes"))
            .ok_or_else(|| unusable("the scopes of the account are not a list of texts"))?,
        states_scopes: fields.get("scopes").is_some_and(|scopes| !scopes.is_null()),
    })
}

/// An email address, on GKE the name of the workload identity pool, or a URI:
/// the SPIFFE identity of an agent, or the principal of workload identity
/// federation. It becomes a part of paths and of errors.
pub(crate) fn account_name(text: &str) -> Result<String, Error> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let is_uri = scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    if text.is_empty()
        || text.len() > if is_uri { 1024 } else { 320 }
        || !graphic
        || text.contains(['<', '>'])
        || (text.contains('/') && !is_uri)
        || may_hold_token(text)
    {
        return Err(unusable("the answer holds no name of a service account"));
    }
    Ok(text.to_owned())
}

/// Scopes as a list, or as one text, which is taken as it stands.
fn scopes(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        Some(Value::String(text)) => Some(vec![text.clone()]),
        other => strings(other),
    }
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Some(_) => None,
    }
}
