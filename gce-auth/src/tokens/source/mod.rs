//! The sources of tokens: one file for each kind of source.

pub(crate) mod account;
#[cfg(feature = "adc")]
pub(crate) mod authorized_user;
#[cfg(feature = "tls")]
pub(crate) mod binding;
#[cfg(feature = "iam")]
pub(crate) mod downscoped;
#[cfg(feature = "adc")]
pub(crate) mod external_account;
#[cfg(feature = "adc")]
pub(crate) mod external_user;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fixed;
#[cfg(feature = "iam")]
pub(crate) mod iam_grant;
#[cfg(feature = "iam")]
pub(crate) mod impersonated;
#[cfg(feature = "iam")]
pub(crate) mod impersonated_identity;
#[cfg(feature = "iam")]
pub(crate) mod jwt_signer;
#[cfg(feature = "adc")]
pub(crate) mod key_file;
#[cfg(feature = "adc")]
mod learned;
pub(crate) mod metadata_access;
pub(crate) mod metadata_identity;
#[cfg(any(feature = "iam", test, feature = "test-util"))]
pub(crate) mod origin;
#[cfg(feature = "adc")]
pub(crate) mod self_signed;
#[cfg(feature = "adc")]
pub(crate) mod service_account;
#[cfg(feature = "adc")]
pub(crate) mod service_account_identity;
#[cfg(feature = "adc")]
pub(crate) mod subject;
#[cfg(feature = "iam")]
pub(crate) mod target;
#[cfg(feature = "adc")]
pub(crate) mod user_identity;

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

#[cfg(feature = "iam")]
use crate::wire::boundary::Holder;
#[cfg(feature = "adc")]
use crate::wire::credentials_file::written::Written;
use crate::{
    client::config::MetadataClient,
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, Source, shared_map::SharingKey},
    tokens::{
        credentials::Credentials,
        info::{CertificateBinding, CredentialsInfo, CredentialsKind},
        source::account::Account,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        scope::Scopes,
        token::Bearer,
    },
    wire::account::AccountInfo,
};

/// Makes the tokens of one credential.
///
/// A source holds what its requests say and what it has learned of its account;
/// a [`Handle`](crate::tokens::handle::Handle) keeps the tokens. A source over
/// other credentials, such as an impersonated account, holds a `Credentials`
/// and asks it for a token with `blocking_bearer`, on its own thread.
///
/// Only [`fetch`](Self::fetch), [`client`](Self::client), [`key`](Self::key),
/// [`info`](Self::info) and [`with`](Self::with) must be implemented.
pub(crate) trait TokenSource: Send + Sync + 'static {
    /// Fetches a token; blocks, within what `context` leaves of the budget.
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error>;

    /// Returns the client whose transport, clock, executor, limits and retry
    /// policy the requests use.
    fn client(&self) -> &MetadataClient;

    /// Returns the budget of a fetch, the wait for a thread included.
    fn budget(&self) -> Duration {
        self.client().0.retry.total()
    }

    /// Returns which threads may do the work.
    fn kind(&self) -> WorkKind {
        WorkKind::AccessToken
    }

    /// Returns the server that is asked first.
    fn lane(&self) -> &LaneKey {
        &self.client().0.lane
    }

    /// Returns what the requests say. Sources with equal keys share one slot;
    /// `None`: nothing is shared.
    fn key(&self) -> Option<SharingKey>;

    /// Returns where the credentials come from, and whose they are.
    fn info(&self) -> CredentialsInfo;

    /// Returns a source with one setting changed; `None` if this kind of source
    /// has no such setting.
    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>>;

    /// Returns the account at the metadata server, if that is who is asked.
    fn account(&self) -> Option<&Account> {
        None
    }

    /// Returns the email address of the account, if it is known without I/O.
    fn email(&self) -> Option<String> {
        self.account()?.email()
    }

    /// Fetches what the metadata server says of the account; blocks.
    fn ask_account(&self, _: &mut Budget) -> Result<AccountInfo, Error> {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "these credentials are of no account of the metadata server",
        ))
    }

    /// Returns the scopes that are asked for, else those of the account.
    fn scopes(&self) -> Option<Scopes> {
        None
    }

    /// Returns the scopes to ask for where there are no others.
    fn default_scopes(&self) -> Option<Scopes> {
        None
    }

    /// Returns the scopes that a user has granted.
    #[cfg(feature = "adc")]
    fn granted_scopes(&self) -> Option<Vec<String>> {
        None
    }

    /// Returns the audience of ID tokens.
    fn audience(&self) -> Option<&str> {
        None
    }

    /// Returns how google-auth reports the use of a token in
    /// `x-goog-api-client`.
    fn metric(&self) -> Option<&'static str> {
        None
    }

    /// Returns what signs for the account; `None`: IAM does, and the token of
    /// these credentials authorizes it.
    #[cfg(feature = "iam")]
    fn signs(&self) -> Option<&dyn Sign> {
        None
    }

    /// Returns the universe domain, if the source names one.
    fn universe_domain(&self) -> Option<&str> {
        None
    }

    /// Returns the credentials that these are made of, whose universe is theirs.
    fn made_of(&self) -> Option<&Credentials> {
        None
    }

    /// Returns the quota project, if the source names one: used unless the
    /// program sets another.
    fn quota_project(&self) -> Option<HeaderValue> {
        None
    }

    /// Returns whether the last token was bound to a certificate.
    fn certificate_binding(&self) -> Option<CertificateBinding> {
        None
    }

    /// Returns what kind of credentials these are.
    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ComputeEngine
    }

    /// Returns a token that the source was given, for a slot to begin with.
    fn saved(&self) -> Option<Bearer> {
        None
    }

    /// Returns whether copies begin with the token of their original: that of a
    /// user, who is the same whatever else a copy changes.
    fn copies_keep_token(&self) -> bool {
        false
    }

    /// Returns a source of ID tokens of the same account; `None` if there can
    /// be none, or the account is one of the metadata server.
    fn identity(&self, _audience: &str) -> Option<Arc<dyn TokenSource>> {
        None
    }

    /// Returns a source of JWTs for `audience` that the private key signs, and
    /// that are sent as they are; `None` if there is no key.
    #[cfg(feature = "adc")]
    fn self_signed(&self, _audience: &str) -> Option<Arc<dyn TokenSource>> {
        None
    }

    /// Returns the account that IAM signs as, and who acts as it, if the
    /// source's account is one that others act as.
    #[cfg(feature = "iam")]
    fn signs_through(&self) -> Option<&target::Target> {
        None
    }

    /// Returns where tokens are asked for, outside the metadata server.
    #[cfg(feature = "iam")]
    fn token_uri(&self) -> Option<&str> {
        None
    }

    /// Returns the project of the account, if the source names it.
    #[cfg(feature = "adc")]
    fn project_id(&self) -> Option<&str> {
        None
    }

    /// Returns the number of the project, which the resource manager knows the
    /// id of.
    #[cfg(feature = "adc")]
    fn project_number(&self) -> Option<&str> {
        None
    }

    /// Returns whose regional access boundary requests carry; `None` for no boundary.
    #[cfg(feature = "iam")]
    fn boundary_holder(&self) -> Option<Holder> {
        Some(Holder::Account)
    }

    /// Returns the credentials file that the source would be read from by now,
    /// without a quota project; `None` if no file describes it.
    #[cfg(feature = "adc")]
    fn file(&self) -> Option<Written> {
        None
    }

    /// Returns whether there is one token and no other will come; copies then
    /// share it.
    fn is_fixed(&self) -> bool {
        false
    }
}

/// Returns the lane of the server at `url`.
#[cfg(feature = "iam")]
pub(crate) fn lane_of(client: &MetadataClient, url: &str) -> LaneKey {
    let transport = &client.0.transport;
    match url.parse() {
        Ok(url) => LaneKey::of(&url, transport),
        Err(_) => LaneKey::new("", transport),
    }
}

/// Returns the budget of a fetch, of which `context` knows the start.
#[cfg(feature = "iam")]
pub(crate) fn within(source: &dyn TokenSource, context: &FetchContext) -> Budget {
    Budget::new(context.began, source.budget()).going_on(context.waits)
}

/// One setting to change in a copy of a source.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// None: the same source, which learns for itself from now on. Of sources
    /// that learn something.
    Nothing,
    /// Scopes, and default scopes.
    Scopes(Option<Scopes>, Option<Scopes>),
    DefaultScopes(Scopes),
    /// The service account: `default`, an alias or an email address.
    Account(String),
    Audience(String),
    /// The quota project, of sources whose own requests carry it, too.
    #[cfg(feature = "adc")]
    QuotaProject(Option<String>),
    #[cfg(feature = "iam")]
    TokenUri(String),
    #[cfg(feature = "iam")]
    UniverseDomain(String),
    /// The user on whose behalf the account acts.
    #[cfg(feature = "iam")]
    Subject(Option<String>),
    /// Additional claims of assertions: a JSON object.
    #[cfg(feature = "adc")]
    Claims(String),
    /// Whether tokens are signed with the private key and sent as they are.
    #[cfg(feature = "adc")]
    JwtAccess(bool),
    /// The service that such tokens are for.
    #[cfg(feature = "adc")]
    JwtAudience(Option<String>),
    /// How long such tokens last.
    #[cfg(feature = "adc")]
    JwtLifetime(Duration),
    /// Whether ID tokens name the email address.
    #[cfg(feature = "iam")]
    IncludeEmail(bool),
}

/// Signs for an account.
#[cfg(feature = "iam")]
pub(crate) trait Sign: Send + Sync {
    /// Signs `bytes` with RSASSA-PKCS1-v1_5 and SHA-256, or as the key of the
    /// program does; blocks. Returns the id of the key, if it is known, and the
    /// signature.
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error>;

    /// Returns the lane of that work: of the servers that it asks, if it asks any.
    fn lane(&self) -> LaneKey {
        LaneKey::nowhere()
    }

    /// Returns whether the private key is at hand: no server is asked.
    fn is_local(&self) -> bool {
        false
    }

    /// Signs a JWT with these claims, with the private key that is at hand.
    /// Returns the id of the key, too.
    fn sign_jwt(
        &self,
        _claims: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<(Option<String>, zeroize::Zeroizing<String>), Error> {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "there is no private key to sign with",
        ))
    }

    /// Returns the signer of the program's own, if there is one.
    fn own(&self) -> Option<Arc<dyn jwt_signer::JwtSigner>> {
        None
    }
}

/// Any source, as the cache knows it.
pub(crate) struct AnySource(pub(crate) Arc<dyn TokenSource>);

impl Source for AnySource {
    type Value = Bearer;

    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        self.0.fetch(context)
    }

    fn budget(&self) -> Duration {
        self.0.budget()
    }

    fn kind(&self) -> WorkKind {
        self.0.kind()
    }

    fn lane(&self) -> &LaneKey {
        self.0.lane()
    }
}
