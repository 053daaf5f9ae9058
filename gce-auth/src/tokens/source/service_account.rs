//! `service_account`: tokens of an account whose private key is at hand: signed
//! here (AIP-4111), or asked for with an assertion that is (RFC 7523).

use std::sync::Arc;

use serde_json::Value;

use crate::{
    client::{config::MetadataClient, grants},
    io::threads::LaneKey,
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        info::{CredentialsInfo, CredentialsKind},
        source::{
            Change, Sign, TokenSource,
            key_file::{KeyFile, claims},
            lane_of,
            origin::Origin,
            self_signed::{SelfSigned, SelfSignedParams},
            service_account_identity::{KeyIdentity, KeyIdentityParams},
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
        credentials_file::{service_account::ServiceAccountKey, written::Written},
        oauth::{self as wire_oauth, TOKEN_ENDPOINT},
    },
};

/// What tokens are asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeyParams {
    pub(crate) scopes: Option<Scopes>,
    pub(crate) default_scopes: Option<Scopes>,
    /// The user on whose behalf the account acts.
    subject: Option<String>,
    /// A JSON object, or empty.
    claims: String,
    /// Whether tokens are signed here.
    jwt_access: bool,
    /// The service that tokens are signed for, where there are no scopes.
    jwt_audience: Option<String>,
    token_uri: String,
    universe_domain: String,
}

impl KeyParams {
    /// `token_uri` is checked.
    pub(crate) fn new(file: &ServiceAccountKey) -> Self {
        let universe = file.universe_domain.as_deref();
        let named = universe.filter(|universe| !universe.is_empty());
        Self {
            token_uri: file.token_uri.clone(),
            universe_domain: named.unwrap_or(DEFAULT_UNIVERSE).to_owned(),
            // An empty universe counts as another one here, as in google-auth.
            jwt_access: universe.is_some_and(|universe| universe != DEFAULT_UNIVERSE),
            ..Self::default()
        }
    }
}

impl KeyParams {
    pub(crate) fn scoped(mut self, scopes: Option<Scopes>, default_scopes: Option<Scopes>) -> Self {
        self.scopes = scopes;
        self.default_scopes = default_scopes;
        self
    }
}

/// How a token comes about.
enum Way<'a> {
    SignedFor(&'a str),
    SignedWith(String),
    Granted,
}

/// Makes tokens with a private key.
#[derive(Clone, Debug)]
pub(crate) struct KeyTokens {
    client: MetadataClient,
    origin: Origin,
    key: Arc<KeyFile>,
    lane: LaneKey,
    params: KeyParams,
}

impl KeyTokens {
    pub(crate) fn new(
        client: MetadataClient,
        origin: Origin,
        key: Arc<KeyFile>,
        params: KeyParams,
    ) -> Self {
        Self {
            lane: lane_of(&client, &params.token_uri),
            client,
            origin,
            key,
            params,
        }
    }

    /// google-auth's choice.
    fn way(&self) -> Way<'_> {
        let params = &self.params;
        let joined = |scopes: &Option<Scopes>| {
            let scopes = scopes.as_ref().filter(|scopes| !scopes.is_empty())?;
            Some(scopes.as_slice().join(" "))
        };
        let (scopes, audience) = (joined(&params.scopes), params.jwt_audience.as_deref());
        if params.subject.is_some() {
            return Way::Granted;
        }
        match (scopes, audience) {
            (Some(scopes), _) if params.jwt_access => Way::SignedWith(scopes),
            (None, Some(audience)) => Way::SignedFor(audience),
            (None, None) if params.jwt_access => {
                joined(&params.default_scopes).map_or(Way::Granted, Way::SignedWith)
            }
            _ => Way::Granted,
        }
    }

    fn granted(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let params = &self.params;
        let scopes = params.scopes.clone().unwrap_or_default();
        let config = &*self.client.0;
        let claims = assertion::grant(
            &self.key.file.client_email,
            TOKEN_ENDPOINT,
            ("scope", &scopes.as_slice().join(" ")),
            params.subject.as_deref(),
            &claims(&params.claims)?,
            config.clock.now(),
        );
        let jwt = self.key.jwt(&claims)?;
        let make = || wire_oauth::assertion(&params.token_uri, &jwt);
        grants::granted(config, &within(self, context), make).and_then(|granted| granted.token)
    }
}

impl TokenSource for KeyTokens {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let params = &self.params;
        if params.subject.is_some() && params.universe_domain != DEFAULT_UNIVERSE {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a service account acts for a user in the universe googleapis.com alone",
            ));
        }
        let now = self.client.0.clock.now();
        match self.way() {
            Way::SignedFor(audience) => self.key.self_signed(("aud", audience), now),
            Way::SignedWith(scope) => self.key.self_signed(("scope", &scope), now),
            Way::Granted => self.granted(context),
        }
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        Some(SharingKey::of((
            client,
            self.key.file.clone(),
            self.params.clone(),
        )))
    }

    fn credentials_kind(&self) -> CredentialsKind {
        CredentialsKind::ServiceAccount
    }

    fn info(&self) -> CredentialsInfo {
        let email = self.key.file.client_email.clone();
        self.origin.info("service account credentials", email)
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut copy = self.clone();
        let params = &mut copy.params;
        match change {
            Change::Scopes(scopes, defaults) => {
                params.scopes.clone_from(scopes);
                params.default_scopes.clone_from(defaults);
            }
            Change::DefaultScopes(defaults) => params.default_scopes = Some(defaults.clone()),
            Change::TokenUri(uri) => {
                params.token_uri.clone_from(uri);
                copy.lane = lane_of(&self.client, uri);
            }
            Change::Subject(subject) => params.subject.clone_from(subject),
            Change::Claims(more) => {
                let mut all = claims(&params.claims).ok()?;
                all.extend(claims(more).ok()?);
                params.claims = Value::Object(all).to_string();
            }
            Change::JwtAccess(wanted) => params.jwt_access = *wanted,
            Change::JwtAudience(audience) => params.jwt_audience.clone_from(audience),
            Change::UniverseDomain(domain) => {
                params.jwt_access |= domain != DEFAULT_UNIVERSE;
                params.universe_domain.clone_from(domain);
            }
            Change::Nothing
            | Change::Account(_)
            | Change::Audience(_)
            | Change::IncludeEmail(_)
            | Change::JwtLifetime(_)
            | Change::QuotaProject(_) => return None,
        }
        Some(Arc::new(copy))
    }

    fn email(&self) -> Option<String> {
        Some(self.key.file.client_email.clone())
    }

    fn scopes(&self) -> Option<Scopes> {
        self.params.scopes.clone()
    }

    fn default_scopes(&self) -> Option<Scopes> {
        self.params.default_scopes.clone()
    }

    fn metric(&self) -> Option<&'static str> {
        Some(match self.way() {
            Way::Granted => "cred-type/sa",
            Way::SignedFor(_) | Way::SignedWith(_) => "cred-type/jwt",
        })
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(&*self.key)
    }

    fn universe_domain(&self) -> Option<&str> {
        Some(&self.params.universe_domain)
    }

    fn token_uri(&self) -> Option<&str> {
        Some(&self.params.token_uri)
    }

    fn project_id(&self) -> Option<&str> {
        self.key.file.project_id.as_deref()
    }

    fn file(&self) -> Option<Written> {
        let params = &self.params;
        Some(
            self.key
                .file
                .written(&params.token_uri, &params.universe_domain),
        )
    }

    fn boundary_holder(&self) -> Option<Holder> {
        // A user has none.
        self.params.subject.is_none().then_some(Holder::Account)
    }

    fn identity(&self, audience: &str) -> Option<Arc<dyn TokenSource>> {
        let params = KeyIdentityParams {
            audience: audience.to_owned(),
            token_uri: self.params.token_uri.clone(),
            universe_domain: self.params.universe_domain.clone(),
        };
        let (client, origin) = (self.client.clone(), self.origin.clone());
        let key = Arc::clone(&self.key);
        let source = KeyIdentity::new(client, origin, key, params);
        Some(Arc::new(source))
    }

    fn self_signed(&self, audience: &str) -> Option<Arc<dyn TokenSource>> {
        Some(Arc::new(SelfSigned {
            client: self.client.clone(),
            origin: self.origin.clone(),
            lane: self.lane.clone(),
            key: Arc::clone(&self.key),
            universe_domain: self.params.universe_domain.clone(),
            params: SelfSignedParams::new(audience),
        }))
    }
}
