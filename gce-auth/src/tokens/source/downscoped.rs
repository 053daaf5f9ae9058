//! Tokens that may do less than those of other credentials (Google, "Downscope
//! with Credential Access Boundaries").

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        credentials::Credentials,
        info::{CredentialsInfo, CredentialsKind},
        source::{Change, TokenSource, lane_of, within},
    },
    values::{error::Error, token::Bearer, universe::DEFAULT_UNIVERSE},
    wire::{boundary::Holder, sts},
};

/// Exchanges tokens of a source for narrower ones.
#[derive(Debug)]
pub(crate) struct Downscoped {
    pub(crate) client: MetadataClient,
    pub(crate) source: Credentials,
    /// The boundary, as JSON.
    pub(crate) boundary: Arc<str>,
    /// Where the exchange is, if that was named.
    pub(crate) token_url: Option<String>,
    /// The universe of the exchange, if it is not the source's.
    universe_domain: Option<String>,
    /// Of work that asks the source and the exchange.
    lane: LaneKey,
    /// The source's token that was exchanged last.
    last: Mutex<Option<Bearer>>,
}

impl Downscoped {
    pub(crate) fn new(
        source: Credentials,
        boundary: impl Into<Arc<str>>,
        token_url: Option<String>,
    ) -> Self {
        // That of the default universe, as long as another is not known.
        let exchange = token_url.clone();
        let exchange = exchange.unwrap_or_else(|| exchange_in(DEFAULT_UNIVERSE));
        Self {
            lane: lane_of(source.client(), &exchange).after(source.0.inner.source.lane()),
            client: source.client().clone(),
            source,
            boundary: boundary.into(),
            token_url,
            universe_domain: None,
            last: Mutex::new(None),
        }
    }

    /// A token of the source that was not exchanged before, if there is one: a
    /// narrower token lives no longer than what it was made of.
    fn token_of_source(&self) -> Result<Bearer, Error> {
        if self.client.0.exact {
            return self.source.0.refreshed_bearer();
        }
        let token = self.source.0.blocking_bearer()?;
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if last.is_none_or(|last| !last.is_same(&token)) {
            return Ok(token);
        }
        // If none comes, the one in hand is good as well.
        let _ = self.source.blocking_refresh();
        self.source.0.blocking_bearer()
    }
}

fn exchange_in(universe: &str) -> String {
    format!("https://sts.{universe}/v1/token")
}

impl TokenSource for Downscoped {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let token = self.token_of_source()?;
        let url = match &self.token_url {
            Some(url) => url.clone(),
            None => {
                let own = self.universe_domain.clone();
                let universe = own.or_else(|| self.source.0.known_universe());
                exchange_in(universe.as_deref().unwrap_or(DEFAULT_UNIVERSE))
            }
        };
        let make = || sts::downscope(&url, token.value().token(), &self.boundary);
        let validity = *token.validity();
        let read = |response, sent| sts::downscoped(response, sent, validity);
        let narrow = grants::exchanged(&self.client.0, &within(self, context), make, read)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(narrow)
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn budget(&self) -> Duration {
        let own = self.client.0.retry.total();
        own.saturating_add(self.source.0.inner.source.budget())
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let source = self.source.0.inner.source.key()?;
        let own = (
            self.boundary.clone(),
            self.token_url.clone(),
            self.universe_domain.clone(),
            self.source.0.known_universe(),
        );
        Some(SharingKey::of((client, source, own)))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::Downscoped
    }

    fn info(&self) -> CredentialsInfo {
        let source = self.source.info();
        CredentialsInfo {
            source: source.source,
            credential_type: "downscoped credentials",
            principal: source.principal,
        }
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let universe_domain = match change {
            Change::Nothing => self.universe_domain.clone(),
            Change::UniverseDomain(domain) => Some(domain.clone()),
            _ => return None,
        };
        let (source, boundary) = (self.source.clone(), Arc::clone(&self.boundary));
        Some(Arc::new(Self {
            universe_domain,
            ..Self::new(source, boundary, self.token_url.clone())
        }))
    }

    fn boundary_holder(&self) -> Option<Holder> {
        None
    }

    fn email(&self) -> Option<String> {
        self.source.0.inner.source.email()
    }

    fn universe_domain(&self) -> Option<&str> {
        self.universe_domain.as_deref()
    }

    fn made_of(&self) -> Option<&Credentials> {
        Some(&self.source)
    }
}
