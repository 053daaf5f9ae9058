//! Where tokens and values come from: the machine's metadata server, or Application Default
//! Credentials. Makes credentials of the library; keeps nothing.

pub(crate) mod adc;
pub(crate) mod failure;
mod threads;
pub(crate) mod traffic;

use std::{sync::Arc, time::Duration};

use gce_auth::{
    CredentialAccessBoundary, Credentials, Error, IdTokenCredentials, IdTokenFormat,
    MetadataClient, transport::Limits,
};
use tokio::runtime::Handle;

use self::{
    adc::AdcSource,
    threads::RuntimeThreads,
    traffic::{CountedTransport, Traffic},
};

/// The account that a metadata server names if no other is asked for.
pub(crate) const DEFAULT: &str = "default";

/// The longest value, or document, that is passed on.
const MOST_BYTES: usize = 16 << 20;

/// What an access token is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccessKey {
    pub(crate) account: Arc<str>,
    /// Sorted, each once; `None` are the account's own.
    pub(crate) scopes: Option<Vec<String>>,
    /// Whether the token must not have more, also where the server grants all by default.
    pub(crate) enforce: bool,
    pub(crate) act_as: Option<Arc<str>>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) boundary: Option<Arc<str>>,
}

impl AccessKey {
    /// The token of an account as it is.
    pub(crate) fn plain(account: Arc<str>) -> Self {
        Self {
            account,
            scopes: None,
            enforce: false,
            act_as: None,
            lifetime: None,
            boundary: None,
        }
    }

    /// What a token of this one is made of; `None` if it comes from the source itself.
    pub(crate) fn made_of(&self) -> Option<Self> {
        let plain = Self::plain(Arc::clone(&self.account));
        if self.act_as.is_some() {
            // Impersonation asks for the scopes.
            return Some(plain);
        }
        self.boundary.as_ref()?;
        // A boundary leaves a token its scopes, so what it narrows has no more than these.
        Some(Self {
            scopes: self.scopes.clone(),
            enforce: self.enforce,
            ..plain
        })
    }
}

/// What an identity token is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdentityKey {
    pub(crate) account: Arc<str>,
    pub(crate) audience: String,
    pub(crate) full: bool,
    pub(crate) licenses: bool,
    pub(crate) act_as: Option<Arc<str>>,
}

/// Where tokens and values come from.
#[derive(Debug)]
pub(crate) struct Source {
    /// Asks the metadata server for tokens; for others, carries their requests.
    tokens: MetadataClient,
    /// Asks it for values, which may be longer.
    values: MetadataClient,
    iam_endpoint: Option<String>,
    pub(crate) traffic: Arc<Traffic>,
    adc: Option<AdcSource>,
}

impl Source {
    /// Returns the metadata server at `endpoint`, else where the environment says.
    pub(crate) fn metadata(
        endpoint: Option<&str>,
        iam_endpoint: Option<String>,
        runtime: &Handle,
    ) -> Result<Self, Error> {
        let traffic = Arc::new(Traffic::default());
        let client = |limits: Limits, follows: bool| {
            let transport = Arc::new(CountedTransport::new(Arc::clone(&traffic), follows));
            let builder = MetadataClient::builder()
                .transport(transport)
                .executor(Arc::new(RuntimeThreads(runtime.clone())))
                .limits(limits);
            match endpoint {
                Some(endpoint) => builder.endpoint(endpoint).build(),
                None => builder.build(),
            }
        };
        let mut long = Limits::new();
        long.body_bytes = MOST_BYTES;
        Ok(Self {
            tokens: client(Limits::new(), true)?,
            values: client(long, false)?,
            iam_endpoint,
            traffic: Arc::clone(&traffic),
            adc: None,
        })
    }

    /// Returns Application Default Credentials, which are looked for now. Blocks.
    pub(crate) fn adc(iam_endpoint: Option<String>, runtime: &Handle) -> Result<Self, Error> {
        let mut source = Self::metadata(None, iam_endpoint, runtime)?;
        source.adc = Some(AdcSource::find(&source.tokens)?);
        Ok(source)
    }

    /// Returns Application Default Credentials, if they are the source.
    pub(crate) fn as_adc(&self) -> Option<&AdcSource> {
        self.adc.as_ref()
    }

    /// Returns whether it may have tokens of an account. Application Default Credentials are one
    /// account.
    pub(crate) fn has_account(&self, account: &str) -> bool {
        self.adc.is_none() || account == DEFAULT
    }

    /// Returns the client that asks the metadata server for values.
    pub(crate) fn values(&self) -> &MetadataClient {
        &self.values
    }

    /// Returns where the metadata server is, unless the source is another.
    pub(crate) fn endpoint(&self) -> Option<String> {
        self.adc.is_none().then(|| self.tokens.endpoint().ok())?
    }

    /// Makes credentials that get the tokens of `key`; `of` are those of [`AccessKey::made_of`].
    pub(crate) fn access(
        &self,
        key: &AccessKey,
        of: Option<&Credentials>,
    ) -> Result<Credentials, Error> {
        let own = match of {
            Some(of) => of.clone(),
            None => self.plain(key)?,
        };
        let acting = match &key.act_as {
            None => own,
            Some(email) => {
                let mut builder = own.impersonate(&**email);
                if let Some(scopes) = &key.scopes {
                    builder = builder.scopes(scopes);
                }
                if let Some(lifetime) = key.lifetime {
                    builder = builder.lifetime(lifetime);
                }
                if let Some(url) = &self.iam_endpoint {
                    builder = builder.iam_endpoint(url);
                }
                builder.build()?
            }
        };
        match &key.boundary {
            None => Ok(acting),
            Some(boundary) => acting.downscope(&CredentialAccessBoundary::from_json(boundary)?),
        }
    }

    /// Tokens of the source itself.
    fn plain(&self, key: &AccessKey) -> Result<Credentials, Error> {
        if let Some(adc) = &self.adc {
            return Ok(adc.access(key.scopes.as_deref()));
        }
        let builder = Credentials::builder()
            .client(self.tokens.clone())
            .service_account(&*key.account)
            .shared(false);
        match &key.scopes {
            None => builder.build(),
            Some(scopes) => builder.scopes(scopes).enforce_scopes(key.enforce).build(),
        }
    }

    /// Makes credentials that get the tokens of `key`; `of` are the access tokens of the account.
    pub(crate) fn identity(
        &self,
        key: &IdentityKey,
        of: &Credentials,
    ) -> Result<IdTokenCredentials, Error> {
        if let Some(email) = &key.act_as {
            let mut builder = of.impersonate(&**email);
            if let Some(url) = &self.iam_endpoint {
                builder = builder.iam_endpoint(url);
            }
            return builder
                .build()?
                .id_token(&key.audience)?
                .with_include_email(true);
        }
        if self.adc.is_some() {
            return of.id_token(&key.audience);
        }
        let format = if key.full {
            IdTokenFormat::Full
        } else {
            IdTokenFormat::Standard
        };
        IdTokenCredentials::builder(&*key.audience)
            .client(self.tokens.clone())
            .service_account(&*key.account)
            .format(format)
            .licenses(key.licenses)
            .shared(false)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(act_as: Option<&str>, boundary: Option<&str>) -> AccessKey {
        AccessKey {
            scopes: Some(vec!["read".to_owned()]),
            enforce: true,
            act_as: act_as.map(Arc::from),
            boundary: boundary.map(Arc::from),
            ..AccessKey::plain("default".into())
        }
    }

    #[test]
    fn a_boundary_narrows_a_token_of_the_scopes_and_impersonation_one_of_the_account() {
        let plain = AccessKey::plain("default".into());
        assert_eq!(narrowed(None, None).made_of(), None);
        let of_scopes = narrowed(None, Some("{}")).made_of();
        assert_eq!(of_scopes, Some(narrowed(None, None)));
        let acting = narrowed(Some("narrow@p"), Some("{}")).made_of();
        assert_eq!(acting, Some(plain));
    }
}
