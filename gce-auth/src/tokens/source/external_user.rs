//! `external_account_authorized_user`: tokens of a workforce user, for a
//! refresh token.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::LaneKey,
    refresh::{FetchContext, policy::Policy, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{Change, TokenSource, lane_of, learned::Learned, origin::Origin, within},
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
        boundary::{self, Holder},
        credentials_file::{external_user::ExternalUser, written::Written},
        federation,
    },
};

/// Exchanges the refresh token of a workforce user for access tokens.
#[derive(Clone, Debug)]
pub(crate) struct ExternalUserTokens {
    client: MetadataClient,
    origin: Origin,
    user: Arc<ExternalUser>,
    /// Where tokens are asked for, if the file says so.
    token_url: Option<String>,
    lane: LaneKey,
    universe_domain: Option<String>,
    /// The refresh token that came last, if the file has one.
    newest: Option<Arc<Learned<SecretText>>>,
}

impl ExternalUserTokens {
    /// The URL in `user` is checked.
    pub(crate) fn new(client: MetadataClient, origin: Origin, user: ExternalUser) -> Self {
        Self {
            lane: lane_of(&client, user.token_url.as_deref().unwrap_or_default()),
            token_url: user.token_url.clone(),
            newest: user.renewal().map(|it| {
                Learned::refresh_token(&client, it.token_url, it.client_id, it.refresh_token)
            }),
            client,
            origin,
            universe_domain: user.universe_domain.clone(),
            user: Arc::new(user),
        }
    }

    /// Fails if the file has neither a valid token nor a way to one.
    pub(crate) fn check(&self, place: &str) -> Result<(), Error> {
        let config = &*self.client.0;
        let now = config.clock.now();
        // google-auth counts a stale token as none here.
        let margin = if config.exact {
            Policy::chosen(true).stale_margin
        } else {
            Duration::ZERO
        };
        let is_good = |token: Bearer| !token.validity().ends_within(margin, now);
        if self.newest.is_some() || self.saved().is_some_and(is_good) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Config,
            format!("{place}: the saved token has expired, and `refresh_token` is missing"),
        )
        .with_hint("run `gcloud auth application-default login --login-config=FILE` again"))
    }
}

impl TokenSource for ExternalUserTokens {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let (Some(renewal), Some(newest), Some(token_url)) =
            (self.user.renewal(), &self.newest, &self.token_url)
        else {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "the token of the credentials file has expired, and there is no refresh token",
            )
            .with_hint("run `gcloud auth application-default login --login-config=FILE` again"));
        };
        newest.exchange(|sent| {
            let make = || {
                *sent = newest.get();
                federation::refresh(renewal, token_url, sent)
            };
            let budget = within(self, context);
            grants::exchanged(&self.client.0, &budget, make, federation::refreshed)
        })?
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let url = self.token_url.clone();
        Some(SharingKey::of((client, Arc::clone(&self.user), url)))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ExternalAccountAuthorizedUser
    }

    fn info(&self) -> CredentialsInfo {
        self.origin.info(
            "external account authorized user credentials",
            String::new(),
        )
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::TokenUri(url) => {
                copy.token_url = Some(url.clone());
                copy.lane = lane_of(&self.client, url);
            }
            Change::UniverseDomain(domain) => copy.universe_domain = Some(domain.clone()),
            _ => return None,
        }
        Some(Arc::new(copy))
    }

    fn saved(&self) -> Option<Bearer> {
        let (token, expiry) = self.user.saved.as_ref()?;
        let value = BearerValue::new(token.reveal())?;
        let now = self.client.0.clock.now();
        let validity = expiry.map_or(Validity::ENDLESS, |expiry| Validity::until(now, expiry));
        Some(Bearer::new(value, validity))
    }

    fn file(&self) -> Option<Written> {
        let universe = self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
        let newest = self.newest.as_ref().map(|it| it.get());
        Some(
            self.user
                .written(newest.as_ref(), self.token_url.as_deref(), universe),
        )
    }

    fn copies_keep_token(&self) -> bool {
        true
    }

    fn scopes(&self) -> Option<Scopes> {
        self.user.scopes.clone().map(Scopes::new)
    }

    fn universe_domain(&self) -> Option<&str> {
        Some(self.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE))
    }

    fn boundary_holder(&self) -> Option<Holder> {
        boundary::workforce(self.user.audience.as_deref()?)
    }

    fn quota_project(&self) -> Option<HeaderValue> {
        quota_project(self.user.quota_project_id.as_deref()?).ok()
    }

    fn token_uri(&self) -> Option<&str> {
        self.token_url.as_deref()
    }
}
