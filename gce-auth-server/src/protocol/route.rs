//! What a request means.

use crate::protocol::{
    guard, pages,
    query::{Query, Reading},
    reply::Reply,
    request::{Method, Request},
    tree::steps,
};

/// Where version 1 of the tree begins.
pub const PREFIX: &str = "/computeMetadata/v1/";

/// A request that was understood.
#[derive(Debug)]
pub enum Op {
    /// `/`, which detection asks.
    Home,
    /// `/computeMetadata/`, the versions.
    Versions,
    /// A value or directory of the tree.
    Read(Reading, Target),
    /// A live leaf of a service account.
    Credential {
        /// The place.
        target: Target,
        /// The account's email or alias.
        account: String,
        /// Which leaf.
        kind: Credential,
        /// The parameters.
        query: Query,
        /// The PEM certificates to bind the token to.
        certificates: Option<String>,
    },
    /// `PUT` of a guest attribute.
    WriteGuestAttribute {
        /// The place.
        target: Target,
        /// The first segment below `guest-attributes/`.
        namespace: String,
        /// The second.
        key: String,
        /// The value to write.
        value: String,
    },
    /// `DELETE` of a guest attribute, or of a namespace.
    DeleteGuestAttribute {
        /// The place.
        target: Target,
        /// The first segment below `guest-attributes/`.
        namespace: String,
        /// The second; `None` is all of the namespace.
        key: Option<String>,
    },
    /// Users and groups that may log in.
    Login {
        /// The place.
        target: Target,
        /// The value or operation that a request is for.
        what: Login,
        /// The parameters.
        query: Query,
    },
}

/// A live leaf of a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `token`
    Token,
    /// `identity`
    Identity,
}

/// A question about users that may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// `users`
    Users,
    /// `groups`
    Groups,
    /// `authorize`
    Authorize,
}

/// The place a request names.
#[derive(Debug)]
pub struct Target(Request);

impl Target {
    /// Returns what a request names whose path begins with [`PREFIX`].
    pub fn new(request: Request) -> Self {
        Self(request)
    }

    /// Gives the memory of the headers back, but for the host that was named: thousands may wait.
    pub fn shrink(&mut self) {
        let Request { headers, .. } = &mut self.0;
        let host = headers.iter().filter(|(name, _)| *name == "host");
        *headers = host.collect();
    }

    /// Returns the path as sent.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the path below `/computeMetadata/v1/`, without a slash at the end.
    pub fn place(&self) -> &str {
        match self.0.path.strip_prefix(PREFIX).unwrap_or_default() {
            "/" => "/",
            rest => rest.strip_suffix('/').unwrap_or(rest),
        }
    }

    /// Returns the segments of the place.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        steps(self.place())
    }

    /// Returns whether it is asked for as a directory: with a slash at the end.
    pub fn slash(&self) -> bool {
        self.0.path.ends_with('/')
    }

    /// Returns the 404 for this place.
    pub fn not_found(&self) -> Reply {
        pages::not_found(self.path())
    }

    /// Returns the redirect to this place with its slash.
    pub fn add_slash(&self) -> Reply {
        pages::add_slash(&self.0.origin(), self.path(), &self.0.query)
    }
}

/// Understands a request that the [guard] let in: the method, then the path, then the query.
///
/// # Errors
///
/// The answer to a request that means nothing.
pub fn route(request: Request) -> Result<Op, Reply> {
    if request.path.starts_with(PREFIX) {
        return below(request);
    }
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(pages::method_not_allowed(
            request.method.as_str(),
            &request.path,
            "GET, HEAD",
        ));
    }
    elsewhere(&request)
}

/// What lies below version 1.
fn below(mut request: Request) -> Result<Op, Reply> {
    let method = request.method.clone();
    let body = std::mem::take(&mut request.body);
    let query = Query::parse(&request.query);
    let target = Target::new(request);
    // One more than patterns name: of a longer path it counts that there is more.
    let mut segments = [""; 5];
    let mut count = 0;
    for (place, segment) in segments.iter_mut().zip(target.steps()) {
        (*place, count) = (segment, count + 1);
    }

    match (&method, &segments[..count]) {
        (
            Method::Get | Method::Head | Method::Post,
            ["instance", "service-accounts", account, leaf],
        ) if !target.slash() && matches!(*leaf, "token" | "identity") => {
            if query.flag("wait_for_change") {
                return Err(pages::bad_request("wait_for_change is not supported here"));
            }
            let certificates = if method == Method::Post {
                Some(certificate_chain(&body)?)
            } else {
                None
            };
            Ok(Op::Credential {
                account: (*account).into(),
                kind: if *leaf == "token" {
                    Credential::Token
                } else {
                    Credential::Identity
                },
                query,
                certificates,
                target,
            })
        }
        (Method::Put, ["instance", "guest-attributes", namespace, key]) if !target.slash() => {
            Ok(Op::WriteGuestAttribute {
                namespace: (*namespace).into(),
                key: (*key).into(),
                value: String::from_utf8(body)
                    .map_err(|_| pages::bad_request("the value must be UTF-8"))?,
                target,
            })
        }
        (Method::Delete, ["instance", "guest-attributes", namespace, key @ ..])
            if key.len() < 2 =>
        {
            Ok(Op::DeleteGuestAttribute {
                namespace: (*namespace).into(),
                key: key.first().map(|key| (*key).into()),
                target,
            })
        }
        (
            Method::Get | Method::Head,
            [
                "oslogin",
                what @ ("users" | "groups" | "authorize"),
                rest @ ..,
            ],
        ) => {
            if !rest.is_empty() || target.slash() {
                return Err(target.not_found());
            }
            let what = match *what {
                "users" => Login::Users,
                "groups" => Login::Groups,
                _ => Login::Authorize,
            };
            Ok(Op::Login {
                what,
                query,
                target,
            })
        }
        (Method::Get | Method::Head, _) => Ok(Op::Read(Reading::parse(&query)?, target)),
        (_, segments) => {
            let allow = match segments {
                ["instance", "service-accounts", _, "token" | "identity"] => "GET, HEAD, POST",
                ["instance", "guest-attributes", _, _] => "GET, HEAD, PUT, DELETE",
                _ => "GET, HEAD",
            };
            Err(pages::method_not_allowed(
                method.as_str(),
                target.path(),
                allow,
            ))
        }
    }
}

/// The few paths outside version 1.
fn elsewhere(request: &Request) -> Result<Op, Reply> {
    let path = request.path.as_str();
    match path {
        "/" => Ok(Op::Home),
        "/computeMetadata/" => Ok(Op::Versions),
        "/computeMetadata" | "/computeMetadata/v1" => {
            Err(pages::add_slash(&request.origin(), path, &request.query))
        }
        _ if guard::is_legacy(path) => Err(pages::legacy(path)),
        _ => Err(pages::not_found(path)),
    }
}

/// The certificates of a `POST`, one PEM block or more.
fn certificate_chain(body: &[u8]) -> Result<String, Reply> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| {
        pages::bad_request("the body must be a JSON object with a certificate_chain")
    })?;
    let chain = value["certificate_chain"]
        .as_str()
        .ok_or_else(|| pages::bad_request("non-empty certificate_chain required"))?;
    let begins = chain.matches("-----BEGIN CERTIFICATE-----").count();
    let ends = chain.matches("-----END CERTIFICATE-----").count();
    if begins == 0 || begins != ends {
        return Err(pages::bad_request(
            "certificate_chain must be PEM certificates",
        ));
    }
    Ok(chain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_its_headers_redirects_to_the_same_host() {
        let request = Request {
            path: format!("{PREFIX}instance"),
            query: "wait_for_change=true".into(),
            headers: [("metadata-flavor", "Google"), ("host", "metadata:80")]
                .into_iter()
                .collect(),
            ..Request::default()
        };
        let mut target = Target::new(request);
        let redirect = target.add_slash();
        target.shrink();
        assert_eq!(target.0.headers.len(), 1);
        assert_eq!(target.add_slash(), redirect);
        let lines = redirect.header_lines("now".into(), "s");
        let location = lines.iter().find(|(name, _)| *name == "Location");
        assert!(location.unwrap().1.starts_with(b"http://metadata:80/"));
    }
}
