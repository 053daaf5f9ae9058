//! Calls to the Google APIs that stand beside the metadata server.

use gce_auth_server::protocol::query::Query;
use gce_auth_server::protocol::{Method, Request};

/// A call to a Google API, before its caller and its arguments were looked at.
pub(crate) struct CloudCall {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) origin: String,
    pub(crate) authorization: Option<String>,
    /// The query's parameters; of a form, the body's.
    pub(crate) parameters: Query,
    pub(crate) body: Vec<u8>,
}

impl CloudCall {
    pub(crate) fn new(endpoint: Endpoint, request: Request) -> Self {
        let form = request
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let parameters = if form {
            Query::parse(&String::from_utf8_lossy(&request.body))
        } else {
            Query::parse(&request.query)
        };
        Self {
            endpoint,
            origin: request.origin(),
            authorization: request.header("authorization").map(Into::into),
            method: request.method,
            path: request.path,
            parameters,
            body: request.body,
        }
    }

    /// The token in the `Authorization` header, if there is one.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The keys as JWK set.
    Jwks,
    /// The keys as X.509 certificates in PEM.
    Certificates,
    /// The keys of one account, as JWK set or as certificates.
    AccountKeys {
        account: String,
        jwk: bool,
    },
    Discovery,
    Token,
    TokenInfo,
    /// `METHOD` of `/v1/projects/-/serviceAccounts/ACCOUNT:METHOD`, or `allowedLocations`.
    Iam {
        account: String,
        method: String,
    },
}

impl Endpoint {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        Some(match path {
            "/oauth2/v3/certs" => Self::Jwks,
            "/oauth2/v1/certs" => Self::Certificates,
            "/.well-known/openid-configuration" => Self::Discovery,
            "/token" | "/oauth2/v4/token" => Self::Token,
            "/tokeninfo" | "/oauth2/v1/tokeninfo" | "/oauth2/v3/tokeninfo" => Self::TokenInfo,
            other => {
                if let Some((jwk, account)) = account_keys(other) {
                    return Some(Self::AccountKeys {
                        account: account.replace("%40", "@"),
                        jwk,
                    });
                }
                let (_, rest) = other
                    .strip_prefix("/v1/projects/")?
                    .split_once("/serviceAccounts/")?;
                let (account, method) = rest
                    .split_once(':')
                    .or_else(|| rest.split_once('/'))
                    .unwrap_or((rest, ""));
                Self::Iam {
                    account: account.replace("%40", "@"),
                    method: method.into(),
                }
            }
        })
    }
}

/// Whether the keys of an account are wanted as JWK set, and which account's.
fn account_keys(path: &str) -> Option<(bool, &str)> {
    let rest = path
        .strip_prefix("/service_accounts/v1/")
        .or_else(|| path.strip_prefix("/robot/v1/"))?;
    let rest = rest.strip_prefix("metadata/").unwrap_or(rest);
    let (kind, account) = rest.split_once('/')?;
    match kind {
        "jwk" => Some((true, account)),
        "x509" => Some((false, account)),
        _ => None,
    }
}
