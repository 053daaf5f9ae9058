//! Configures ID-token credentials; does nothing else.

use std::sync::{Arc, OnceLock};

use crate::{
    client::config::MetadataClient,
    credentials::{LastBinding, quota_project},
    id_token::{
        IdTokenCredentials, Settled,
        source::{BindIdToken, IdWish, IdentitySource},
    },
    refresh::RefreshMode,
    values::error::Error,
    wire::request::{IdTokenFormat, MetadataPath, check_audience},
};
#[cfg(feature = "iam")]
use crate::{
    client::iam,
    credentials::Credentials,
    id_token::grant::{self, GrantWish, Grantor, JwtSigner},
    values::error::ErrorKind,
    wire::{grant as wire_grant, iam::IamEndpoint},
};

/// Configures [`IdTokenCredentials`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct IdTokenCredentialsBuilder {
    client: Option<MetadataClient>,
    endpoint: Option<String>,
    pub(super) wish: IdWish,
    quota_project_id: Option<String>,
    mode: RefreshMode,
    unshared: bool,
    #[cfg(feature = "iam")]
    granted: Granted,
}

/// What only the IAM flow knows.
#[cfg(feature = "iam")]
#[derive(Clone, Debug, Default)]
struct Granted {
    wanted: bool,
    token_uri: Option<String>,
    claims: Option<String>,
    signer: Option<Arc<dyn JwtSigner>>,
    credentials: Option<Credentials>,
    endpoint: Option<String>,
}

impl IdTokenCredentialsBuilder {
    pub(super) fn new(audience: String) -> Self {
        Self {
            client: None,
            endpoint: None,
            wish: IdWish {
                account: "default".to_owned(),
                audience,
                format: IdTokenFormat::default(),
                licenses: false,
                bind: BindIdToken::default(),
                #[cfg(feature = "iam")]
                grant: None,
            },
            quota_project_id: None,
            mode: RefreshMode::default(),
            unshared: false,
            #[cfg(feature = "iam")]
            granted: Granted::default(),
        }
    }

    /// Reaches the metadata server through this client.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Where the metadata server is: short for a client with this endpoint.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The service account to be: an email address, or `default`, which it is
    /// unless said otherwise.
    pub fn service_account(mut self, account: impl Into<String>) -> Self {
        self.wish.account = account.into();
        self
    }

    /// What the token says: full (the default) or the standard claims alone.
    pub fn format(mut self, format: IdTokenFormat) -> Self {
        self.wish.format = format;
        self
    }

    /// Whether a full token names the licences of the instance's images.
    pub fn licenses(mut self, licenses: bool) -> Self {
        self.wish.licenses = licenses;
        self
    }

    /// Whether the token is bound to the certificate of the agent that this
    /// workload is. Needs the feature `tls`; without it nothing is bound, and
    /// [`Always`](BindIdToken::Always) is refused.
    pub fn bind_id_token(mut self, bind: BindIdToken) -> Self {
        self.wish.bind = bind;
        self
    }

    /// The project that is billed (`x-goog-user-project`).
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }

    /// What happens when a token is stale.
    pub fn refresh_mode(mut self, mode: RefreshMode) -> Self {
        self.mode = mode;
        self
    }

    /// Shares no token with other credentials of this process, and starts
    /// without one.
    pub fn unshared(mut self) -> Self {
        self.unshared = true;
        self
    }

    /// Asks the OAuth 2.0 token endpoint, with an assertion that the account
    /// signs through IAM, instead of the metadata server: what google-auth's
    /// `IDTokenCredentials` do unless told otherwise.
    ///
    /// The account needs `roles/iam.serviceAccountTokenCreator` on itself.
    #[cfg(feature = "iam")]
    pub fn iam_flow(mut self) -> Self {
        self.granted.wanted = true;
        self
    }

    /// Where the assertion is exchanged, in the IAM flow;
    /// `https://www.googleapis.com/oauth2/v4/token` unless said otherwise.
    #[cfg(feature = "iam")]
    pub fn token_uri(mut self, uri: impl Into<String>) -> Self {
        self.granted.token_uri = Some(uri.into());
        self
    }

    /// What the assertion claims besides, as a JSON object, in the IAM flow.
    /// What is claimed anyway, it may override.
    #[cfg(feature = "iam")]
    pub fn additional_claims(mut self, json: impl Into<String>) -> Self {
        self.granted.claims = Some(json.into());
        self
    }

    /// Signs assertions with a key of the program's, in the IAM flow.
    #[cfg(feature = "iam")]
    pub fn signer(mut self, signer: Arc<dyn JwtSigner>) -> Self {
        self.granted.signer = Some(signer);
        self
    }

    /// Whose access token the requests for signatures carry, in the IAM flow;
    /// those of the default account unless said otherwise.
    #[cfg(feature = "iam")]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.granted.credentials = Some(credentials);
        self
    }

    /// Where IAM signs, in the IAM flow: see
    /// [`SignerBuilder::iam_endpoint`](crate::SignerBuilder::iam_endpoint).
    #[cfg(feature = "iam")]
    pub fn iam_endpoint(mut self, url: impl Into<String>) -> Self {
        self.granted.endpoint = Some(url.into());
        self
    }

    /// Builds the credentials; reads the environment, and does nothing else.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) where a setting, or a variable of the
    /// environment, makes no sense, and where one is of the other flow.
    pub fn build(self) -> Result<IdTokenCredentials, Error> {
        check_audience(&self.wish.audience)?;
        #[cfg(not(feature = "tls"))]
        if self.wish.bind == BindIdToken::Always {
            return Err(Error::new(
                crate::values::error::ErrorKind::Config,
                "ID tokens cannot be bound to a certificate without the feature tls",
            )
            .with_hint("switch the feature tls of this crate on, or leave bind_id_token out"));
        }
        #[cfg(feature = "iam")]
        self.granted.check(self.wish.bind)?;
        let client = MetadataClient::one_of(self.client.clone(), self.endpoint.clone())?;
        self.assemble(client)
    }

    fn assemble(self, client: MetadataClient) -> Result<IdTokenCredentials, Error> {
        let user_project = self
            .quota_project_id
            .as_deref()
            .map(quota_project)
            .transpose()?;
        let settled = Settled {
            user_project,
            mode: self.mode,
            shared: !self.unshared,
        };
        let email = OnceLock::new();
        #[cfg(feature = "iam")]
        let mut wish = self.wish;
        #[cfg(not(feature = "iam"))]
        let wish = self.wish;
        #[cfg(feature = "iam")]
        let grantor = if self.granted.wanted {
            let named = Some(&wish.account).filter(|account| *account != "default");
            if let Some(named) = named {
                let _ = email.set(named.clone());
            }
            wish.grant = Some(GrantWish {
                token_uri: self
                    .granted
                    .token_uri
                    .unwrap_or_else(|| wire_grant::TOKEN_URI.to_owned()),
                claims: self.granted.claims.unwrap_or_else(|| "{}".to_owned()),
                email: named.cloned(),
            });
            let credentials = match self.granted.credentials {
                Some(credentials) => credentials,
                None => Credentials::builder().client(client.clone()).build()?,
            };
            let endpoint = self.granted.endpoint.as_deref();
            let endpoint = endpoint.map(IamEndpoint::parse).transpose()?;
            Some(Arc::new(Grantor {
                credentials,
                signer: self.granted.signer,
                lane: iam::lane(&client.0, endpoint.as_ref()),
                endpoint,
            }))
        } else {
            None
        };
        MetadataPath::account(&wish.account, "identity")?;
        if wish.account.contains('@') {
            let _ = email.set(wish.account.clone());
        }
        let source = IdentitySource {
            client,
            wish,
            email,
            binding: LastBinding::default(),
            #[cfg(feature = "iam")]
            grantor,
        };
        Ok(IdTokenCredentials::with(source, settled, &Arc::default()))
    }
}

#[cfg(feature = "iam")]
impl Granted {
    fn check(&self, bind: BindIdToken) -> Result<(), Error> {
        if let Some(uri) = &self.token_uri {
            wire_grant::check_token_uri(uri)?;
        }
        if let Some(claims) = &self.claims {
            grant::claims(claims)?;
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
                "leave iam_flow out, or leave bind_id_token out",
            );
        }
        if own && !self.wanted {
            return refuse(
                "token_uri, additional_claims, signer, credentials and iam_endpoint are settings",
                "call iam_flow as well, or leave them out",
            );
        }
        Ok(())
    }
}
