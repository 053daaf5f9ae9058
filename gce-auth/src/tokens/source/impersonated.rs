//! Service accounts that other credentials act as: tokens and signatures of IAM
//! (Google, "Service account impersonation").

use std::{sync::Arc, time::Duration};

#[cfg(feature = "adc")]
use crate::wire::credentials_file::{impersonated, written::Written};
use crate::{
    client::{config::MetadataClient, grants, iam},
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        credentials::Credentials,
        impersonate::authorizing,
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, Sign, TokenSource,
            impersonated_identity::ImpersonatedIdentity,
            origin::Origin,
            target::{Target, sign},
            within,
        },
    },
    values::{
        error::{Error, ErrorKind},
        scope::Scopes,
        token::Bearer,
        universe::DEFAULT_UNIVERSE,
    },
    wire::{
        assertion,
        boundary::Holder,
        iam_tokens,
        oauth::{self as wire_oauth, TOKEN_ENDPOINT},
    },
};

/// What tokens of the account are asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ImpersonatedParams {
    pub(crate) scopes: Option<Scopes>,
    /// Of an external account, which tells them apart.
    pub(crate) default_scopes: Option<Scopes>,
    pub(crate) lifetime: Duration,
    /// The user on whose behalf the account acts.
    pub(crate) subject: Option<String>,
}

impl ImpersonatedParams {
    /// An empty list hides the default scopes, as in google-auth.
    fn asked(&self) -> Scopes {
        let scopes = self.scopes.as_ref().or(self.default_scopes.as_ref());
        scopes.cloned().unwrap_or_default()
    }
}

/// Asks IAM for tokens of an account.
#[derive(Clone, Debug)]
pub(crate) struct Impersonated {
    pub(crate) client: MetadataClient,
    pub(crate) origin: Origin,
    pub(crate) kind: CredentialsKind,
    pub(crate) target: Arc<Target>,
    pub(crate) params: ImpersonatedParams,
    /// Of the file that says all this.
    pub(crate) quota_project_id: Option<String>,
    /// Where the account's project is asked for, with its number.
    #[cfg(feature = "adc")]
    pub(crate) project_number: Option<String>,
}

impl Impersonated {
    fn as_itself(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let (config, target) = (&*self.client.0, &self.target);
        let place = target.place(config)?;
        let scopes = self.params.asked();
        let make = || {
            let who = target.signatory();
            let mut request =
                iam_tokens::access_token(&place, who, scopes.as_slice(), self.params.lifetime)?;
            target.authorize(&mut request)?;
            iam::identified(config, request)
        };
        grants::access_token(config, &within(self, context), make)
    }

    /// The account signs an assertion for the user, which the token endpoint
    /// takes.
    fn as_user(&self, context: &FetchContext, user: &str) -> Result<Bearer, Error> {
        let (config, target) = (&*self.client.0, &self.target);
        let universe = target.source.blocking_universe_domain()?;
        if universe != DEFAULT_UNIVERSE {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a service account acts for a user in the universe googleapis.com alone",
            ));
        }
        let place = target.other_place(config)?;
        let scopes = self.params.asked();
        let claims = assertion::grant(
            &target.email,
            TOKEN_ENDPOINT,
            ("scope", &scopes.as_slice().join(" ")),
            Some(user),
            &serde_json::Map::new(),
            config.clock.now(),
        );
        let claims = serde_json::Value::Object(claims).to_string();
        let make = || {
            let mut request = iam_tokens::sign_jwt(&place, target.signatory(), &claims)?;
            target.authorize(&mut request)?;
            iam::identified(config, request)
        };
        let jwt = grants::signed_jwt(config, &within(self, context), make)?;
        let make = || wire_oauth::assertion(TOKEN_ENDPOINT, &jwt);
        grants::granted(config, &within(self, context), make).and_then(|granted| granted.token)
    }
}

impl TokenSource for Impersonated {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        match &self.params.subject {
            Some(user) => self.as_user(context, user),
            None => self.as_itself(context),
        }
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn budget(&self) -> Duration {
        let own = self.client.0.retry.total();
        own.saturating_add(self.target.source.0.inner.source.budget())
    }

    fn lane(&self) -> &LaneKey {
        match self.params.subject {
            Some(_) => &self.target.user_lane,
            None => self.target.lane(),
        }
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        Some(SharingKey::of((
            client,
            self.target.key()?,
            self.params.clone(),
        )))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        self.kind
    }

    fn info(&self) -> CredentialsInfo {
        let credential_type = match self.kind {
            CredentialsKind::ExternalAccount => "external account credentials",
            _ => "impersonated credentials",
        };
        self.origin.info(credential_type, self.target.email.clone())
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        match change {
            Change::Nothing => {}
            Change::Scopes(scopes, defaults) if self.kind == CredentialsKind::ExternalAccount => {
                copy.params.scopes.clone_from(scopes);
                copy.params.default_scopes.clone_from(defaults);
            }
            Change::DefaultScopes(defaults) if self.kind == CredentialsKind::ExternalAccount => {
                copy.params.default_scopes = Some(defaults.clone());
            }
            Change::Scopes(scopes, defaults) => {
                let asked = scopes.clone().filter(|scopes| !scopes.is_empty());
                copy.params.scopes = asked.or_else(|| defaults.clone());
            }
            Change::DefaultScopes(defaults) => {
                copy.params.scopes.get_or_insert_with(|| defaults.clone());
            }
            Change::Subject(subject) => copy.params.subject.clone_from(subject),
            // The file of an external account has one for both.
            #[cfg(feature = "adc")]
            Change::QuotaProject(project) if self.kind == CredentialsKind::ExternalAccount => {
                let source = self.target.source.with_quota_project(project.as_deref());
                copy.target = Arc::new(self.target.over(source.ok()?));
            }
            #[cfg(feature = "adc")]
            Change::TokenUri(url) if self.kind == CredentialsKind::ExternalAccount => {
                let source = self.target.source.with_token_uri(url.as_str());
                copy.target = Arc::new(self.target.over(source.ok()?));
            }
            #[cfg(feature = "adc")]
            Change::UniverseDomain(domain) if self.kind == CredentialsKind::ExternalAccount => {
                let source = self.target.source.with_universe_domain(domain.as_str());
                copy.target = Arc::new(self.target.over(source));
            }
            _ => return None,
        }
        let source = &copy.target.source;
        if !source.0.inner.options.shared {
            copy.target = Arc::new(copy.target.over(authorizing(source)));
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        Some(self.target.email.clone())
    }

    fn scopes(&self) -> Option<Scopes> {
        self.params.scopes.clone()
    }

    fn default_scopes(&self) -> Option<Scopes> {
        self.params.default_scopes.clone()
    }

    fn metric(&self) -> Option<&'static str> {
        // google-auth reports none for external accounts.
        (self.kind != CredentialsKind::ExternalAccount).then_some("cred-type/imp")
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(self)
    }

    fn signs_through(&self) -> Option<&Target> {
        Some(&self.target)
    }

    fn made_of(&self) -> Option<&Credentials> {
        Some(&self.target.source)
    }

    fn quota_project(&self) -> Option<http::HeaderValue> {
        crate::values::headers::quota_project(self.quota_project_id.as_deref()?).ok()
    }

    #[cfg(feature = "adc")]
    fn token_uri(&self) -> Option<&str> {
        let is_own = self.kind == CredentialsKind::ExternalAccount;
        self.target.source.token_uri().filter(|_| is_own)
    }

    #[cfg(feature = "adc")]
    fn project_number(&self) -> Option<&str> {
        self.project_number.as_deref()
    }

    #[cfg(feature = "adc")]
    fn file(&self) -> Option<Written> {
        let target = &self.target;
        let source = target.source.0.inner.source.file()?;
        if self.kind == CredentialsKind::ExternalAccount {
            // Its file names the account, too.
            return Some(source);
        }
        let place = match &target.place {
            Some(place) => place.clone(),
            None => {
                let universe = target.source.0.known_universe()?;
                iam_tokens::Place::Endpoint(iam::endpoint(&self.client.0, &universe).ok()?)
            }
        };
        let url = place.uri(&target.email, "generateAccessToken").ok()?;
        let scopes = self.params.scopes.as_ref().map(Scopes::as_slice);
        let delegates = target.delegates.as_deref();
        impersonated::written(source, &url.to_string(), delegates, scopes)
    }

    fn boundary_holder(&self) -> Option<Holder> {
        // A user has none.
        self.params.subject.is_none().then_some(Holder::Account)
    }

    fn identity(&self, audience: &str) -> Option<Arc<dyn TokenSource>> {
        Some(Arc::new(ImpersonatedIdentity {
            client: self.client.clone(),
            origin: self.origin.clone(),
            target: Arc::clone(&self.target),
            audience: audience.to_owned(),
            include_email: false,
        }))
    }
}

impl Sign for Impersonated {
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error> {
        sign(&self.client, &self.target, bytes)
    }

    fn lane(&self) -> LaneKey {
        self.target.lane().clone()
    }
}
