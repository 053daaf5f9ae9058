//! `authorized_user`: tokens of a person, for a refresh token.

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, TokenSource, lane_of, learned::Learned, origin::Origin,
            user_identity::UserIdentity, within,
        },
    },
    values::{
        error::{Error, ErrorKind},
        headers::quota_project,
        scope::Scopes,
        secret::{BearerValue, SecretText},
        token::{Bearer, Validity},
        universe::DEFAULT_UNIVERSE,
    },
    wire::{
        credentials_file::{authorized_user::AuthorizedUser, written::Written},
        oauth as wire_oauth,
    },
};

/// Exchanges a refresh token for access tokens.
#[derive(Debug)]
pub(crate) struct UserTokens {
    client: MetadataClient,
    origin: Origin,
    user: Arc<AuthorizedUser>,
    token_uri: String,
    lane: LaneKey,
    scopes: Option<Scopes>,
    universe_domain: Option<String>,
    /// The refresh token that came last.
    newest: Arc<Learned<SecretText>>,
    /// The scopes of the token, if scopes were asked for.
    granted: Arc<Learned<Option<Vec<String>>>>,
}

impl UserTokens {
    /// `token_uri` is where the token is asked for, checked.
    pub(crate) fn new(
        client: MetadataClient,
        origin: Origin,
        user: AuthorizedUser,
        token_uri: String,
        scopes: Option<Scopes>,
    ) -> Self {
        let asked = scopes.or_else(|| user.scopes.clone().map(Scopes::new));
        let (id, first) = (&user.client_id, &user.refresh_token);
        Self {
            newest: Learned::refresh_token(&client, &token_uri, id, first),
            granted: Learned::granted(&client, &token_uri, id, first, asked.as_ref()),
            universe_domain: user.universe_domain.clone(),
            user: Arc::new(user),
            scopes: asked,
            lane: lane_of(&client, &token_uri),
            client,
            origin,
            token_uri,
        }
    }
}

impl TokenSource for UserTokens {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let universe = self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
        if universe != DEFAULT_UNIVERSE {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    "tokens of a user can be renewed in googleapis.com alone, not in {universe}"
                ),
            )
            .with_hint("use a service account or a workforce pool in this universe"));
        }
        let scopes = self.scopes.clone().unwrap_or_default();
        let granted = self.newest.exchange(|sent| {
            let make = || {
                *sent = self.newest.get();
                wire_oauth::refresh(&self.token_uri, &self.user, sent, scopes.as_slice())
            };
            let mut granted = grants::granted(&self.client.0, &within(self, context), make)?;
            let next = granted.refresh_token.take();
            Ok((granted, next))
        })?;
        if let Some(scope) = granted.scope.filter(|_| !scopes.is_empty()) {
            let scopes = scope.split_ascii_whitespace().map(str::to_owned);
            self.granted.set(scopes.collect());
        }
        granted.token
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let (user, uri) = (Arc::clone(&self.user), self.token_uri.clone());
        let universe = self.universe_domain.clone();
        Some(SharingKey::of((
            client,
            user,
            uri,
            self.scopes.clone(),
            universe,
        )))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::AuthorizedUser
    }

    fn info(&self) -> CredentialsInfo {
        let account = self.user.account.clone();
        self.origin
            .info("user credentials", account.unwrap_or_default())
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = Self {
            client: self.client.clone(),
            origin: self.origin.clone(),
            user: Arc::clone(&self.user),
            token_uri: self.token_uri.clone(),
            lane: self.lane.clone(),
            scopes: self.scopes.clone(),
            universe_domain: self.universe_domain.clone(),
            newest: Arc::clone(&self.newest),
            granted: Arc::clone(&self.granted),
        };
        match change {
            Change::TokenUri(uri) => {
                copy.token_uri.clone_from(uri);
                copy.lane = lane_of(&self.client, uri);
            }
            Change::UniverseDomain(domain) => copy.universe_domain = Some(domain.clone()),
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    /// A person's ID token is for the client that they have logged in to, alone.
    fn identity(&self, audience: &str) -> Option<Arc<dyn TokenSource>> {
        let universe = self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
        let is_known = audience == self.user.client_id && universe == DEFAULT_UNIVERSE;
        is_known.then(|| {
            Arc::new(UserIdentity {
                client: self.client.clone(),
                origin: self.origin.clone(),
                user: Arc::clone(&self.user),
                token_uri: self.token_uri.clone(),
                lane: self.lane.clone(),
                newest: Arc::clone(&self.newest),
            }) as Arc<dyn TokenSource>
        })
    }

    fn saved(&self) -> Option<Bearer> {
        let (token, expiry) = self.user.saved.as_ref()?;
        let value = BearerValue::new(token.reveal())?;
        let now = self.client.0.clock.now();
        Some(Bearer::new(value, Validity::until(now, *expiry)))
    }

    fn file(&self) -> Option<Written> {
        let universe = self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
        let scopes = self.scopes.as_ref().map(Scopes::as_slice);
        let newest = self.newest.get();
        Some(
            self.user
                .written(&newest, &self.token_uri, universe, scopes),
        )
    }

    fn copies_keep_token(&self) -> bool {
        true
    }

    fn email(&self) -> Option<String> {
        self.user.account.clone()
    }

    fn scopes(&self) -> Option<Scopes> {
        self.scopes.clone()
    }

    fn granted_scopes(&self) -> Option<Vec<String>> {
        self.granted.get()
    }

    fn metric(&self) -> Option<&'static str> {
        Some("cred-type/u")
    }

    fn universe_domain(&self) -> Option<&str> {
        Some(self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE))
    }

    fn quota_project(&self) -> Option<HeaderValue> {
        quota_project(self.user.quota_project_id.as_deref()?).ok()
    }

    fn token_uri(&self) -> Option<&str> {
        Some(&self.token_uri)
    }
}
