//! Access tokens of the metadata server.

use std::sync::Arc;

use crate::{
    client::{config::MetadataClient, metadata},
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CertificateBinding, CredentialsInfo, LastBinding},
        source::{
            Change, TokenSource,
            account::{Account, explain},
        },
    },
    values::{budget::Budget, error::Error, scope::Scopes, token::Bearer},
    wire::{account::AccountInfo, request, response},
};

/// What an access token is asked for with, besides the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TokenParams {
    /// What the program asks for; `None` for whatever the account has.
    pub(crate) scopes: Option<Scopes>,
    /// What a library asks for where the program asks for nothing.
    pub(crate) default_scopes: Option<Scopes>,
    pub(crate) enforce_scopes: bool,
}

/// Asks the metadata server for access tokens.
#[derive(Debug)]
pub(crate) struct MetadataAccess {
    client: MetadataClient,
    account: Account,
    params: TokenParams,
    binding: LastBinding,
}

impl MetadataAccess {
    pub(crate) fn new(client: MetadataClient, account: Account, params: TokenParams) -> Self {
        Self {
            client,
            account,
            params,
            binding: LastBinding::default(),
        }
    }

    /// Returns the scopes that the token request names.
    fn requested_scopes(&self) -> Scopes {
        let known = TokenSource::scopes(self);
        let named = known.or_else(|| self.params.default_scopes.clone());
        named.unwrap_or_default()
    }
}

impl TokenSource for MetadataAccess {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let settings = &*self.client.0;
        let mut budget = Budget::new(context.began, settings.retry.total()).going_on(context.waits);
        if context.forced {
            self.account.ask(&self.client, &mut budget)?;
        }
        let name = &self.account.name;
        let request = request::token(
            settings.endpoint()?,
            name,
            &self.requested_scopes(),
            self.params.enforce_scopes,
        )?;
        #[cfg(feature = "tls")]
        let request = super::binding::bound(settings, &budget, request, &self.binding)?;
        #[cfg(not(feature = "tls"))]
        self.binding
            .note(CertificateBinding::none("the feature tls is off"));
        let bearer = metadata::fetch(settings, &mut budget, &request, response::token)
            .map_err(|error| explain(error, name))?;
        // Asked after the token: an account exchanged in between shows.
        self.account.ask_expected(&self.client, &mut budget)?;
        Ok(bearer)
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let account = (self.account.name.clone(), self.account.expected.clone());
        Some(SharingKey::of((client, account, self.params.clone())))
    }

    fn info(&self) -> CredentialsInfo {
        let identity = self.account.identity();
        CredentialsInfo {
            source: "metadata server".into(),
            credential_type: "VM credentials",
            principal: identity.unwrap_or_else(|| self.account.name.clone()),
        }
    }

    #[cfg_attr(
        not(feature = "iam"),
        expect(
            clippy::match_wildcard_for_single_variants,
            reason = "features add more variants"
        )
    )]
    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let (mut cache, mut params) = (self.account.cache(), self.params.clone());
        let account = match change {
            Change::Nothing => self.account.knowing(cache),
            Change::Account(name) => Account::new(name).expecting(self.account.expected.clone()),
            Change::Scopes(scopes, defaults) => {
                params.scopes.clone_from(scopes);
                params.default_scopes.clone_from(defaults);
                cache.scopes = None;
                self.account.knowing(cache)
            }
            Change::DefaultScopes(defaults) => {
                params.default_scopes = Some(defaults.clone());
                self.account.knowing(cache)
            }
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

    fn scopes(&self) -> Option<Scopes> {
        let asked = self.params.scopes.clone();
        asked.or_else(|| self.account.cache().scopes)
    }

    fn default_scopes(&self) -> Option<Scopes> {
        self.params.default_scopes.clone()
    }

    fn metric(&self) -> Option<&'static str> {
        Some("cred-type/mds")
    }

    fn certificate_binding(&self) -> Option<CertificateBinding> {
        self.binding.get()
    }
}
