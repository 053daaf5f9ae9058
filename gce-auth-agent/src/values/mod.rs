//! Values: those that never change are kept, others are passed through, one request upstream for
//! all callers that ask for the same at the same time.

mod found;
pub(crate) mod polls;
pub(crate) mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gce_auth::MetadataRequest;
use gce_auth_server::protocol::{
    query::Alt,
    render,
    tree::{Node, steps},
};
use serde_json::Value;
use tokio::sync::Semaphore;

use self::{
    found::{Found, slashed},
    polls::Polls,
};
use crate::{
    flights::Flights,
    source::{DEFAULT, Source, adc::AdcSource, failure::Failure},
};

/// What doesn't change as long as an instance runs.
const FIXED: [&str; 10] = [
    "instance/creation-timestamp",
    "instance/hostname",
    "instance/id",
    "instance/machine-type",
    "instance/name",
    "instance/zone",
    "project/numeric-project-id",
    "project/project-id",
    "universe/universe-domain",
    "universe/universe_domain",
];

/// So many values are asked for at once, so that a source that hangs leaves threads to tokens.
const AT_ONCE: usize = 128;
/// How long a request waits behind others.
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// The address of the account `default`, which may change only while the instance is stopped.
const EMAIL: &str = "instance/service-accounts/default/email";
const ACCOUNTS: &str = "instance/service-accounts/";

/// What is asked for: a path without a slash at its end, and a form; a directory, as JSON, with all
/// below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    path: String,
    alt: Option<&'static str>,
    directory: bool,
}

/// All values.
#[derive(Debug)]
pub(crate) struct Values {
    source: Arc<Source>,
    fixed: Mutex<HashMap<Wanted, Found>>,
    email: Mutex<Option<Arc<str>>>,
    flights: Flights<Wanted, Result<Found, Failure>>,
    /// Of the address of a login.
    emails: Flights<(), Result<Option<Arc<str>>, Failure>>,
    turns: Arc<Semaphore>,
    pub(crate) polls: Polls,
}

impl Values {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self {
            polls: Polls::new(source.values().clone()),
            source,
            fixed: Mutex::default(),
            email: Mutex::default(),
            flights: Flights::default(),
            emails: Flights::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Returns a value that doesn't change, if it is known.
    pub(crate) fn at_once(&self, path: &str, alt: Option<Alt>) -> Option<Found> {
        let wanted = Wanted::value(path, alt);
        let fixed = self.fixed.lock().unwrap_or_else(PoisonError::into_inner);
        fixed.get(&wanted).cloned()
    }

    /// Returns the value at a path. A directory is a [`Failure`] that says so.
    pub(crate) async fn value(&self, path: &str, alt: Option<Alt>) -> Result<Found, Failure> {
        if let Some(found) = self.at_once(path, alt) {
            return Ok(found);
        }
        if let Some(adc) = self.source.as_adc() {
            let email = self.find_email().await;
            let document = adc.document(email.as_ref().ok().and_then(Option::as_deref));
            let found = of_document(&document, path, alt);
            return match email {
                // What is missing may be there once the address is known.
                Err(failure) if path.starts_with(ACCOUNTS) => found.map_err(|_| failure),
                _ => found,
            };
        }
        let wanted = Wanted::value(path, alt);
        let found = self.fetched(wanted.clone()).await?;
        if FIXED.contains(&path) {
            let mut fixed = self.fixed.lock().unwrap_or_else(PoisonError::into_inner);
            fixed.insert(wanted, found.clone());
        }
        Ok(found)
    }

    /// Returns the directory at a path, as JSON with all below it.
    pub(crate) async fn directory(&self, path: &str) -> Result<Found, Failure> {
        if let Some(adc) = self.source.as_adc() {
            // google-auth asks for the token of the address that it reads here. A federated
            // identity has none, and goes by the name that every account has.
            let email = self.default_email().await;
            let document = adc.document(Some(email.as_deref().unwrap_or(DEFAULT)));
            let node = Node::find(&document, steps(path));
            let node = node.ok_or_else(|| Failure::not_found("not of these credentials"))?;
            return Ok(Found {
                body: node.value.to_string().into(),
                json: true,
                etag: None,
            });
        }
        let wanted = Wanted {
            path: path.to_owned(),
            alt: None,
            directory: true,
        };
        self.fetched(wanted).await
    }

    async fn fetched(&self, wanted: Wanted) -> Result<Found, Failure> {
        let request = wanted.request(&self.source);
        let turns = Arc::clone(&self.turns);
        let work = || async move {
            let turn = tokio::time::timeout(LONGEST_TURN, turns.acquire_owned()).await;
            let Ok(Ok(_turn)) = turn else {
                let busy = "the source failed: it did not answer in time, and others wait for it";
                return Err(Failure::unavailable(busy));
            };
            let sent = request.send().await;
            let value = sent.map_err(|error| Failure::of(&error))?;
            Ok(Found {
                etag: value.etag().map(str::to_owned),
                json: value.is_json(),
                body: value.into_text().into(),
            })
        };
        let flown = self.flights.join(wanted, work).await;
        flown.unwrap_or_else(|| Err(Failure::internal()))
    }

    /// Returns the address of the account `default`, if it was asked for before.
    pub(crate) fn known_email(&self) -> Option<Arc<str>> {
        let email = self.email.lock().unwrap_or_else(PoisonError::into_inner);
        email.clone()
    }

    /// Returns the address of the account `default`; `None` if the source doesn't tell.
    pub(crate) async fn default_email(&self) -> Option<Arc<str>> {
        self.find_email().await.ok().flatten()
    }

    /// Returns the address of the account `default`; `None` if it has none.
    async fn find_email(&self) -> Result<Option<Arc<str>>, Failure> {
        if let Some(email) = self.known_email() {
            return Ok(Some(email));
        }
        let found: Option<Arc<str>> = if self.source.as_adc().is_some() {
            let source = Arc::clone(&self.source);
            let work = || async move {
                let ask = move || source.as_adc().map_or(Ok(None), AdcSource::email);
                let asked = tokio::task::spawn_blocking(ask).await;
                asked.unwrap_or_else(|_| Err(Failure::internal()))
            };
            let asked = self.emails.join((), work).await;
            asked.unwrap_or_else(|| Err(Failure::internal()))?
        } else {
            let found = self.fetched(Wanted::value(EMAIL, None)).await?;
            let text = String::from_utf8(found.body.to_vec()).ok();
            text.map(|text| text.trim().into())
        };
        let Some(found) = found.filter(|email| email.contains('@')) else {
            return Ok(None);
        };
        let mut email = self.email.lock().unwrap_or_else(PoisonError::into_inner);
        *email = Some(Arc::clone(&found));
        Ok(Some(found))
    }
}

impl Wanted {
    fn value(path: &str, alt: Option<Alt>) -> Self {
        Self {
            path: path.to_owned(),
            alt: alt.map(|alt| match alt {
                Alt::Json => "json",
                Alt::Text => "text",
            }),
            directory: false,
        }
    }

    fn request(&self, source: &Source) -> MetadataRequest {
        if self.directory {
            let request = source.values().request(slashed(&self.path)).recursive(true);
            return request.query("alt", "json");
        }
        let request = source.values().request(self.path.as_str());
        match self.alt {
            Some(alt) => request.query("alt", alt),
            None => request,
        }
    }
}

/// A value of a document of the agent's own.
fn of_document(document: &Value, path: &str, alt: Option<Alt>) -> Result<Found, Failure> {
    let node = Node::find(document, steps(path));
    let node = node.ok_or_else(|| Failure::not_found("not of these credentials"))?;
    if node.is_directory() {
        return Err(Failure::directory());
    }
    let (json, text) = match alt {
        Some(Alt::Json) => (true, render::json(&node)),
        _ => (false, render::plain(node.value)),
    };
    Ok(Found {
        body: text.into(),
        json,
        etag: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_of_the_agent_s_own_is_read_as_one_of_a_server() {
        let document = json!({"project": {"projectId": "p"}});
        let value = |path, alt| of_document(&document, path, alt);
        assert_eq!(value("project/project-id", None).unwrap().body, "p");
        let quoted = value("project/project-id", Some(Alt::Json)).unwrap();
        assert!(quoted.json && quoted.body == "\"p\"");
        assert!(value("project", None).unwrap_err().is_directory);
        assert_eq!(value("instance/zone", None).unwrap_err().status, 404);
    }
}
