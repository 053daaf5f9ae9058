//! What a server said besides a token, known to all credentials that would ask
//! the same.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{
    client::config::MetadataClient,
    io::clock::AnyClock,
    refresh::shared_map::{Registry, SharingKey},
    values::{
        error::{Error, ErrorKind},
        scope::Scopes,
        secret::SecretText,
    },
};

type Entries<T> = Registry<SharingKey, RwLock<T>>;

/// The refresh tokens that came last, by the ones in the files.
static REFRESH_TOKENS: Entries<SecretText> = Registry::new();
/// The scopes that were granted, by those that were asked for.
static GRANTED: Entries<Option<Vec<String>>> = Registry::new();

/// What was learned. It stays for a while after the last credential that knows
/// it, as tokens do.
#[derive(Debug)]
pub(crate) struct Learned<T: 'static> {
    entry: Arc<RwLock<T>>,
    /// Where others find it.
    home: Option<(&'static Entries<T>, SharingKey, AnyClock)>,
}

impl Learned<SecretText> {
    /// The refresh token that came last from `token_uri` in the place of
    /// `first`, which was issued to the OAuth client `client_id`.
    pub(crate) fn refresh_token(
        client: &MetadataClient,
        token_uri: &str,
        client_id: &str,
        first: &SecretText,
    ) -> Arc<Self> {
        let key = client.0.key().map(|key| {
            let (uri, id) = (token_uri.to_owned(), client_id.to_owned());
            SharingKey::of((key, uri, id, first.clone()))
        });
        Self::of(&REFRESH_TOKENS, client, key, first.clone())
    }

    /// Has `ask` exchange the newest refresh token, which it notes as the one that
    /// was sent, and keeps the one that comes back. A token that is refused is
    /// followed by the newest, if another fetch has brought that meanwhile.
    pub(crate) fn exchange<T>(
        &self,
        mut ask: impl FnMut(&mut SecretText) -> Result<(T, Option<SecretText>), Error>,
    ) -> Result<T, Error> {
        let mut sent = self.get();
        loop {
            match ask(&mut sent) {
                Ok((answer, next)) => {
                    if let Some(next) = next {
                        self.replace(&sent, next);
                    }
                    return Ok(answer);
                }
                Err(error) if error.kind() == ErrorKind::Refused && self.get() != sent => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts `next` in the place of `sent`, unless another fetch did.
    fn replace(&self, sent: &SecretText, next: SecretText) {
        let mut newest = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        if *newest == *sent {
            *newest = next;
        }
    }
}

impl Learned<Option<Vec<String>>> {
    /// The scopes that `refresh_token` was last granted of `asked`.
    pub(crate) fn granted(
        client: &MetadataClient,
        token_uri: &str,
        client_id: &str,
        refresh_token: &SecretText,
        asked: Option<&Scopes>,
    ) -> Arc<Self> {
        let key = client.0.key().map(|key| {
            let (uri, id) = (token_uri.to_owned(), client_id.to_owned());
            SharingKey::of((key, uri, id, refresh_token.clone(), asked.cloned()))
        });
        Self::of(&GRANTED, client, key, None)
    }

    pub(crate) fn set(&self, granted: Vec<String>) {
        let mut known = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(granted);
    }
}

impl<T: Clone> Learned<T> {
    fn of(
        entries: &'static Entries<T>,
        client: &MetadataClient,
        key: Option<SharingKey>,
        first: T,
    ) -> Arc<Self> {
        let new = || RwLock::new(first);
        let clock = AnyClock::of(Arc::clone(&client.0.clock));
        Arc::new(match key {
            Some(key) => Self {
                entry: entries.get_or_insert(key.clone(), new),
                home: Some((entries, key, clock)),
            },
            None => Self {
                entry: Arc::new(new()),
                home: None,
            },
        })
    }

    pub(crate) fn get(&self) -> T {
        let known = self.entry.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

impl<T> Drop for Learned<T> {
    fn drop(&mut self) {
        if let Some((entries, key, clock)) = &self.home {
            entries.leave(key, &self.entry, clock);
        }
    }
}
