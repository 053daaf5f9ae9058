//! The sources that programs draw tokens from: the metadata server, every kind
//! of credentials file, and IAM.

use std::time::Duration;

use gce_auth::{
    Credentials, DefaultOptions, IdTokenCredentials, MetadataClient, RefreshMode, RetryPolicy,
};
use serde_json::{Value, json};

use crate::servers::{IAM, OAUTH, STS, SUBJECT};

const KEY: &str = include_str!("../data/service_account.key");
/// Who signs, and whom others act as.
pub(crate) const ACCOUNT: &str = "a@p.iam.gserviceaccount.com";
/// Where the metadata server keeps the default account.
const DEFAULT_ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default";

#[derive(Clone)]
pub(crate) enum Tokens {
    Access(Credentials),
    Identity(IdTokenCredentials),
}

/// The kinds of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Metadata,
    MetadataIdentity,
    /// ID tokens for an assertion that IAM signs.
    IamIdentity,
    AuthorizedUser,
    ServiceAccount,
    /// ID tokens for an assertion that a key signs.
    KeyIdentity,
    Impersonated,
    ExternalAccount,
    /// People of a workforce pool.
    ExternalUser,
}

pub(crate) const KINDS: [Kind; 11] = [
    Kind::Metadata,
    Kind::Metadata,
    Kind::MetadataIdentity,
    Kind::MetadataIdentity,
    Kind::IamIdentity,
    Kind::AuthorizedUser,
    Kind::ServiceAccount,
    Kind::KeyIdentity,
    Kind::Impersonated,
    Kind::ExternalAccount,
    Kind::ExternalUser,
];

/// Attempts and time that a handle has.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    pub(crate) retry: RetryPolicy,
    /// The budget of what asks one server.
    pub(crate) budget: Duration,
    pub(crate) is_recorded: bool,
}

/// What a source is to be like.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: Kind,
    /// The number of the handle.
    pub(crate) class: usize,
    pub(crate) client: &'a MetadataClient,
    /// The metadata server that the client asks.
    pub(crate) metadata: &'static str,
    /// Access tokens of the metadata server, with the same settings.
    pub(crate) credentials: &'a Credentials,
    pub(crate) patience: &'a Patience,
    pub(crate) mode: RefreshMode,
    pub(crate) unshared: bool,
    /// Which of two accounts, users or audiences.
    pub(crate) which: u64,
}

/// A source of tokens, and what is true of it.
pub(crate) struct Source {
    pub(crate) tokens: Tokens,
    /// The path that its token is asked for at.
    pub(crate) path: String,
    /// The servers that a fetch asks; the last one makes the token.
    pub(crate) servers: Vec<&'static str>,
    pub(crate) budget: Duration,
    /// Whether its tokens say until when they live, and not how long.
    pub(crate) is_dated: bool,
    /// Whether another handle with the same settings would share its token.
    pub(crate) is_shared: bool,
}

impl Wanted<'_> {
    pub(crate) fn source(&self) -> Source {
        let own = self.patience.budget;
        let (metadata, which) = (self.metadata, self.which);
        let audience = format!("audience-{which}");
        let path = |rest: &str| format!("{metadata}{DEFAULT_ACCOUNT}{rest}");
        match self.kind {
            Kind::Metadata => Source {
                tokens: Tokens::Access(self.credentials.clone()),
                path: path("/token"),
                servers: vec![metadata],
                budget: own,
                is_dated: false,
                is_shared: !self.unshared,
            },
            Kind::MetadataIdentity => Source {
                tokens: self.identity(&audience, None),
                path: path(&format!("/identity?audience={audience}")),
                servers: vec![metadata],
                budget: own,
                is_dated: true,
                is_shared: !self.unshared,
            },
            Kind::IamIdentity => {
                // Only copies have the same signer.
                let path = format!("{OAUTH}/grant-{}?audience={audience}", self.class);
                let recorded = Duration::from_secs(32 + 60 + 60);
                Source {
                    tokens: self.identity(&audience, Some(&path)),
                    path,
                    servers: vec![metadata, IAM, OAUTH],
                    budget: if self.patience.is_recorded {
                        recorded
                    } else {
                        own
                    },
                    is_dated: true,
                    is_shared: false,
                }
            }
            Kind::AuthorizedUser => {
                let path = format!("{OAUTH}/user-{which}");
                self.file(&user(&path), path, &[OAUTH], own)
            }
            Kind::ServiceAccount => {
                let path = format!("{OAUTH}/key-{which}");
                self.file(&key(&path), path, &[OAUTH], own)
            }
            Kind::KeyIdentity => {
                let path = format!("{OAUTH}/key-{which}?audience={audience}");
                let source = self.file(&key(&path), path, &[OAUTH], own);
                let Tokens::Access(credentials) = &source.tokens else {
                    unreachable!("a file is of access tokens")
                };
                let tokens = credentials.id_token(&*audience).unwrap();
                tokens.set_refresh_mode(self.mode);
                Source {
                    tokens: Tokens::Identity(tokens),
                    is_dated: true,
                    ..source
                }
            }
            Kind::Impersonated => {
                let account = format!("t{which}@p.iam.gserviceaccount.com");
                let path =
                    format!("{IAM}/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
                let file = json!({
                    "type": "impersonated_service_account",
                    "service_account_impersonation_url": format!("http://{path}"),
                    "source_credentials": user(&format!("{OAUTH}/source")),
                });
                let mut source = self.file(&file, path, &[OAUTH, IAM], own * 2);
                source.is_dated = true;
                source
            }
            Kind::ExternalAccount => {
                let path = format!("{STS}/external-{which}");
                let file = json!({
                    "type": "external_account", "audience": "//iam.googleapis.com/p",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": format!("http://{path}"),
                    "credential_source": {"url": format!("http://{SUBJECT}/token")},
                });
                self.file(&file, path, &[SUBJECT, STS], own * 2)
            }
            Kind::ExternalUser => {
                let path = format!("{STS}/user-{which}");
                let file = json!({
                    "type": "external_account_authorized_user", "client_id": "c",
                    "client_secret": "s", "refresh_token": "r",
                    "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
                    "token_url": format!("http://{path}"),
                });
                self.file(&file, path, &[STS], own)
            }
        }
    }

    /// ID tokens: of the metadata server, or for a grant at `token_uri`.
    fn identity(&self, audience: &str, token_uri: Option<&str>) -> Tokens {
        let builder = IdTokenCredentials::builder(audience)
            .client(self.client.clone())
            .refresh_mode(self.mode);
        let builder = match token_uri {
            Some(uri) => builder
                .iam_flow()
                .credentials(self.credentials.clone())
                .iam_endpoint(format!("http://{IAM}"))
                .token_uri(format!("http://{uri}")),
            None => builder,
        };
        let builder = if self.unshared {
            builder.shared(false)
        } else {
            builder
        };
        Tokens::Identity(builder.build().unwrap())
    }

    fn file(
        &self,
        file: &Value,
        path: String,
        servers: &[&'static str],
        budget: Duration,
    ) -> Source {
        let options = [OAUTH, IAM, STS].into_iter().fold(
            DefaultOptions::new()
                .client(self.client.clone())
                .scopes(["s"]),
            |options, host| options.trust_host(format!("http://{host}")),
        );
        let loaded = options.load_json(&file.to_string()).unwrap().credentials;
        loaded.set_refresh_mode(self.mode);
        Source {
            tokens: Tokens::Access(loaded),
            path,
            servers: servers.to_vec(),
            budget,
            is_dated: false,
            is_shared: true,
        }
    }
}

/// Builds one of each kind that is kept for others, in a world of its own.
pub(crate) fn build_each() {
    let client = MetadataClient::new();
    let builder = Credentials::builder().client(client.clone());
    builder.build().unwrap();
    let builder = IdTokenCredentials::builder("a").client(client.clone());
    builder.build().unwrap();
    let user = user("localhost/token").to_string();
    let options = DefaultOptions::new().client(client);
    let options = options.trust_host("http://localhost");
    options.load_json(&user).unwrap();
}

fn key(token_uri: &str) -> Value {
    json!({
        "type": "service_account", "client_email": ACCOUNT, "private_key": KEY,
        "token_uri": format!("http://{token_uri}"),
    })
}

fn user(token_uri: &str) -> Value {
    json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s",
        "refresh_token": "r", "token_uri": format!("http://{token_uri}"),
    })
}
