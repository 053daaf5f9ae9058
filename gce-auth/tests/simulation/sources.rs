//! The sources that programs draw tokens from: the metadata server, every kind
//! of credentials file, and IAM.

use std::{sync::Arc, time::Duration};

use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, DefaultOptions, IdTokenCredentials,
    MetadataClient, RefreshMode, RetryPolicy, SubjectToken, testing::set_variable,
};
use serde_json::{Value, json};

use crate::{
    servers::{IAM, OAUTH, STS, SUBJECT},
    stage::Stage,
};

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
    /// A role of AWS, whose keys its metadata server has.
    Aws,
    /// Subject tokens of a program that is run.
    Executable,
    /// Subject tokens of the process itself.
    Supplied,
    /// People of a workforce pool.
    ExternalUser,
    /// ID tokens of an account that others act as.
    ImpersonatedIdentity,
    /// Tokens of a user that may do less.
    Downscoped,
}

pub(crate) const KINDS: [Kind; 16] = [
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
    Kind::Aws,
    Kind::Executable,
    Kind::Supplied,
    Kind::ExternalUser,
    Kind::ImpersonatedIdentity,
    Kind::Downscoped,
];

const POOL: &str = "//iam.googleapis.com/p";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Where the metadata server of AWS names the role.
pub(crate) const ROLES: &str = "/roles";
/// Where tokens are exchanged for narrower ones.
pub(crate) const NARROW: &str = "/narrow-";
/// Where those are asked for that are exchanged. The library refreshes them itself.
pub(crate) const NARROWED: &str = "/narrowed-";

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
    pub(crate) stage: &'a Arc<Stage>,
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
                let mut source = self.impersonated();
                source.is_dated = true;
                source
            }
            Kind::ImpersonatedIdentity => {
                let source = self.impersonated();
                let Tokens::Access(credentials) = &source.tokens else {
                    unreachable!("a file is of access tokens")
                };
                let tokens = credentials.id_token(&*audience).unwrap();
                tokens.set_refresh_mode(self.mode);
                Source {
                    tokens: Tokens::Identity(tokens),
                    path: source.path.replace("AccessToken", "IdToken"),
                    is_dated: true,
                    ..source
                }
            }
            Kind::Downscoped => {
                let source = user(&format!("{OAUTH}{NARROWED}{which}"));
                let path = format!("{STS}{NARROW}{which}");
                let source = self.file(&source, path, &[OAUTH, STS], own * 2);
                let Tokens::Access(credentials) = &source.tokens else {
                    unreachable!("a file is of access tokens")
                };
                let url = format!("http://{}", source.path);
                let narrow = credentials.downscope_at(&boundary(), &*url).unwrap();
                narrow.set_refresh_mode(self.mode);
                Source {
                    tokens: Tokens::Access(narrow),
                    ..source
                }
            }
            Kind::ExternalAccount => {
                let path = format!("{STS}/external-{which}");
                let source = json!({"url": format!("http://{SUBJECT}/token")});
                let file = external(JWT, &path, &source);
                self.file(&file, path, &[SUBJECT, STS], own * 2)
            }
            Kind::Aws => {
                let path = format!("{STS}/aws-{which}");
                let source = json!({
                    "environment_id": "aws1", "url": format!("http://{SUBJECT}{ROLES}"),
                    "region_url": format!("http://{SUBJECT}/region"),
                    "regional_cred_verification_url": "https://sts.{region}.amazonaws.com",
                });
                let kind = "urn:ietf:params:aws:token-type:aws4_request";
                let file = external(kind, &path, &source);
                self.file(&file, path, &[SUBJECT, STS], own * 2)
            }
            Kind::Executable => {
                set_variable("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", Some("1"));
                let path = format!("{STS}/program-{which}");
                // A real one: time stands still while it runs.
                let answer = json!({"version": 1, "success": true, "token_type": JWT,
                                    "id_token": "subject"});
                let source = json!({"executable": {"command": format!("echo '{answer}'")}});
                let file = external(JWT, &path, &source);
                // It adds its own time.
                self.file(&file, path, &[STS], own + Duration::from_secs(30))
            }
            Kind::Supplied => {
                let path = format!("{STS}/supplied-{}", self.class);
                let stage = Arc::clone(self.stage);
                let token = SubjectToken::supplier(move || {
                    stage.sleep(stage.roll(|dice| dice.millis(0, 50)));
                    Ok("subject".to_owned())
                });
                let tokens = Credentials::external_account(POOL, token)
                    .token_url(format!("http://{path}"))
                    .options(self.options())
                    .build()
                    .unwrap();
                tokens.set_refresh_mode(self.mode);
                Source {
                    tokens: Tokens::Access(tokens),
                    path,
                    servers: vec![STS],
                    budget: own,
                    is_dated: false,
                    is_shared: false,
                }
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
                .iam_flow(true)
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

    fn impersonated(&self) -> Source {
        let account = format!("t{}@p.iam.gserviceaccount.com", self.which);
        let path = format!("{IAM}/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let file = json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url": format!("http://{path}"),
            "source_credentials": user(&format!("{OAUTH}/source")),
        });
        self.file(&file, path, &[OAUTH, IAM], self.patience.budget * 2)
    }

    fn options(&self) -> DefaultOptions {
        let options = DefaultOptions::new()
            .client(self.client.clone())
            .scopes(["s"]);
        let trusting = |options: DefaultOptions, host| options.trust_host(format!("http://{host}"));
        [OAUTH, IAM, STS].into_iter().fold(options, trusting)
    }

    fn file(
        &self,
        file: &Value,
        path: String,
        servers: &[&'static str],
        budget: Duration,
    ) -> Source {
        let loaded = self.options().load_json(&file.to_string());
        let loaded = loaded.unwrap().credentials;
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

fn external(kind: &str, exchange: &str, source: &Value) -> Value {
    json!({
        "type": "external_account", "audience": POOL, "subject_token_type": kind,
        "token_url": format!("http://{exchange}"), "credential_source": source,
    })
}

fn boundary() -> CredentialAccessBoundary {
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]);
    CredentialAccessBoundary::new([rule.unwrap()]).unwrap()
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
