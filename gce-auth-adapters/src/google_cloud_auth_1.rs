//! [google-cloud-auth] 1: every `google-cloud-*` client takes these credentials, and the reverse.
//!
//! ```no_run
//! # async fn client() -> Result<(), Box<dyn std::error::Error>> {
//! use gce_auth_adapters::google_cloud_auth_1 as adapter;
//! use google_cloud_secretmanager_v1::client::SecretManagerService;
//!
//! let credentials = gce_auth::Credentials::new();
//! let client = SecretManagerService::builder().with_credentials(adapter::credentials(&credentials)).build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Their interface cannot report a rejected token: call [`Credentials::invalidate`] after an
//! `UNAUTHENTICATED`. If the universe cannot be looked up, their client takes `googleapis.com`.
//!
//! [google-cloud-auth]: https://docs.rs/google-cloud-auth

mod id_token;
mod signer;
mod theirs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gce_auth::{Credentials, Error, Headers, HeadersTag, IdTokenCredentials, Signer};
use google_cloud_auth::{
    credentials::{
        AccessToken, AccessTokenCredentials, AccessTokenCredentialsProvider, CacheableResource,
        Credentials as TheirCredentials, CredentialsProvider, EntityTag,
        idtoken::IDTokenCredentials,
    },
    errors::CredentialsError,
    signer::Signer as TheirSigner,
};
use http::{Extensions, HeaderMap};

use self::id_token::credentials_error;
pub use self::{
    id_token::{IdTokenAdapter, SubjectTokenError},
    theirs::Theirs,
};

/// Returns `ours` as google-cloud-auth's `Credentials`, for `with_credentials` of a client.
#[must_use]
pub fn credentials(ours: &Credentials) -> TheirCredentials {
    Adapter::new(ours).into()
}

/// Returns `ours` as google-cloud-auth's `AccessTokenCredentials`.
#[must_use]
pub fn access_token_credentials(ours: &Credentials) -> AccessTokenCredentials {
    Adapter::new(ours).into()
}

/// Returns `ours` as google-cloud-auth's `IDTokenCredentials`.
#[must_use]
pub fn id_token_credentials(ours: &IdTokenCredentials) -> IDTokenCredentials {
    IdTokenAdapter::new(ours).into()
}

/// Returns `ours` as google-cloud-auth's `Signer`, which signs URLs among others.
#[must_use]
pub fn signer(ours: &Signer) -> TheirSigner {
    signer::SignerAdapter::new(ours).into()
}

/// Returns `ours` as a source of subject tokens for google-cloud-auth's `external_account`
/// credentials.
#[must_use]
pub fn subject_token_provider(ours: &IdTokenCredentials) -> IdTokenAdapter {
    IdTokenAdapter::new(ours)
}

/// Returns `theirs` as a [`ProvideHeaders`](gce_auth::ProvideHeaders), for sources of credentials
/// that gce-auth doesn't have.
#[must_use]
pub fn provide_headers(theirs: TheirCredentials) -> Theirs {
    Theirs::new(theirs)
}

#[derive(Debug)]
struct Adapter {
    ours: Credentials,
    /// The tag given to the headers that were handed out last, and what it stands for.
    last: Mutex<Option<(EntityTag, HeadersTag)>>,
}

impl Adapter {
    fn new(ours: &Credentials) -> Self {
        Self {
            ours: ours.clone(),
            last: Mutex::new(None),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<(EntityTag, HeadersTag)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tag that stands for `headers`: the same as before if they are the same.
    fn tag(&self, headers: &Headers) -> EntityTag {
        let (mut last, mine) = (self.last(), headers.tag());
        if let Some((tag, known)) = &*last {
            if *known == mine {
                return tag.clone();
            }
        }
        let tag = EntityTag::new();
        *last = Some((tag.clone(), mine));
        tag
    }

    async fn changed(&self, extensions: &Extensions) -> Result<Option<Headers>, Error> {
        let last = self.last().clone();
        let held = extensions.get::<EntityTag>();
        match last.filter(|(tag, _)| held == Some(tag)) {
            Some((_, known)) => self.ours.headers_if_changed(&known).await,
            None => self.ours.headers().await.map(Some),
        }
    }
}

impl CredentialsProvider for Adapter {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let changed = self.changed(&extensions).await;
        Ok(match changed.map_err(credentials_error)? {
            None => CacheableResource::NotModified,
            Some(headers) => CacheableResource::New {
                entity_tag: self.tag(&headers),
                data: headers.into(),
            },
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        self.ours.universe_domain().await.ok()
    }
}

impl AccessTokenCredentialsProvider for Adapter {
    async fn access_token(&self) -> Result<AccessToken, CredentialsError> {
        let token = self.ours.token().await.map_err(credentials_error)?;
        Ok(AccessToken {
            token: token.secret().to_owned(),
        })
    }
}
