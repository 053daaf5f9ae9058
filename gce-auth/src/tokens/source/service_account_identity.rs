//! ID tokens of an account whose private key is at hand.

use std::sync::Arc;

use crate::{
    client::{config::MetadataClient, grants, iam},
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{Change, Sign, TokenSource, key_file::KeyFile, lane_of, origin::Origin, within},
    },
    values::{error::Error, token::Bearer, universe::DEFAULT_UNIVERSE},
    wire::{
        assertion, grant,
        iam_tokens::{self, Place},
        oauth::TOKEN_ENDPOINT,
    },
};

/// The scope of a token that asks IAM for others.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";

/// What ID tokens are asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyIdentityParams {
    pub(crate) audience: String,
    pub(crate) token_uri: String,
    pub(crate) universe_domain: String,
}

/// Asks for ID tokens with a private key: at the token endpoint, or in another
/// universe at IAM, with a token that is signed here.
#[derive(Clone, Debug)]
pub(crate) struct KeyIdentity {
    client: MetadataClient,
    origin: Origin,
    key: Arc<KeyFile>,
    lane: LaneKey,
    params: KeyIdentityParams,
}

impl KeyIdentity {
    pub(crate) fn new(
        client: MetadataClient,
        origin: Origin,
        key: Arc<KeyFile>,
        params: KeyIdentityParams,
    ) -> Self {
        let lane = if params.universe_domain == DEFAULT_UNIVERSE {
            lane_of(&client, &params.token_uri)
        } else {
            iam::lane(&client.0, None)
        };
        Self {
            client,
            origin,
            key,
            lane,
            params,
        }
    }

    fn of_token_endpoint(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let (config, params) = (&*self.client.0, &self.params);
        let claims = assertion::grant(
            &self.key.file.client_email,
            TOKEN_ENDPOINT,
            ("target_audience", &params.audience),
            None,
            &serde_json::Map::new(),
            config.clock.now(),
        );
        let jwt = self.key.jwt(&claims)?;
        let make = || grant::request_signed(&params.token_uri, &jwt);
        grants::id_token(config, &within(self, context), make, &params.audience)
    }

    fn of_iam(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let (config, params) = (&*self.client.0, &self.params);
        let email = &self.key.file.client_email;
        let place = Place::Endpoint(iam::endpoint(config, &params.universe_domain)?);
        let token = self
            .key
            .self_signed(("scope", IAM_SCOPE), config.clock.now())?;
        let make = || {
            let mut request = iam_tokens::id_token_of_self(&place, email, &params.audience)?;
            let authorization = token.value().header().clone();
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization);
            iam::identified(config, request)
        };
        grants::identity(config, &within(self, context), make, &params.audience)
    }
}

impl TokenSource for KeyIdentity {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        if self.params.universe_domain == DEFAULT_UNIVERSE {
            self.of_token_endpoint(context)
        } else {
            self.of_iam(context)
        }
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        Some(SharingKey::of((
            client,
            self.key.file.clone(),
            self.params.clone(),
        )))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ServiceAccount
    }

    fn info(&self) -> CredentialsInfo {
        let email = self.key.file.client_email.clone();
        self.origin
            .info("service account ID token credentials", email)
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::Audience(audience) => copy.params.audience.clone_from(audience),
            Change::TokenUri(uri) => {
                copy.params.token_uri.clone_from(uri);
                copy.lane = lane_of(&self.client, uri);
            }
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        Some(self.key.file.client_email.clone())
    }

    fn audience(&self) -> Option<&str> {
        Some(&self.params.audience)
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(&*self.key)
    }
}
