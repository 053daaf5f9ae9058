//! ID tokens from the OAuth 2.0 token endpoint, for an assertion that IAM, or
//! a signer of the program's, has signed.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    client::{
        config::{Config, MetadataClient},
        iam::{Iam, endpoint},
        oauth,
    },
    io::threads::{LaneKey, WorkKind},
    refresh::{FetchContext, shared_map::SharingKey},
    tokens::{
        credentials::Credentials,
        iam_caller::IamCaller,
        info::CredentialsInfo,
        source::{Change, Sign, TokenSource, account::Account, jwt_signer::JwtSigner, lane_of},
    },
    values::{
        address::ByAddress,
        budget::Budget,
        error::{Error, ErrorKind},
        token::Bearer,
    },
    wire::{
        account::AccountInfo,
        grant::{self, Assertion},
        iam::{self, IamEndpoint, Signatory},
        retry::server::Server,
    },
};

/// The servers that make an ID token through IAM.
const SERVERS: [Server; 3] = [Server::Metadata, Server::Signing, Server::TokenEndpoint];

/// What an assertion says, besides the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantParams {
    pub(crate) audience: String,
    pub(crate) token_uri: String,
    /// Additional claims: a JSON object.
    pub(crate) claims: String,
}

/// What signs assertions.
#[derive(Debug)]
pub(crate) struct AssertionSigner {
    /// Whose access token the requests for signatures carry.
    pub(crate) credentials: Credentials,
    /// The program's own signer, in place of IAM.
    pub(crate) own: Option<Arc<dyn JwtSigner>>,
    /// Where IAM is, if the program says so.
    pub(crate) endpoint: Option<IamEndpoint>,
    /// The servers before the token endpoint.
    pub(crate) lane: LaneKey,
}

/// Exchanges signed assertions for ID tokens.
#[derive(Debug)]
pub(crate) struct IamGrant {
    client: MetadataClient,
    account: Account,
    params: GrantParams,
    pub(crate) signer: Arc<AssertionSigner>,
    /// The token endpoint, after all that signs.
    lane: LaneKey,
}

impl IamGrant {
    pub(crate) fn new(
        client: MetadataClient,
        account: Account,
        params: GrantParams,
        signer: Arc<AssertionSigner>,
    ) -> Self {
        Self {
            lane: lane_of(&client, &params.token_uri).after(&signer.lane),
            client,
            account,
            params,
            signer,
        }
    }

    /// Returns the email address of the account: asked for once, and again by a
    /// refresh that the program asked for.
    fn resolved(&self, again: bool, budget: &mut Budget) -> Result<String, Error> {
        let name = &self.account.name;
        if name != "default" {
            return Ok(name.clone());
        }
        match self.account.identity().filter(|_| !again) {
            Some(known) => Ok(known),
            None => self.ask_account(budget).map(|info| info.email),
        }
    }
}

impl TokenSource for IamGrant {
    fn fetch(&self, context: &FetchContext) -> Result<Bearer, Error> {
        let total = TokenSource::budget(self);
        let mut budget = Budget::new(context.began, total).going_on(context.waits);
        let email = self.resolved(context.forced, &mut budget)?;
        let config = &self.client.0;
        self.signer
            .id_token(config, &mut budget, &self.params, &email)
    }

    fn client(&self) -> &MetadataClient {
        &self.client
    }

    fn budget(&self) -> Duration {
        self.client.0.retry.total_of(&SERVERS)
    }

    fn kind(&self) -> WorkKind {
        WorkKind::Other
    }

    fn lane(&self) -> &LaneKey {
        &self.lane
    }

    fn key(&self) -> Option<SharingKey> {
        let client = self.client.0.key()?;
        let signer = ByAddress::of(&self.signer);
        let name = self.account.name.clone();
        Some(SharingKey::of((client, name, self.params.clone(), signer)))
    }

    fn info(&self) -> CredentialsInfo {
        CredentialsInfo {
            source: "IAM".into(),
            credential_type: "ID token credentials",
            principal: self.email().unwrap_or_else(|| self.account.name.clone()),
        }
    }

    fn with(&self, change: &Change) -> Option<Arc<dyn TokenSource>> {
        let mut params = self.params.clone();
        let account = match change {
            Change::Nothing => self.account.knowing(self.account.cache()),
            Change::Account(name) => Account::new(name),
            Change::Audience(audience) => {
                params.audience.clone_from(audience);
                self.account.knowing(self.account.cache())
            }
            Change::TokenUri(uri) => {
                params.token_uri.clone_from(uri);
                self.account.knowing(self.account.cache())
            }
            _ => return None,
        };
        let (client, signer) = (self.client.clone(), Arc::clone(&self.signer));
        Some(Arc::new(Self::new(client, account, params, signer)))
    }

    fn account(&self) -> Option<&Account> {
        Some(&self.account)
    }

    fn email(&self) -> Option<String> {
        let name = &self.account.name;
        let named = || (name != "default").then(|| name.clone());
        self.account.identity().or_else(named)
    }

    fn ask_account(&self, budget: &mut Budget) -> Result<AccountInfo, Error> {
        self.account.ask(&self.client, budget)
    }

    fn audience(&self) -> Option<&str> {
        Some(&self.params.audience)
    }

    fn signs(&self) -> Option<&dyn Sign> {
        Some(self)
    }
}

impl Sign for IamGrant {
    fn sign(&self, bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), Error> {
        let config = &*self.client.0;
        let total = config.retry.total_of(&[Server::Metadata, Server::Signing]);
        let mut budget = Budget::new(config.clock.now(), total);
        let email = self.resolved(false, &mut budget)?;
        let signature = self.signer.sign(config, &mut budget, &email, bytes)?;
        let key_id = self.signer.own.as_ref().and_then(|own| own.key_id());
        Ok((key_id, signature))
    }

    fn lane(&self) -> LaneKey {
        self.signer.lane.clone()
    }

    fn own(&self) -> Option<Arc<dyn JwtSigner>> {
        self.signer.own.clone()
    }
}

/// Reads what is to be claimed besides.
pub(crate) fn claims(text: &str) -> Result<Map<String, Value>, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(
            Error::new(ErrorKind::Config, "additional claims are not a JSON object")
                .with_hint("write them like {\"role\":\"reader\"}"),
        ),
    }
}

impl AssertionSigner {
    /// Fetches an ID token in the name of `email`.
    fn id_token(
        &self,
        settings: &Config,
        budget: &mut Budget,
        params: &GrantParams,
        email: &str,
    ) -> Result<Bearer, Error> {
        let key_id = self.own.as_ref().and_then(|own| own.key_id());
        let algorithm = self.own.as_ref().map(|own| own.algorithm());
        let claims = claims(&params.claims)?;
        let assertion = Assertion {
            issuer: email,
            token_uri: &params.token_uri,
            audience: &params.audience,
            additional: &claims,
            algorithm: algorithm.unwrap_or_default().name(),
            key_id: key_id.as_deref(),
        };
        let to_sign = assertion.to_sign(settings.clock.now());
        let signature = Zeroizing::new(self.sign(settings, budget, email, to_sign.as_bytes())?);
        let request = grant::request(&params.token_uri, &to_sign, &signature)?;
        oauth::grant(settings, budget, request, |response, sent| {
            grant::id_token(response, assertion.audience(), sent)
        })
    }

    /// Signs `bytes` in the name of `email`.
    fn sign(
        &self,
        settings: &Config,
        budget: &mut Budget,
        email: &str,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if let Some(own) = &self.own {
            let signature = own.sign(bytes).map_err(|cause| {
                Error::new(ErrorKind::Signing, format!("the signer failed: {cause}"))
                    .with_source(cause.into())
            })?;
            if budget.left(settings.clock.now()).is_zero() {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "the program's signer took longer than the budget of the operation",
                ));
            }
            return Ok(signature);
        }
        let endpoint = self.endpoint(settings)?;
        let blob = iam::sign_blob(&endpoint, Signatory::alone(email), bytes)?;
        let mut caller = IamCaller::new(&self.credentials);
        Iam::new(settings).sign(budget, &blob, &mut caller, iam::signature)
    }

    fn endpoint(&self, settings: &Config) -> Result<IamEndpoint, Error> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => endpoint(settings, &self.credentials.blocking_universe_domain()?),
        }
    }
}
