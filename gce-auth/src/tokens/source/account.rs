//! A service account at the metadata server, and what the server said of it.

use std::sync::{PoisonError, RwLock};

use crate::{
    client::{config::MetadataClient, metadata},
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        scope::Scopes,
    },
    wire::{
        account::{AccountInfo, account_info, account_name},
        request::{self, MetadataPath},
    },
};

/// A service account, by the name that requests have for it.
#[derive(Debug)]
pub(crate) struct Account {
    /// `default`, an alias or an email address.
    pub(crate) name: String,
    /// The identity that every token must be of.
    pub(crate) expected: Option<String>,
    cache: RwLock<AccountInfoCache>,
}

/// What the server said of the account, kept as long as the credential.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountInfoCache {
    pub(crate) info: Option<AccountInfo>,
    /// The scopes of the account: those that were heard of first, as
    /// google-auth has it.
    pub(crate) scopes: Option<Scopes>,
}

impl Account {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expected: None,
            cache: RwLock::default(),
        }
    }

    /// Returns the same account, of which `cache` is known.
    pub(crate) fn knowing(&self, cache: AccountInfoCache) -> Self {
        Self {
            name: self.name.clone(),
            expected: self.expected.clone(),
            cache: RwLock::new(cache),
        }
    }

    /// Returns the account, whose tokens must be of this identity.
    pub(crate) fn expecting(self, expected: Option<String>) -> Self {
        Self { expected, ..self }
    }

    pub(crate) fn cache(&self) -> AccountInfoCache {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.clone()
    }

    pub(crate) fn is_known(&self) -> bool {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.info.is_some()
    }

    /// Returns the identity of the account, once it is known: an email address,
    /// or a URI.
    pub(crate) fn identity(&self) -> Option<String> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.info.as_ref().map(|info| info.email.clone())
    }

    /// Returns the email address, if it is known or the name is one.
    pub(crate) fn email(&self) -> Option<String> {
        let named = || self.name.contains('@').then(|| self.name.clone());
        self.identity().or_else(named)
    }

    fn learn(&self, info: &AccountInfo) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.scopes.is_none() && info.states_scopes {
            cache.scopes = Some(Scopes::new(info.scopes.iter().cloned()));
        }
        cache.info = Some(info.clone());
    }

    /// Asks the server for the account, by its email address once that is known.
    pub(crate) fn ask(
        &self,
        client: &MetadataClient,
        budget: &mut Budget,
    ) -> Result<AccountInfo, Error> {
        // An identity that is a URI is no name in a path.
        let known = self.identity().filter(|known| !known.contains('/'));
        let info = match known.filter(|known| *known != self.name) {
            None => ask_by(client, &self.name, budget)?,
            Some(email) => match ask_by(client, &email, budget) {
                // Another account was attached since: which one now?
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    ask_by(client, &self.name, budget)?
                }
                asked => asked?,
            },
        };
        self.check(&info.email)?;
        self.learn(&info);
        Ok(info)
    }

    /// Fails if the server speaks for another identity than the expected one;
    /// asks which one it speaks for.
    pub(crate) fn ask_expected(
        &self,
        client: &MetadataClient,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        if self.expected.is_none() {
            return Ok(());
        }
        let settings = &*client.0;
        let path = MetadataPath::account(&self.name, "email")?;
        let request = request::value(settings.endpoint()?, &path, &request::Query::default())?;
        let email = metadata::fetch(settings, budget, &request, |answer, _| {
            account_name(answer.text()?.trim())
        })?;
        self.check(&email)
    }

    fn check(&self, email: &str) -> Result<(), Error> {
        match &self.expected {
            Some(expected) if expected != email => Err(Error::new(
                ErrorKind::InvalidResponse,
                format!("the metadata server speaks for {email}, and not for {expected}"),
            )
            .with_hint("the token was dropped; is the right service account attached?")),
            _ => Ok(()),
        }
    }
}

fn ask_by(client: &MetadataClient, name: &str, budget: &mut Budget) -> Result<AccountInfo, Error> {
    let settings = &*client.0;
    let request = request::account_info(settings.endpoint()?, name)?;
    metadata::fetch(settings, budget, &request, |answer, _| account_info(answer))
        .map_err(|error| explain(error, name))
}

/// Says of a failed request for an account what it means.
pub(crate) fn explain(error: Error, account: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound => error
            .context(&format!("no service account {account:?} is attached"))
            .or_hint(
                "attach a service account to the instance or the workload, or name one that is",
            ),
        ErrorKind::Forbidden => error.context("no token was given").or_hint(
            "check that the service account is enabled, and on GKE that the Kubernetes service \
             account may impersonate it (roles/iam.workloadIdentityUser)",
        ),
        _ => error,
    }
}
