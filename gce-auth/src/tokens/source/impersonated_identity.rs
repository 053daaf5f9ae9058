//! ID tokens of service accounts that other credentials act as.

use std::{sync::Arc, time::Duration};

use crate::{
    client::{config::MetadataClient, grants, iam},
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, Sign, TokenSource,
            origin::Origin,
            target::{Target, sign},
            within,
        },
    },
    values::{error::Error, token::Bearer},
    wire::iam_tokens,
};

/// Asks IAM for ID tokens of an account.
#[derive(Clone, Debug)]
pub(crate) struct ImpersonatedIdentity {
    pub(crate) client: MetadataClient,
    pub(crate) origin: Origin,
    pub(crate) target: Arc<Target>,
    pub(crate) audience: String,
    /// Whether the token names the email address.
    pub(crate) include_email: bool,
}

impl TokenSource for ImpersonatedIdentity {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let (config, target) = (&*self.client.0, &self.target);
        let place = target.other_place(config)?;
        let make = || {
            let who = target.signatory();
            let mut request =
                iam_tokens::id_token(&place, who, &self.audience, self.include_email)?;
            target.before_request(&mut request)?;
            iam::identified(config, request)
        };
        let reject = |request: &http::Request<Vec<u8>>| target.reject(request);
        grants::impersonated_identity(config, &within(self, context), make, reject, &self.audience)
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn budget(&self) -> Duration {
        let own = self.client.0.retry.total();
        own.saturating_add(self.target.source.0.inner.source.budget())
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        self.target.lane()
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let own = (self.audience.clone(), self.include_email);
        Some(SharingKey::of((client, self.target.key()?, own)))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ImpersonatedServiceAccount
    }

    fn info(&self) -> CredentialsInfo {
        let email = self.target.email.clone();
        self.origin.info("impersonated ID token credentials", email)
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::Audience(audience) => copy.audience.clone_from(audience),
            Change::IncludeEmail(include) => copy.include_email = *include,
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        Some(self.target.email.clone())
    }

    fn audience(&self) -> Option<&str> {
        Some(&self.audience)
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(self)
    }
}

impl Sign for ImpersonatedIdentity {
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error> {
        sign(&self.client, &self.target, bytes)
    }

    fn lane(&self) -> LaneKey {
        self.target.lane().clone()
    }
}
