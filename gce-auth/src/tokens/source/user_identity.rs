//! ID tokens of a person, which come with the access token for a refresh token
//! and are for the client of the login.

use std::sync::Arc;

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{Change, TokenSource, learned::Learned, origin::Origin, within},
    },
    values::{error::Error, secret::SecretText, token::Bearer},
    wire::{credentials_file::authorized_user::AuthorizedUser, oauth},
};

/// Exchanges a refresh token for ID tokens.
#[derive(Debug)]
pub(crate) struct UserIdentity {
    pub(crate) client: MetadataClient,
    pub(crate) origin: Origin,
    pub(crate) user: Arc<AuthorizedUser>,
    pub(crate) token_uri: String,
    pub(crate) lane: LaneKey,
    /// The refresh token that came last.
    pub(crate) newest: Arc<Learned<SecretText>>,
}

impl TokenSource for UserIdentity {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        self.newest.exchange(|sent| {
            // With all scopes of the login: `openid` may not be among those of the access token.
            let make = || {
                *sent = self.newest.get();
                oauth::refresh(&self.token_uri, &self.user, sent, &[])
            };
            let (config, budget) = (&self.client.0, within(self, context));
            grants::id_token_of_user(config, &budget, make, &self.user.client_id)
        })?
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
        let (user, uri) = (Arc::clone(&self.user), self.token_uri.clone());
        Some(SharingKey::of((client, user, uri, "id_token")))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::AuthorizedUser
    }

    fn info(&self) -> CredentialsInfo {
        let account = self.user.account.clone();
        self.origin
            .info("user ID token credentials", account.unwrap_or_default())
    }

    /// The token is for one client, at one server.
    fn with(&self, _: &Change) -> Option<Arc<dyn TokenSource>> {
        None
    }

    fn email(&self) -> Option<String> {
        self.user.account.clone()
    }

    fn audience(&self) -> Option<&str> {
        Some(&self.user.client_id)
    }
}
