//! Every request that the library makes, with its true URI.

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::values::{
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    scope::Scopes,
};

/// The header that keeps a browser, or a confused proxy, from asking.
pub(crate) const METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
pub(crate) const GOOGLE: HeaderValue = HeaderValue::from_static("Google");

pub(crate) const X_GOOG_API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");
const ROOT: &str = "/computeMetadata/v1/";

/// What `x-goog-api-client` says to the metadata server about a request.
const METRICS_TOKEN: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/at cred-type/mds"
));
const METRICS_IDENTITY: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/it cred-type/mds"
));
const METRICS_PING: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/mds"
));

/// What it says to IAM about tokens of accounts that others act as.
#[cfg(feature = "iam")]
pub(crate) const METRICS_IMPERSONATED_TOKEN: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/at cred-type/imp"
));
#[cfg(feature = "iam")]
pub(crate) const METRICS_IMPERSONATED_IDENTITY: HeaderValue = HeaderValue::from_static(concat!(
    "gl-rust/",
    env!("CARGO_PKG_RUST_VERSION"),
    " auth/",
    env!("CARGO_PKG_VERSION"),
    " auth-request-type/it cred-type/imp"
));

/// Bytes that a query value holds as they are (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A query, built value by value; every value is percent-encoded.
#[derive(Debug, Default)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.extend(utf8_percent_encode(name, QUERY));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, QUERY));
        self
    }
}

/// A path below `/computeMetadata/v1/`, checked once.
///
/// The server does not decode percent-encoding in paths (Google, "View and
/// query VM metadata"), so what cannot stand in a path literally is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataPath(String);

impl MetadataPath {
    pub(crate) fn new(path: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            Error::new(
                ErrorKind::Config,
                format!("{path:?} is not a metadata path: {why}"),
            )
            .with_hint("write it as it stands below computeMetadata/v1/, like project/project-id")
        };
        let relative = path.strip_prefix(ROOT).unwrap_or(path);
        let relative = relative.strip_prefix('/').unwrap_or(relative);
        if relative.contains("://") {
            return Err(refuse("it is a URL"));
        }
        if relative.contains(['?', '#']) {
            return Err(refuse("parameters are given apart"));
        }
        if relative.split('/').any(|part| part == ".." || part == ".") {
            return Err(refuse("it leaves the tree"));
        }
        if relative.contains("//") || relative.starts_with('/') {
            return Err(refuse("it has an empty segment"));
        }
        if !relative
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !br#"%\"<>^`{|}"#.contains(&byte))
        {
            return Err(refuse("the server takes these characters in no path"));
        }
        Ok(Self(relative.to_owned()))
    }

    /// `instance/service-accounts/ACCOUNT/LEAF`.
    pub(crate) fn account(account: &str, leaf: &str) -> Result<Self, Error> {
        if account.is_empty() || account.contains('/') {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{account:?} is not a service account"),
            )
            .with_hint("name an email address, or default"));
        }
        Self::new(&format!("instance/service-accounts/{account}/{leaf}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which form of ID token the metadata server makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IdTokenFormat {
    /// The standard claims, and nothing about the instance.
    Standard,
    /// The standard claims, the account's email, and on Compute Engine the
    /// instance under `google.compute_engine`.
    #[default]
    Full,
}

/// `GET /`: is this a metadata server?
pub(crate) fn ping(endpoint: &Endpoint) -> Result<Request<Vec<u8>>, Error> {
    let mut request = get(endpoint.uri("/")?);
    request
        .headers_mut()
        .append(X_GOOG_API_CLIENT, METRICS_PING);
    Ok(request)
}

/// A value or a directory of the tree.
pub(crate) fn value(
    endpoint: &Endpoint,
    path: &MetadataPath,
    query: &Query,
) -> Result<Request<Vec<u8>>, Error> {
    Ok(get(endpoint.uri(&format!("{ROOT}{}{}", path.0, query.0))?))
}

/// An account as one JSON document: email, aliases and scopes.
pub(crate) fn account_info(endpoint: &Endpoint, account: &str) -> Result<Request<Vec<u8>>, Error> {
    value(
        endpoint,
        &MetadataPath::account(account, "")?,
        &Query::default().with("recursive", "true"),
    )
}

/// An access token; `scopes` are a wish that Compute Engine ignores unless
/// `enforce_scopes` is set.
pub(crate) fn token(
    endpoint: &Endpoint,
    account: &str,
    scopes: &Scopes,
    enforce_scopes: bool,
) -> Result<Request<Vec<u8>>, Error> {
    let mut query = Query::default();
    if !scopes.is_empty() {
        query = query.with("scopes", &scopes.as_slice().join(","));
    }
    if enforce_scopes {
        query = query.with("enforce_scopes", "true");
    }
    let mut request = value(endpoint, &MetadataPath::account(account, "token")?, &query)?;
    request
        .headers_mut()
        .append(X_GOOG_API_CLIENT, METRICS_TOKEN);
    Ok(request)
}

/// Refuses an empty audience.
pub(crate) fn check_audience(audience: &str) -> Result<(), Error> {
    if audience.is_empty() {
        return Err(
            Error::new(ErrorKind::Config, "an ID token needs an audience").with_hint(
                "name the service that the token is for, such as the URL of the service that receives it",
            ),
        );
    }
    Ok(())
}

/// An ID token for `audience`.
pub(crate) fn identity(
    endpoint: &Endpoint,
    account: &str,
    audience: &str,
    format: IdTokenFormat,
    licenses: bool,
) -> Result<Request<Vec<u8>>, Error> {
    check_audience(audience)?;
    let mut query = Query::default().with("audience", audience).with(
        "format",
        match format {
            IdTokenFormat::Standard => "standard",
            IdTokenFormat::Full => "full",
        },
    );
    if licenses {
        query = query.with("licenses", "TRUE");
    }
    let path = MetadataPath::account(account, "identity")?;
    let mut request = value(endpoint, &path, &query)?;
    request
        .headers_mut()
        .append(X_GOOG_API_CLIENT, METRICS_IDENTITY);
    Ok(request)
}

/// The request for a token that is bound to these certificates.
#[cfg(feature = "tls")]
pub(crate) fn bind(mut request: Request<Vec<u8>>, pem: &str) -> Request<Vec<u8>> {
    *request.method_mut() = Method::POST;
    let json = HeaderValue::from_static("application/json");
    request
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    let body = serde_json::json!({ "certificate_chain": pem });
    *request.body_mut() = body.to_string().into_bytes();
    request
}

fn get(uri: Uri) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    request.headers_mut().append(METADATA_FLAVOR, GOOGLE);
    request
}

/// `METHOD URL` without its query, for errors: an audience is private.
pub(crate) fn location(request: &Request<Vec<u8>>) -> String {
    let uri = request.uri();
    format!(
        "{} {}://{}{}",
        request.method(),
        uri.scheme_str().unwrap_or("http"),
        uri.authority().map_or("", |authority| {
            let authority = authority.as_str();
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host)
        }),
        uri.path()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::parse("127.0.0.1:80").unwrap()
    }

    #[test]
    fn tokens_are_asked_for_with_scopes_in_one_parameter() {
        let scopes = Scopes::new(["https://a/b", "c"]);
        let request = token(&endpoint(), "default", &scopes, false).unwrap();
        assert_eq!(
            request.uri(),
            "http://127.0.0.1:80/computeMetadata/v1/instance/service-accounts/default/token\
             ?scopes=https%3A%2F%2Fa%2Fb%2Cc"
        );
        assert_eq!(request.headers()["metadata-flavor"], "Google");
        let client = request.headers()["x-goog-api-client"].to_str().unwrap();
        assert!(
            client.starts_with("gl-rust/1.")
                && client.ends_with("auth-request-type/at cred-type/mds")
        );
        let enforced = token(&endpoint(), "default", &scopes, true).unwrap();
        assert!(
            enforced
                .uri()
                .query()
                .unwrap()
                .ends_with("&enforce_scopes=true")
        );
    }

    #[test]
    fn an_email_stands_in_the_path_as_it_is() {
        let request = token(
            &endpoint(),
            "r@p.iam.gserviceaccount.com",
            &Scopes::default(),
            false,
        );
        assert_eq!(
            request.unwrap().uri().path(),
            "/computeMetadata/v1/instance/service-accounts/r@p.iam.gserviceaccount.com/token"
        );
    }

    #[test]
    fn audiences_are_escaped_whole_and_left_out_of_errors() {
        let audience = "https://a.example/p?x=1&y=ä";
        let request =
            identity(&endpoint(), "default", audience, IdTokenFormat::Full, true).unwrap();
        assert_eq!(
            request.uri().query(),
            Some(
                "audience=https%3A%2F%2Fa.example%2Fp%3Fx%3D1%26y%3D%C3%A4\
                 &format=full&licenses=TRUE"
            )
        );
        assert!(!location(&request).contains('?'));
    }

    #[test]
    fn an_empty_audience_is_never_sent() {
        let request = identity(&endpoint(), "default", "", IdTokenFormat::Full, false);
        assert_eq!(request.unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn paths_stay_in_the_tree() {
        assert_eq!(
            MetadataPath::new("/instance/id").unwrap().as_str(),
            "instance/id"
        );
        assert_eq!(
            MetadataPath::new("/computeMetadata/v1/instance/")
                .unwrap()
                .as_str(),
            "instance/"
        );
        for bad in [
            "http://elsewhere/x",
            "a/../b",
            "./a",
            "a//b",
            "//host/a",
            "a?b=c",
            "a#b",
            "a b",
            "a%2Fb",
            "a\nb",
            "é",
        ] {
            let error = MetadataPath::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        }
        for bad in ["", "a/b", "a b", "..", "x?y"] {
            assert!(MetadataPath::account(bad, "token").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ping_asks_for_the_root() {
        let request = ping(&endpoint()).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:80/");
        assert!(
            request.headers()["x-goog-api-client"]
                .to_str()
                .unwrap()
                .ends_with("/mds")
        );
    }
}
