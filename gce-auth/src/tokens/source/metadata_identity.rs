//! ID tokens of the metadata server's identity endpoint.

use std::sync::Arc;

#[cfg(feature = "tls")]
use super::binding;
use crate::{
    client::{config::MetadataClient, metadata},
    io::threads::WorkKind,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CertificateBinding, CredentialsInfo, LastBinding},
        source::{
            Change, TokenSource,
            account::{Account, explain},
        },
    },
    values::{budget::Budget, error::Error, token::Bearer},
    wire::{
        account::AccountInfo,
        request::{self, IdTokenFormat},
        response,
    },
};

/// Whether ID tokens are bound to the certificate of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindIdToken {
    /// Binds the token if this workload is an agent that has a certificate,
    /// unless the environment opts out.
    #[default]
    Automatic,
    /// Always binds the token; without a certificate, fails with
    /// [`InvalidOperation`](crate::ErrorKind::InvalidOperation). Stricter than
    /// google-auth's `bind_id_token=True`, which is what is automatic here.
    Always,
    /// Never binds the token.
    Never,
}

/// What an ID token is asked for with, besides the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct IdentityParams {
    pub(crate) audience: String,
    pub(crate) format: IdTokenFormat,
    pub(crate) licenses: bool,
    pub(crate) bind: BindIdToken,
}

/// Asks the metadata server for ID tokens.
#[derive(Debug)]
pub(crate) struct MetadataIdentity {
    client: MetadataClient,
    account: Account,
    params: IdentityParams,
    binding: LastBinding,
}

impl MetadataIdentity {
    pub(crate) fn new(client: MetadataClient, account: Account, params: IdentityParams) -> Self {
        Self {
            client,
            account,
            params,
            binding: LastBinding::default(),
        }
    }

    /// Returns the source of ID tokens of `account`, which `client` asks for.
    pub(crate) fn beside(client: MetadataClient, account: &Account, audience: String) -> Self {
        let params = IdentityParams {
            audience,
            ..IdentityParams::default()
        };
        Self::new(client, account.knowing(account.cache()), params)
    }
}

impl TokenSource for MetadataIdentity {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let settings = &*self.client.0;
        let (name, params) = (&self.account.name, &self.params);
        let mut budget = Budget::new(context.began, settings.retry.total()).going_on(context.waits);
        let request = request::identity(
            settings.endpoint()?,
            name,
            &params.audience,
            params.format,
            params.licenses,
        )?;
        #[cfg(feature = "tls")]
        let request = match params.bind {
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
        metadata::fetch(settings, &mut budget, &request, |answer, sent| {
            response::identity(answer, &params.audience, sent)
        })
        .map_err(|error| explain(error, name))
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let name = self.account.name.clone();
        Some(SharingKey::of((client, name, self.params.clone())))
    }

    fn info(&self) -> CredentialsInfo {
        let identity = self.account.identity();
        CredentialsInfo {
            source: "metadata server".into(),
            credential_type: "ID token credentials",
            principal: identity.unwrap_or_else(|| self.account.name.clone()),
        }
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut params = self.params.clone();
        let account = match change {
            Change::Audience(audience) => {
                params.audience.clone_from(audience);
                self.account.knowing(self.account.cache())
            }
            Change::Nothing => self.account.knowing(self.account.cache()),
            Change::Account(name) => Account::new(name),
            _ => return None,
        };
        Some(Arc::new(Self::new(self.client.clone(), account, params)))
    }

    fn account(&self) -> Option<&Account> {
        Some(&self.account)
    }

    fn ask_account(&self, budget: &mut Budget) -> Result<AccountInfo, Error> {
        self.account.ask(&self.client, budget)
    }

    fn audience(&self) -> Option<&str> {
        Some(&self.params.audience)
    }

    fn certificate_binding(&self) -> Option<CertificateBinding> {
        self.binding.get()
    }
}
