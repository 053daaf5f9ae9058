//! Service accounts that other credentials act as: tokens and signatures of IAM
//! (Google, "Service account impersonation").

use std::{sync::Arc, time::Duration};

use http::{Method, Request, header::AUTHORIZATION};

#[cfg(feature = "adc")]
use crate::wire::credentials_file::{impersonated, written::Written};
use crate::{
    client::{
        config::{Config, MetadataClient},
        grants, iam,
    },
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        credentials::Credentials,
        impersonate::authorizing,
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, Sign, TokenSource, impersonated_identity::ImpersonatedIdentity, origin::Origin,
            within,
        },
        status::TokenState,
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
        iam::{IamEndpoint, Signatory},
        iam_tokens::{self, Place},
        oauth::{self as wire_oauth, TOKEN_ENDPOINT},
    },
};

/// An account, and who acts as it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Whose tokens authorize the requests.
    pub(crate) source: Credentials,
    /// By email address or unique id.
    pub(crate) email: String,
    /// As they were given: full names (`projects/-/serviceAccounts/EMAIL`), as
    /// in the files of gcloud, or email addresses.
    pub(crate) delegates: Option<Vec<String>>,
    /// Where IAM is, if that was named.
    pub(crate) place: Option<Place>,
    /// Of work that asks the source and IAM.
    lane: LaneKey,
}

impl Target {
    pub(crate) fn new(
        source: Credentials,
        email: String,
        delegates: Option<Vec<String>>,
        place: Option<Place>,
    ) -> Self {
        let config = &*source.client().0;
        let iam = match &place {
            Some(Place::Url(url)) => LaneKey::of(url, &config.transport),
            Some(Place::Endpoint(endpoint)) => iam::lane(config, Some(endpoint)),
            None => iam::lane(config, None),
        };
        Self {
            lane: iam.after(source.0.inner.source.lane()),
            source,
            email,
            delegates,
            place,
        }
    }

    /// Returns the lane of work that asks the source for a token, and IAM with it.
    pub(crate) fn lane(&self) -> &LaneKey {
        &self.lane
    }

    pub(crate) fn signatory(&self) -> Signatory<'_> {
        Signatory {
            email: &self.email,
            delegates: self.delegates.as_deref(),
        }
    }

    /// Returns where IAM is asked for the account's methods.
    pub(crate) fn place(&self, config: &Config) -> Result<Place, Error> {
        match &self.place {
            Some(place) => Ok(place.clone()),
            None => {
                let universe = self.source.blocking_universe_domain()?;
                iam::endpoint(config, &universe).map(Place::Endpoint)
            }
        }
    }

    /// Returns the same for methods other than `generateAccessToken`.
    pub(crate) fn other_place(&self, config: &Config) -> Result<Place, Error> {
        match &self.place {
            // google-auth asks a URL that was given for nothing else.
            Some(Place::Url(_)) => {
                let universe = self.source.blocking_universe_domain()?;
                iam::endpoint(config, &universe).map(Place::Endpoint)
            }
            _ => self.place(config),
        }
    }

    /// Returns where IAM signs, if that was named.
    pub(crate) fn signing_endpoint(&self) -> Option<IamEndpoint> {
        match &self.place {
            Some(Place::Endpoint(endpoint)) => Some(endpoint.clone()),
            _ => None,
        }
    }

    /// Returns what the source is asked for with, for slots to be shared.
    pub(crate) fn key(&self) -> Option<SharingKey> {
        let source = self.source.0.inner.source.key()?;
        let quota = self.source.quota_project_id().map(str::to_owned);
        let source = SharingKey::of((source, quota));
        let (email, delegates) = (self.email.clone(), self.delegates.clone());
        let own = (email, delegates, self.place.clone());
        Some(SharingKey::of((source, own)))
    }

    /// Adds the source's token, and what it sends besides.
    pub(crate) fn authorize(&self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let source = &self.source;
        let token = if source.client().0.exact && source.token_state() != TokenState::Fresh {
            // google-auth asks for the account along with the token.
            source.0.refreshed_bearer()?
        } else {
            source.0.blocking_bearer()?
        };
        source.0.put(&source.0.show(&token), request.headers_mut());
        Ok(())
    }

    /// Adds headers as google-auth's `before_request`, with the metric of the
    /// source.
    pub(crate) fn before_request(&self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let uri = request.uri().clone();
        let headers = request.headers_mut();
        self.source
            .blocking_before_request(&Method::POST, &uri, headers)
    }

    /// Drops the source's token that `request` carries, which IAM has rejected;
    /// whether another may come.
    pub(crate) fn reject(&self, request: &Request<Vec<u8>>) -> Result<bool, Error> {
        let source = &self.source;
        let sent = request.headers().get(AUTHORIZATION);
        let dropped = source
            .0
            .invalidate(|held| sent == Some(held.value().header()));
        if dropped && source.client().0.exact {
            // google-auth refreshes here, and again for the next request if what came is stale.
            source.0.refreshed_bearer()?;
        }
        Ok(dropped)
    }
}

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
        self.target.lane()
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
        let kind = match self.kind {
            CredentialsKind::ExternalAccount => "external account credentials",
            _ => "impersonated credentials",
        };
        self.origin.info(kind, self.target.email.clone())
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
                let source = &self.target.source;
                let source = source.with_quota_project(project.as_deref()).ok()?;
                let target = Target {
                    source,
                    ..Target::clone(&self.target)
                };
                copy.target = Arc::new(target);
            }
            _ => return None,
        }
        let source = &copy.target.source;
        if !source.0.inner.options.shared {
            let source = authorizing(source);
            let target = Target {
                source,
                ..Target::clone(&copy.target)
            };
            copy.target = Arc::new(target);
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
                Place::Endpoint(iam::endpoint(&self.client.0, &universe).ok()?)
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
}

/// Signs as the account, through IAM.
pub(crate) fn sign(
    client: &MetadataClient,
    target: &Target,
    bytes: &[u8],
) -> Result<(Option<String>, Vec<u8>), Error> {
    let config = &*client.0;
    let place = target.other_place(config)?;
    let make = || {
        let mut request = iam_tokens::sign_blob(&place, target.signatory(), bytes)?;
        target.before_request(&mut request)?;
        iam::identified(config, request)
    };
    grants::signed_blob(config, make, |request| target.reject(request))
}
