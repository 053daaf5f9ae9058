//! Where ID tokens come from, and who shares them.

use std::sync::Arc;

use crate::{
    client::{
        call::{self, Budget},
        settings::{MetadataClient, Reach},
    },
    credentials::source::explain,
    engine::{
        Source,
        freshness::Policy,
        keeper::Keeper,
        registry::{Family, Registry},
    },
    io::threads::WorkKind,
    values::{
        error::Error,
        token::{Bearer, Now},
    },
    wire::{
        request::{self, IdTokenFormat},
        response,
    },
};

/// How many audiences one family of credentials remembers the token of.
pub(crate) const FAMILY_BOUND: usize = 256;

/// What an ID token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdWish {
    pub(crate) account: String,
    pub(crate) audience: String,
    pub(crate) format: IdTokenFormat,
    pub(crate) licenses: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    reach: Reach,
    wish: IdWish,
}

/// The tokens of one family, audience by audience.
#[derive(Debug)]
pub(crate) struct Audiences(pub(crate) Family<Keeper<Bearer>>);

impl Default for Audiences {
    fn default() -> Self {
        Self(Family::new(FAMILY_BOUND))
    }
}

static SHARED: Registry<Key, Keeper<Bearer>> = Registry::new();

pub(crate) fn keeper(client: &MetadataClient, wish: &IdWish) -> Arc<Keeper<Bearer>> {
    let settings = &client.0;
    let make = || Keeper::new(Policy::chosen(settings.exact));
    match settings.reach() {
        Some(reach) => SHARED.get_or_insert(
            Key {
                reach,
                wish: wish.clone(),
            },
            make,
        ),
        None => Arc::new(make()),
    }
}

/// Asks the metadata identity endpoint for ID tokens.
#[derive(Debug)]
pub(crate) struct IdentitySource {
    pub(crate) client: MetadataClient,
    pub(crate) wish: IdWish,
}

impl Source for IdentitySource {
    type Value = Bearer;

    fn fetch(&self, started: Now, _forced: bool) -> Result<Bearer, Error> {
        let settings = &*self.client.0;
        let wish = &self.wish;
        let request = request::identity(
            settings.endpoint()?,
            &wish.account,
            &wish.audience,
            wish.format,
            wish.licenses,
        )?;
        let mut budget = Budget::since(settings, started);
        call::call(settings, &mut budget, &request, |answer, sent| {
            response::identity(answer, &wish.audience, sent)
        })
        .map_err(|error| explain(error, &wish.account))
    }

    fn budget(&self) -> std::time::Duration {
        self.client.0.retry.total()
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }
}
