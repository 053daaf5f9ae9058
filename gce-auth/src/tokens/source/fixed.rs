//! One token, and no other: for tests.

use std::sync::Arc;

use crate::{
    client::config::MetadataClient,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{Change, TokenSource, origin::Origin},
    },
    values::{
        error::{Error, ErrorKind},
        scope::Scopes,
        token::Bearer,
    },
};

/// Asks no server.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) client: MetadataClient,
    pub(crate) account: String,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) default_scopes: Option<Scopes>,
    /// Of ID tokens.
    pub(crate) audience: Option<String>,
}

impl TokenSource for Fixed {
    fn fetch(&self, _: &FetchContext) -> Result<Bearer, Error> {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "the token of these credentials is fixed, and has expired or was dropped",
        ))
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn key(&self) -> Option<SharingKey> {
        None
    }

    fn info(&self) -> CredentialsInfo {
        let email = self.email().unwrap_or_default();
        Origin::PROGRAM.info("fixed credentials", email)
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::Scopes(scopes, defaults) => {
                copy.scopes.clone_from(scopes);
                copy.default_scopes.clone_from(defaults);
            }
            Change::DefaultScopes(defaults) => copy.default_scopes = Some(defaults.clone()),
            Change::Account(name) => copy.account.clone_from(name),
            Change::Audience(audience) => copy.audience = Some(audience.clone()),
            Change::Nothing => return None,
            #[cfg(feature = "iam")]
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        self.account.contains('@').then(|| self.account.clone())
    }

    fn scopes(&self) -> Option<Scopes> {
        self.scopes.clone()
    }

    fn default_scopes(&self) -> Option<Scopes> {
        self.default_scopes.clone()
    }

    fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    fn metric(&self) -> Option<&'static str> {
        self.audience.is_none().then_some("cred-type/mds")
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::Fixed
    }

    fn is_fixed(&self) -> bool {
        true
    }
}
