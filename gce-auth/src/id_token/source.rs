//! Where ID tokens come from, and who shares them.

use std::sync::{Arc, OnceLock};

#[cfg(feature = "tls")]
use crate::credentials::{CertificateBinding, binding};
use crate::{
    client::{
        call,
        config::{ClientKey, MetadataClient},
    },
    credentials::{LastBinding, source::explain},
    io::threads::{LaneKey, WorkKind},
    refresh::{
        FetchContext, Source,
        keeper::Keeper,
        policy::Policy,
        shared_map::{Family, Registry},
    },
    values::{budget::Budget, error::Error, token::Bearer},
    wire::{
        request::{self, IdTokenFormat},
        response,
    },
};
#[cfg(feature = "iam")]
use crate::{
    id_token::grant::{GrantWish, Grantor},
    values::address::ByAddress,
};

/// How many audiences one family of credentials remembers the token of.
pub(crate) const FAMILY_BOUND: usize = 256;

/// Whether ID tokens are bound to the certificate of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindIdToken {
    /// Where this workload is an agent that has a certificate, unless somebody
    /// has opted out in the environment.
    #[default]
    Automatic,
    /// To such a certificate; without one there is no token, but
    /// [`InvalidOperation`](crate::ErrorKind::InvalidOperation). Stricter than
    /// google-auth's `bind_id_token=True`, which is what is automatic here.
    Always,
    /// Never.
    Never,
}

/// What an ID token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdWish {
    pub(crate) account: String,
    pub(crate) audience: String,
    pub(crate) format: IdTokenFormat,
    pub(crate) licenses: bool,
    pub(crate) bind: BindIdToken,
    /// Where it is not the metadata server that is asked.
    #[cfg(feature = "iam")]
    pub(crate) grant: Option<GrantWish>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    reach: ClientKey,
    wish: IdWish,
    #[cfg(feature = "iam")]
    grantor: Option<ByAddress<Grantor>>,
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

/// Asks for ID tokens: the metadata identity endpoint, or the token endpoint.
#[derive(Debug)]
pub(crate) struct IdentitySource {
    pub(crate) client: MetadataClient,
    pub(crate) wish: IdWish,
    /// The email address of the account, once it was asked for.
    pub(crate) email: OnceLock<String>,
    pub(crate) binding: LastBinding,
    #[cfg(feature = "iam")]
    pub(crate) grantor: Option<Arc<Grantor>>,
}

impl IdentitySource {
    /// The keeper of what this asks for: the process's, or one of its own.
    pub(crate) fn keeper(&self, shared: bool) -> Arc<Keeper<Bearer>> {
        let settings = &self.client.0;
        let make = || Keeper::new(Policy::chosen(settings.exact));
        match settings.key().filter(|_| shared) {
            Some(reach) => SHARED.get_or_insert(
                Key {
                    reach,
                    wish: self.wish.clone(),
                    #[cfg(feature = "iam")]
                    grantor: self.grantor.as_ref().map(ByAddress::of),
                },
                make,
            ),
            None => Arc::new(make()),
        }
    }

    /// The email address of the account, asked for once.
    pub(crate) fn email(&self) -> Result<String, Error> {
        if let Some(known) = self.email.get() {
            return Ok(known.clone());
        }
        let settings = &*self.client.0;
        let account = &self.wish.account;
        let request = request::account_info(settings.endpoint()?, account)?;
        let info = self
            .client
            .ask(&request, |answer, _| response::account_info(answer))
            .map_err(|error| explain(error, account))?;
        Ok(self.email.get_or_init(|| info.email).clone())
    }

    fn fetch_from_metadata(&self, departure: &FetchContext) -> Result<Bearer, Error> {
        let settings = &*self.client.0;
        let wish = &self.wish;
        let mut budget =
            Budget::new(departure.began, settings.retry.total()).going_on(departure.waits);
        let request = request::identity(
            settings.endpoint()?,
            &wish.account,
            &wish.audience,
            wish.format,
            wish.licenses,
        )?;
        #[cfg(feature = "tls")]
        let request = match wish.bind {
            BindIdToken::Automatic => binding::bound(settings, &budget, request, &self.binding)?,
            BindIdToken::Always => {
                binding::always_bound(settings, &budget, request, &self.binding)?
            }
            BindIdToken::Never => {
                let never = CertificateBinding::none("it was not to be");
                self.binding.note(never);
                request
            }
        };
        call::call(settings, &mut budget, &request, |answer, sent| {
            response::identity(answer, &wish.audience, sent)
        })
        .map_err(|error| explain(error, &wish.account))
    }
}

impl Source for IdentitySource {
    type Value = Bearer;

    fn fetch(&self, departure: &FetchContext) -> Result<Bearer, Error> {
        #[cfg(feature = "iam")]
        if let (Some(grantor), Some(grant)) = (&self.grantor, &self.wish.grant) {
            let settings = &*self.client.0;
            let email = self.email()?;
            return grantor.id_token(settings, grant, &email, &self.wish.audience);
        }
        self.fetch_from_metadata(departure)
    }

    fn budget(&self) -> std::time::Duration {
        #[cfg(feature = "iam")]
        if self.grantor.is_some() {
            // Two more servers are asked, each up to three times.
            let more = std::time::Duration::from_secs(100);
            return self.client.0.retry.total().saturating_add(more);
        }
        self.client.0.retry.total()
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        #[cfg(feature = "iam")]
        if let Some(grantor) = &self.grantor {
            return &grantor.lane;
        }
        &self.client.0.lane
    }
}
