//! What google-auth's properties say: from memory, and to the second.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    client::config::MetadataClient,
    credentials::{Credentials, TokenState},
    io::threads::WorkKind,
    refresh::slot::Entry,
    values::{
        error::Error,
        scope::Scopes,
        token::{AccessToken, Bearer, Now, Validity},
    },
    wire::response::AccountInfo,
};

/// google-auth calls a token expired this long before it expires.
const THRESHOLD: Duration = Duration::from_secs(225);

/// Whose credentials these are, for a log or an error message: what
/// google-auth's `get_cred_info` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialsInfo {
    /// Where the credentials come from: `metadata server`.
    pub source: &'static str,
    /// What they are: `VM credentials`.
    pub kind: &'static str,
    /// The email address of the account if it is known, else its name.
    pub principal: String,
}

impl fmt::Display for CredentialsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            kind,
            principal,
        } = self;
        write!(f, "{kind} of {principal} from the {source}")
    }
}

/// The state of a token that ends with `validity`, in google-auth's words: its
/// thresholds, and neither jitter nor skew.
pub(crate) fn token_state(validity: Option<&Validity>, now: Now) -> TokenState {
    match validity {
        None => TokenState::Invalid,
        Some(validity) if validity.ends_within(Duration::ZERO, now) => TokenState::Invalid,
        Some(validity) if validity.ends_within(THRESHOLD, now) => TokenState::Stale,
        Some(_) => TokenState::Fresh,
    }
}

impl Credentials {
    pub(super) fn held(&self) -> Option<Entry<Bearer>> {
        self.0.source.holds_tokens().ok()?;
        self.0.engine.keeper().cell.read()
    }

    /// The token that is held, if it is good. No I/O, and none is started.
    #[must_use]
    pub fn cached_token(&self) -> Option<AccessToken> {
        self.0.source.holds_tokens().ok()?;
        let (entry, _) = self.0.engine.keeper().read(self.0.engine.now())?;
        Some(AccessToken(entry.value))
    }

    /// The token that is held, also when it has expired: google-auth's `token`.
    /// No I/O.
    #[must_use]
    pub fn held_token(&self) -> Option<AccessToken> {
        self.held().map(|entry| AccessToken(entry.value))
    }

    /// When the token that is held expires, or has expired. No I/O.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.held_token()?.expires_at()
    }

    /// Whether the token that is held expires within 225 s, or has expired:
    /// google-auth's `expired`. `false` where none is held, or where it never
    /// expires. No I/O.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.held().is_some() && self.token_state() != TokenState::Fresh
    }

    /// Whether a token is held that does not expire within 225 s: google-auth's
    /// `valid`. No I/O.
    ///
    /// [`headers`](Self::headers) hands out tokens until they really expire.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.token_state() == TokenState::Fresh
    }

    /// How good the token is that is held: stale from 225 s before it expires,
    /// invalid when it has. No I/O.
    ///
    /// This knows nothing of the jitter and the skew with which the library
    /// refreshes; [`status`](Self::status) does.
    #[must_use]
    pub fn token_state(&self) -> TokenState {
        let held = self.held();
        let validity = held.as_ref().map(|entry| entry.value.validity());
        token_state(validity, self.0.engine.now())
    }

    /// The account behind these credentials, from the metadata server.
    ///
    /// From then on its scopes and its email address are known.
    ///
    /// # Errors
    /// As for [`MetadataClient::account_info`](crate::MetadataClient::account_info).
    pub async fn account(&self) -> Result<AccountInfo, Error> {
        self.account_on(WorkKind::Other).await
    }

    /// [`account`](Self::account), by the threads for this kind of work.
    pub(super) async fn account_on(&self, kind: WorkKind) -> Result<AccountInfo, Error> {
        let credentials = self.clone();
        let work = move |client: &MetadataClient| {
            let mut budget = client.0.budget();
            credentials.0.source.ask_account(&mut budget)
        };
        self.client().background(kind, work).await
    }

    /// [`account`](Self::account), waiting on this thread.
    ///
    /// # Errors
    /// As for [`account`](Self::account).
    pub fn blocking_account(&self) -> Result<AccountInfo, Error> {
        self.0.source.ask_account(&mut self.client().0.budget())
    }

    /// The email address of the account if it is known, after
    /// [`refresh`](Self::refresh) or [`account`](Self::account); until then the
    /// name that was asked for.
    #[must_use]
    pub fn service_account_email(&self) -> String {
        self.0.source.email()
    }

    /// Whose credentials these are, for messages. No I/O.
    #[must_use]
    pub fn info(&self) -> CredentialsInfo {
        CredentialsInfo {
            source: "metadata server",
            kind: "VM credentials",
            principal: self.service_account_email(),
        }
    }

    /// The scopes that were asked for; where none were, those of the account,
    /// after [`refresh`](Self::refresh) or [`account`](Self::account); until
    /// then `None`.
    ///
    /// That a scope stands here does not say that the token has it:
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
        let asked = self.0.settled.wish.scopes.clone();
        asked
            .or_else(|| self.0.source.learned().scopes)
            .map(Scopes::into_vec)
    }

    /// The scopes to ask for where neither the program nor the account names
    /// any.
    #[must_use]
    pub fn default_scopes(&self) -> Option<Vec<String>> {
        let asked = self.0.settled.wish.default_scopes.clone();
        asked.map(Scopes::into_vec)
    }

    /// Whether all of these are among the scopes, or the default scopes where
    /// there are no others. Not to be trusted before a token was fetched.
    #[must_use]
    pub fn has_scopes<S: AsRef<str>>(&self, scopes: &[S]) -> bool {
        let held = self.scopes().or_else(|| self.default_scopes());
        let held = held.unwrap_or_default();
        let has = |scope: &S| held.iter().any(|held| held == scope.as_ref());
        scopes.iter().all(has)
    }

    /// Whether no scopes are asked for or known: a library may then name its
    /// own. A token can be had all the same.
    #[must_use]
    pub fn requires_scopes(&self) -> bool {
        self.scopes().is_none_or(|scopes| scopes.is_empty())
    }

    /// The quota project, if one is set.
    #[must_use]
    pub fn quota_project_id(&self) -> Option<&str> {
        self.0.settled.user_project.as_ref()?.to_str().ok()
    }
}
