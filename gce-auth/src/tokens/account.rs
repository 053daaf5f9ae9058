//! Whose credentials these are, and what they may be used for.

use crate::{
    client::config::MetadataClient,
    io::threads::WorkKind,
    tokens::{
        credentials::Credentials,
        handle::Handle,
        info::{CredentialsInfo, CredentialsKind},
    },
    values::{error::Error, scope::Scopes},
    wire::account::AccountInfo,
};

impl Credentials {
    /// Fetches what the metadata server says of the account.
    ///
    /// From then on its scopes and its email address are known.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`];
    /// [`InvalidOperation`](crate::ErrorKind::InvalidOperation) if the tokens
    /// are not the metadata server's.
    pub async fn account(&self) -> Result<AccountInfo, Error> {
        self.0.account(WorkKind::Other).await
    }

    /// [`account`](Self::account), waiting on this thread.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    pub fn blocking_account(&self) -> Result<AccountInfo, Error> {
        self.0
            .inner
            .source
            .ask_account(&mut self.client().0.budget())
    }

    /// Returns the email address of the account, if it was named by it, or is
    /// known since [`refresh`](Self::refresh) or [`account`](Self::account).
    /// No I/O. [`info`](Self::info) has the name that was asked for, such as
    /// `default`.
    #[must_use]
    pub fn service_account_email(&self) -> Option<String> {
        self.0.inner.source.email()
    }

    /// Returns whose credentials these are, for messages. No I/O.
    #[must_use]
    pub fn info(&self) -> CredentialsInfo {
        self.0.inner.source.info()
    }

    /// Returns the scopes that are asked for; if none are, those of the
    /// account, after [`refresh`](Self::refresh) or [`account`](Self::account);
    /// until then `None`.
    ///
    /// A scope that stands here need not be the token's:
    ///
    /// | platform | a request for scopes is |
    /// | --- | --- |
    /// | Compute Engine, App Engine flexible | ignored: the token has those of the instance; with [`enforce_scopes`](crate::CredentialsBuilder::enforce_scopes) the token has just these, which must be among the instance's |
    /// | GKE with Workload Identity | honoured, within `cloud-platform` |
    /// | Cloud Run, Cloud Run functions, App Engine standard | honoured |
    ///
    /// [`status`](Self::status) tells which of them the account lacks.
    #[must_use]
    pub fn scopes(&self) -> Option<Vec<String>> {
        self.0.inner.source.scopes().map(Scopes::into_vec)
    }

    /// Returns the scopes to ask for if neither the program nor the account
    /// names any.
    #[must_use]
    pub fn default_scopes(&self) -> Option<Vec<String>> {
        self.0.inner.source.default_scopes().map(Scopes::into_vec)
    }

    /// Returns the scopes that a user has granted, which may be fewer than were
    /// asked for. `None` for other credentials, before the first token, and if
    /// none were asked for.
    #[cfg(feature = "adc")]
    #[must_use]
    pub fn granted_scopes(&self) -> Option<Vec<String>> {
        self.0.inner.source.granted_scopes()
    }

    /// Returns whether all of these are among the scopes, or among the default
    /// scopes if there are no others. Not to be trusted before a token was
    /// fetched.
    #[must_use]
    pub fn has_scopes<S: AsRef<str>>(&self, scopes: &[S]) -> bool {
        let held = self.scopes().or_else(|| self.default_scopes());
        let held = held.unwrap_or_default();
        let has = |scope: &S| held.iter().any(|held| held == scope.as_ref());
        scopes.iter().all(has)
    }

    /// Returns whether no scopes are asked for or known: a library may then
    /// name its own. A token can be had all the same. Never for users, who have
    /// granted theirs.
    #[must_use]
    pub fn requires_scopes(&self) -> bool {
        let lacks = |scopes: Option<Vec<String>>| scopes.is_none_or(|scopes| scopes.is_empty());
        match self.kind() {
            CredentialsKind::AuthorizedUser | CredentialsKind::ExternalAccountAuthorizedUser => {
                false
            }
            CredentialsKind::ExternalAccount => {
                lacks(self.scopes()) && lacks(self.default_scopes())
            }
            _ => lacks(self.scopes()),
        }
    }
}

impl Handle {
    /// Fetches what the metadata server says of the account, by the threads
    /// for this kind of work.
    pub(crate) async fn account(&self, kind: WorkKind) -> Result<AccountInfo, Error> {
        let source = self.inner.source.clone();
        let work = move |client: &MetadataClient| source.ask_account(&mut client.0.budget());
        self.inner.source.client().background(kind, work).await
    }

    /// Whether a refresh has to ask for the account as well: the token came of
    /// the refresh of other credentials.
    pub(crate) fn lacks_account(&self) -> bool {
        let source = &self.inner.source;
        let unknown = source.account().is_some_and(|account| !account.is_known());
        unknown && source.audience().is_none()
    }
}
