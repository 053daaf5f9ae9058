//! Which of Google's APIs a path names.

/// What a path of Google's APIs names.
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
    /// The OpenID configuration of a pool that issues tokens for agents, or its keys.
    Agents {
        issuer: String,
        jwks: bool,
    },
    Token,
    Revoke,
    TokenInfo,
    Sts(Sts),
    /// `METHOD` of `/v1/projects/-/serviceAccounts/ACCOUNT:METHOD`, or `allowedLocations`.
    Iam {
        account: String,
        method: String,
    },
    /// The allowed locations of a pool.
    PoolLocations,
    /// A project of the Resource Manager, by number or id.
    Project(String),
}

/// Methods of the Security Token Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sts {
    Token,
    Introspect,
    OauthToken,
    Revoke,
}

impl Endpoint {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        Some(match path {
            "/oauth2/v3/certs" => Self::Jwks,
            "/oauth2/v1/certs" => Self::Certificates,
            "/.well-known/openid-configuration" => Self::Discovery,
            "/token" | "/oauth2/v4/token" => Self::Token,
            "/revoke" | "/o/oauth2/revoke" => Self::Revoke,
            "/tokeninfo"
            | "/oauth2/v1/tokeninfo"
            | "/oauth2/v2/tokeninfo"
            | "/oauth2/v3/tokeninfo" => Self::TokenInfo,
            "/v1/token" => Self::Sts(Sts::Token),
            "/v1/introspect" => Self::Sts(Sts::Introspect),
            "/v1/oauthtoken" => Self::Sts(Sts::OauthToken),
            "/v1/revoke" => Self::Sts(Sts::Revoke),
            other => match other.strip_prefix("/v1/") {
                Some(rest) => return versioned(rest),
                None => return account_keys(other),
            },
        })
    }
}

/// What lies below `/v1/`.
fn versioned(rest: &str) -> Option<Endpoint> {
    let segments: Vec<&str> = rest.split('/').collect();
    match segments.as_slice() {
        ["projects", project] if !project.is_empty() => {
            Some(Endpoint::Project((*project).to_owned()))
        }
        [
            "projects",
            _,
            "serviceAccounts",
            account,
            "allowedLocations",
        ] => Some(Endpoint::Iam {
            account: decode(account),
            method: "allowedLocations".into(),
        }),
        ["projects", _, "serviceAccounts", account] => {
            let (account, method) = account.split_once(':').unwrap_or((account, ""));
            Some(Endpoint::Iam {
                account: decode(account),
                method: method.into(),
            })
        }
        [
            "projects",
            _,
            "locations",
            _,
            "workloadIdentityPools",
            _,
            "allowedLocations",
        ]
        | ["locations", _, "workforcePools", _, "allowedLocations"] => {
            Some(Endpoint::PoolLocations)
        }
        [
            "projects" | "organizations",
            _,
            "locations",
            _,
            "workloadIdentityPools",
            _,
            end @ ..,
        ] => {
            let (jwks, end) = match end {
                [".well-known", "openid-configuration"] => {
                    (false, "/.well-known/openid-configuration")
                }
                ["openid", "jwks"] => (true, "/openid/jwks"),
                _ => return None,
            };
            Some(Endpoint::Agents {
                issuer: rest.strip_suffix(end)?.into(),
                jwks,
            })
        }
        _ => None,
    }
}

fn account_keys(path: &str) -> Option<Endpoint> {
    let rest = path
        .strip_prefix("/service_accounts/v1/")
        .or_else(|| path.strip_prefix("/robot/v1/"))?;
    let rest = rest.strip_prefix("metadata/").unwrap_or(rest);
    let (kind, account) = rest.split_once('/')?;
    let jwk = match kind {
        "jwk" => true,
        "x509" => false,
        _ => return None,
    };
    Some(Endpoint::AccountKeys {
        account: decode(account),
        jwk,
    })
}

/// The only escape that clients use in an email.
fn decode(account: &str) -> String {
    account.replace("%40", "@")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_name_apis() {
        let pool = "projects/1/locations/global/workloadIdentityPools/p";
        for (path, endpoint) in [
            ("/v1/token", Endpoint::Sts(Sts::Token)),
            ("/oauth2/v2/tokeninfo", Endpoint::TokenInfo),
            ("/v1/projects/123", Endpoint::Project("123".into())),
            (
                "/v1/projects/-/serviceAccounts/a%40p:signBlob",
                Endpoint::Iam {
                    account: "a@p".into(),
                    method: "signBlob".into(),
                },
            ),
            (
                "/v1/projects/-/serviceAccounts/a@p/allowedLocations",
                Endpoint::Iam {
                    account: "a@p".into(),
                    method: "allowedLocations".into(),
                },
            ),
            (
                "/v1/locations/global/workforcePools/p/allowedLocations",
                Endpoint::PoolLocations,
            ),
            (
                "/robot/v1/metadata/x509/a@p",
                Endpoint::AccountKeys {
                    account: "a@p".into(),
                    jwk: false,
                },
            ),
        ] {
            assert_eq!(Endpoint::parse(path), Some(endpoint), "{path}");
        }
        assert_eq!(
            Endpoint::parse(&format!("/v1/{pool}/openid/jwks")),
            Some(Endpoint::Agents {
                issuer: pool.into(),
                jwks: true
            })
        );
        for path in [
            "/v1/",
            "/v1/projects/",
            "/v1/x",
            "/v1/projects/1/x",
            "/computeMetadata/v1/",
            "/",
        ] {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/|v1|projects|[a-z:.%@-]{1,4}){0,12}") {
            let _ = Endpoint::parse(&path);
        }
    }
}
