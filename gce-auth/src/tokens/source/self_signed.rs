//! JWTs for one service that a private key signs, sent as they are (AIP-4111).

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    client::config::MetadataClient,
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, Sign, TokenSource,
            key_file::{KeyFile, claims},
            origin::Origin,
        },
    },
    values::{error::Error, token::Bearer},
    wire::assertion::LIFETIME,
};

/// What the tokens say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SelfSignedParams {
    audience: String,
    /// A JSON object, or empty.
    claims: String,
    lifetime: Duration,
}

impl SelfSignedParams {
    pub(crate) fn new(audience: &str) -> Self {
        Self {
            audience: audience.to_owned(),
            claims: String::new(),
            lifetime: LIFETIME,
        }
    }
}

/// Signs tokens, and asks no server.
#[derive(Clone, Debug)]
pub(crate) struct SelfSigned {
    pub(crate) client: MetadataClient,
    pub(crate) origin: Origin,
    pub(crate) lane: LaneKey,
    pub(crate) key: Arc<KeyFile>,
    pub(crate) universe_domain: String,
    pub(crate) params: SelfSignedParams,
}

impl TokenSource for SelfSigned {
    fn fetch(&self, _: &FetchContext) -> Result<Bearer, Error> {
        let params = &self.params;
        let what = ("aud", &*params.audience);
        let additional = claims(&params.claims)?;
        let now = self.client.0.clock.now();
        self.key
            .self_signed_with(what, params.lifetime, &additional, now)
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let own = (self.key.file.clone(), self.params.clone());
        Some(SharingKey::of((client, own)))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ServiceAccount
    }

    fn info(&self) -> CredentialsInfo {
        let email = self.key.file.client_email.clone();
        self.origin.info("self-signed JWT credentials", email)
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        let params = &mut copy.params;
        match change {
            Change::Claims(more) => {
                let mut all = claims(&params.claims).ok()?;
                all.extend(claims(more).ok()?);
                params.claims = Value::Object(all).to_string();
            }
            Change::JwtAudience(Some(audience)) => params.audience.clone_from(audience),
            Change::JwtLifetime(lifetime) => params.lifetime = *lifetime,
            Change::UniverseDomain(domain) => copy.universe_domain.clone_from(domain),
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        Some(self.key.file.client_email.clone())
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(&*self.key)
    }

    fn universe_domain(&self) -> Option<&str> {
        Some(&self.universe_domain)
    }

    fn project_id(&self) -> Option<&str> {
        self.key.file.project_id.as_deref()
    }
}
