//! Configures ID-token credentials; does nothing else.

use std::sync::Arc;

use crate::{
    client::config::MetadataClient,
    refresh::RefreshMode,
    tokens::{
        handle::{Handle, Options},
        id_token_credentials::IdTokenCredentials,
        source::{
            TokenSource,
            account::Account,
            metadata_identity::{BindIdToken, IdentityParams, MetadataIdentity},
        },
    },
    values::{error::Error, headers::quota_project},
    wire::request::{IdTokenFormat, MetadataPath, check_audience},
};
#[cfg(feature = "iam")]
use crate::{
    client::iam,
    io::threads::LaneKey,
    tokens::{
        credentials::Credentials,
        source::{
            iam_grant::{self, AssertionSigner, GrantParams, IamGrant},
            jwt_signer::JwtSigner,
        },
    },
    values::error::ErrorKind,
    wire::{grant as wire_grant, iam::IamEndpoint},
};

/// Configures [`IdTokenCredentials`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct IdTokenCredentialsBuilder {
    client: Option<MetadataClient>,
    endpoint: Option<String>,
    account: String,
    params: IdentityParams,
    quota_project_id: Option<String>,
    mode: RefreshMode,
    unshared: bool,
    #[cfg(feature = "iam")]
    grant: Grant,
}

/// The settings of the IAM flow alone.
#[cfg(feature = "iam")]
#[derive(Clone, Debug, Default)]
struct Grant {
    wanted: bool,
    token_uri: Option<String>,
    claims: Option<String>,
    signer: Option<Arc<dyn JwtSigner>>,
    credentials: Option<Credentials>,
    endpoint: Option<String>,
}

impl IdTokenCredentialsBuilder {
    fn new(audience: String) -> Self {
        Self {
            client: None,
            endpoint: None,
            account: "default".to_owned(),
            params: IdentityParams {
                audience,
                ..IdentityParams::default()
            },
            quota_project_id: None,
            mode: RefreshMode::default(),
            unshared: false,
            #[cfg(feature = "iam")]
            grant: Grant::default(),
        }
    }

    /// Sets the client that the requests are sent through. Default: a new one,
    /// with the settings of the environment.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets where the metadata server is: short for a client with this endpoint.
    /// Not allowed together with [`client`](Self::client).
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the service account: an email address or an alias. Default:
    /// `default`.
    pub fn service_account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Sets what the token says: full (the default) or the standard claims
    /// alone.
    pub fn format(mut self, format: IdTokenFormat) -> Self {
        self.params.format = format;
        self
    }

    /// Sets whether a full token names the licences of the instance's images.
    /// Default: false.
    pub fn licenses(mut self, licenses: bool) -> Self {
        self.params.licenses = licenses;
        self
    }

    /// Sets whether the token is bound to the certificate of the agent that
    /// this workload is. Needs the feature `tls`; without it nothing is bound, and
    /// [`Always`](BindIdToken::Always) is refused. Default:
    /// [`Automatic`](BindIdToken::Automatic).
    pub fn bind_id_token(mut self, bind: BindIdToken) -> Self {
        self.params.bind = bind;
        self
    }

    /// Sets the project that is billed (`x-goog-user-project`). Default: none.
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// Sets what happens when a token is stale. Default:
    /// [`RefreshMode::Background`].
    pub fn refresh_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether the token is shared with credentials of this process that
    /// would send the same request. Default: true. Credentials that share none
    /// start without a token.
    pub fn shared(mut self, shared: bool) -> Self {
        self.unshared = !shared;
        self
    }

    /// Sets whether the OAuth 2.0 token endpoint is asked, with an assertion that
    /// the account signs through IAM, instead of the metadata server: what
    /// google-auth's `IDTokenCredentials` do by default. Default: false.
    ///
    /// The account needs `roles/iam.serviceAccountTokenCreator` on itself.
    #[cfg(feature = "iam")]
    pub fn iam_flow(mut self, iam_flow: bool) -> Self {
        self.grant.wanted = iam_flow;
        self
    }

    /// Sets where the assertion is exchanged, in the IAM flow. Default:
    /// `https://www.googleapis.com/oauth2/v4/token`.
    #[cfg(feature = "iam")]
    pub fn token_uri(mut self, uri: impl Into<String>) -> Self {
        self.grant.token_uri = Some(uri.into());
        self
    }

    /// Sets additional claims of the assertion, as a JSON object, in the IAM
    /// flow. They may override the others. Default: none.
    #[cfg(feature = "iam")]
    pub fn additional_claims(mut self, json: impl Into<String>) -> Self {
        self.grant.claims = Some(json.into());
        self
    }

    /// Sets a key of the program's that signs assertions, in the IAM flow.
    /// Default: IAM signs.
    #[cfg(feature = "iam")]
    pub fn signer(mut self, signer: Arc<dyn JwtSigner>) -> Self {
        self.grant.signer = Some(signer);
        self
    }

    /// Sets the credentials whose access token the requests for signatures
    /// carry, in the IAM flow. Default: those of the default account.
    #[cfg(feature = "iam")]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.grant.credentials = Some(credentials);
        self
    }

    /// Sets where IAM signs, in the IAM flow: see
    /// [`SignerBuilder::iam_endpoint`](crate::SignerBuilder::iam_endpoint).
    #[cfg(feature = "iam")]
    pub fn iam_endpoint(mut self, url: impl Into<String>) -> Self {
        self.grant.endpoint = Some(url.into());
        self
    }

    /// Builds the credentials; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if a setting, or a variable of the
    /// environment, is not valid, or if a setting is of the other flow.
    pub fn build(self) -> Result<IdTokenCredentials, Error> {
        check_audience(&self.params.audience)?;
        #[cfg(not(feature = "tls"))]
        if self.params.bind == BindIdToken::Always {
            return Err(Error::new(
                crate::values::error::ErrorKind::Config,
                "ID tokens cannot be bound to a certificate without the feature tls",
            )
            .with_hint("switch the feature tls of this crate on, or leave bind_id_token out"));
        }
        #[cfg(feature = "iam")]
        self.grant.check(self.params.bind)?;
        let project = self.quota_project_id.as_deref();
        let options = Options {
            user_project: project.map(quota_project).transpose()?,
            mode: self.mode,
            shared: !self.unshared,
            ..Options::default()
        };
        let client = MetadataClient::one_of(self.client, self.endpoint)?;
        MetadataPath::account(&self.account, "identity")?;
        let account = Account::new(self.account);
        #[cfg(feature = "iam")]
        let source: Arc<dyn TokenSource> = if self.grant.wanted {
            Arc::new(self.grant.source(client, account, self.params.audience)?)
        } else {
            Arc::new(MetadataIdentity::new(client, account, self.params))
        };
        #[cfg(not(feature = "iam"))]
        let source: Arc<dyn TokenSource> =
            Arc::new(MetadataIdentity::new(client, account, self.params));
        Ok(IdTokenCredentials(Handle::new(source, options)))
    }
}

impl IdTokenCredentials {
    /// Returns a builder of credentials for `audience`.
    pub fn builder(audience: impl Into<String>) -> IdTokenCredentialsBuilder {
        IdTokenCredentialsBuilder::new(audience.into())
    }
}

#[cfg(feature = "iam")]
impl Grant {
    fn check(&self, bind: BindIdToken) -> Result<(), Error> {
        if let Some(uri) = &self.token_uri {
            wire_grant::check_token_uri(uri)?;
        }
        if let Some(claims) = &self.claims {
            iam_grant::claims(claims)?;
        }
        let refuse = |what: &str, hint| {
            Err(Error::new(ErrorKind::Config, format!("{what} of another flow")).with_hint(hint))
        };
        let own = self.token_uri.is_some()
            || self.claims.is_some()
            || self.signer.is_some()
            || self.credentials.is_some()
            || self.endpoint.is_some();
        if self.wanted && bind != BindIdToken::Automatic {
            return refuse(
                "binding an ID token to a certificate is a setting",
                "leave iam_flow(true) out, or leave bind_id_token out",
            );
        }
        if own && !self.wanted {
            return refuse(
                "token_uri, additional_claims, signer, credentials and iam_endpoint are settings",
                "call iam_flow(true) as well, or leave them out",
            );
        }
        Ok(())
    }

    fn source(
        self,
        client: MetadataClient,
        account: Account,
        audience: String,
    ) -> Result<IamGrant, Error> {
        let params = GrantParams {
            audience,
            token_uri: self
                .token_uri
                .unwrap_or_else(|| wire_grant::TOKEN_URI.to_owned()),
            claims: self.claims.unwrap_or_else(|| "{}".to_owned()),
        };
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => Credentials::builder().client(client.clone()).build()?,
        };
        let endpoint = self.endpoint.as_deref();
        let endpoint = endpoint.map(IamEndpoint::parse).transpose()?;
        let source = credentials.0.inner.source.lane();
        let signing = match &self.signer {
            // A signer of the program's may be as slow as a server.
            Some(own) => LaneKey::new(
                format!("signer {:p}", Arc::as_ptr(own).cast::<()>()),
                &client.0.transport,
            ),
            None => iam::lane(&client.0, endpoint.as_ref()),
        };
        let lane = signing.after(source);
        let signer = Arc::new(AssertionSigner {
            credentials,
            own: self.signer,
            lane,
            endpoint,
        });
        Ok(IamGrant::new(client, account, params, signer))
    }
}
