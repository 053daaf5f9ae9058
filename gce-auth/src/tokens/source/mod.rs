//! Who makes tokens: one file for each kind of source.

pub(crate) mod account;
#[cfg(feature = "tls")]
pub(crate) mod binding;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fixed;
#[cfg(feature = "iam")]
pub(crate) mod iam_grant;
#[cfg(feature = "iam")]
pub(crate) mod jwt_signer;
pub(crate) mod metadata_access;
pub(crate) mod metadata_identity;

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use crate::{
    client::config::MetadataClient,
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, Source, shared_map::SharingKey},
    tokens::{
        info::{CertificateBinding, CredentialsInfo},
        source::account::Account,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        scope::Scopes,
        token::Bearer,
    },
    wire::response::AccountInfo,
};

/// Makes the tokens of one credential.
///
/// A source holds what its requests say and what it has learned of its account;
/// a [`Handle`](crate::tokens::handle::Handle) keeps the tokens. A source over
/// other credentials, such as an impersonated account, holds a `Credentials`
/// and asks it for a token with `token_within`.
///
/// Only [`fetch`](Self::fetch), [`client`](Self::client), [`key`](Self::key),
/// [`info`](Self::info) and [`with`](Self::with) must be implemented.
pub(crate) trait TokenSource: Send + Sync + fmt::Debug + 'static {
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

    /// Returns the quota project, if the source names one: used unless the
    /// program sets another.
    fn quota_project(&self) -> Option<HeaderValue> {
        None
    }

    /// Returns whether the last token was bound to a certificate.
    fn certificate_binding(&self) -> Option<CertificateBinding> {
        None
    }

    /// Returns whether there is one token and no other will come; copies then
    /// share it.
    fn is_fixed(&self) -> bool {
        false
    }
}

/// One setting to change in a copy of a source.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// None: the same source, which learns for itself from now on.
    Nothing,
    /// Scopes, and default scopes.
    Scopes(Option<Scopes>, Option<Scopes>),
    DefaultScopes(Scopes),
    /// The service account: `default`, an alias or an email address.
    Account(String),
    Audience(String),
    #[cfg(feature = "iam")]
    TokenUri(String),
}

/// Signs for an account.
#[cfg(feature = "iam")]
pub(crate) trait Sign: Send + Sync + fmt::Debug {
    /// Signs `bytes` with RSASSA-PKCS1-v1_5 and SHA-256, or as the key of the
    /// program does; blocks. Returns the id of the key, if it is known, and the
    /// signature.
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error>;

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
