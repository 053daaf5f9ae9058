//! Requests to the Google APIs that stand beside the metadata server: who calls, and what a body
//! says.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use gce_auth_server::protocol::{Method, Request, query::Query};
use serde_json::{Map, Value};

use crate::cloud::{encoding, endpoint::Endpoint};

/// A request to a Google API, before its caller and its arguments were looked at.
pub(crate) struct CloudCall {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Scheme and host as the client sees them.
    pub(crate) origin: String,
    authorization: Option<String>,
    pub(crate) parameters: Parameters,
    pub(crate) body: Vec<u8>,
}

impl CloudCall {
    pub(crate) fn new(endpoint: Endpoint, mut request: Request) -> Self {
        encoding::unpack(&mut request);
        Self {
            endpoint,
            origin: request.origin(),
            authorization: request.header("authorization").map(Into::into),
            parameters: Parameters::read(&request),
            method: request.method,
            path: request.path,
            body: request.body,
        }
    }

    /// The token in the `Authorization` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.credentials("bearer")
    }

    /// The OAuth client: in the `Authorization` header, or as `client_id` and `client_secret`.
    pub(crate) fn client(&self) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        if let Some(encoded) = self.credentials("basic") {
            let decoded = BASE64_STANDARD.decode(encoded).ok()?;
            let text = String::from_utf8(decoded).ok()?;
            let (id, secret) = text.split_once(':')?;
            return Some((id.to_owned().into(), secret.to_owned().into()));
        }
        let id = self.parameters.get("client_id")?;
        let secret = self.parameters.get("client_secret").unwrap_or_default();
        Some((id.into(), secret.into()))
    }

    fn credentials(&self, wanted: &str) -> Option<&str> {
        let (scheme, credentials) = self.authorization.as_deref()?.split_once(' ')?;
        let credentials = credentials.trim();
        (scheme.eq_ignore_ascii_case(wanted) && !credentials.is_empty()).then_some(credentials)
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub(crate) fn json(&self) -> Option<Map<String, Value>> {
        if self.body.is_empty() {
            return Some(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(body)) => Some(body),
            _ => None,
        }
    }
}

/// The parameters of a query, of a form, or of a JSON object with the same names in lowerCamelCase,
/// as Google's transcoding takes them.
pub(crate) struct Parameters {
    query: Query,
    json: Map<String, Value>,
}

impl Parameters {
    fn read(request: &Request) -> Self {
        let kind = request.header("content-type").unwrap_or_default();
        let is = |wanted: &str| {
            kind.get(..wanted.len())
                .is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
        };
        let mut json = Map::new();
        let query = if is("application/x-www-form-urlencoded") && !request.body.is_empty() {
            Query::parse(&String::from_utf8_lossy(&request.body))
        } else {
            if is("application/json")
                && let Ok(Value::Object(body)) = serde_json::from_slice(&request.body)
            {
                json = body;
            }
            Query::parse(&request.query)
        };
        Self { query, json }
    }

    /// The parameter of this name, in snake_case; an empty one counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.non_empty(name).or_else(|| {
            let value = self
                .json
                .get(name)
                .or_else(|| self.json.get(&camel_case(name)));
            value?.as_str().filter(|value| !value.is_empty())
        })
    }

    /// The texts of a parameter that are separated by spaces.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.get(name).unwrap_or_default();
        text.split_whitespace().map(Into::into).collect()
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        camel.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(chars.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(content_type: &str, authorization: &str, query: &str, body: &str) -> CloudCall {
        let headers = [
            ("content-type", content_type),
            ("authorization", authorization),
        ];
        let request = Request {
            method: Method::Post,
            query: query.into(),
            headers: headers.into_iter().collect(),
            body: body.into(),
            ..Request::default()
        };
        CloudCall::new(Endpoint::Token, request)
    }

    #[test]
    fn parameters_come_in_a_form_a_query_or_json() {
        let form = "application/x-www-form-urlencoded";
        for call in [
            call(form, "", "", "grant_type=a%20b&scope=x+y"),
            call(
                "Application/X-WWW-Form-URLEncoded; charset=utf-8",
                "",
                "",
                "grant_type=a+b&scope=x y",
            ),
            call("", "", "grant_type=a+b&scope=x+y", ""),
            call(
                "application/json",
                "",
                "",
                r#"{"grantType":"a b","scope":"x y"}"#,
            ),
            call(
                "application/json",
                "",
                "",
                r#"{"grant_type":"a b","scope":"x y"}"#,
            ),
        ] {
            assert_eq!(call.parameters.get("grant_type"), Some("a b"));
            assert_eq!(call.parameters.list("scope"), ["x", "y"]);
            assert_eq!(call.parameters.get("audience"), None);
        }
        assert_eq!(call(form, "", "", "scope=").parameters.get("scope"), None);
        // A form without a body has its parameters in the query; what is of another kind is not
        // read for any.
        let query = call(form, "", "scope=x", "");
        assert_eq!(query.parameters.get("scope"), Some("x"));
        let json = r#"{"scope": "y", "audience": "", "target": "z"}"#;
        for (kind, body, target) in [
            ("text/plain; charset=utf-8; a=b", "scope=y&target=z", None),
            ("application/xml+json", json, None),
            ("application/json", json, Some("z")),
            ("application/json", "[]", None),
        ] {
            let call = call(kind, "", "scope=x", body);
            assert_eq!(call.parameters.get("scope"), Some("x"), "{kind}");
            assert_eq!(call.parameters.get("target"), target, "{kind}");
            assert_eq!(call.parameters.get("audience"), None, "{kind}");
        }
    }

    #[test]
    fn no_body_is_an_object_without_members() {
        let body = |text| call("application/json", "", "", text).json();
        assert_eq!(body(""), Some(Map::new()));
        assert!(body(r#"{"a": 1}"#).is_some_and(|body| body["a"] == 1));
        for other in ["[]", "1", "x", "{"] {
            assert_eq!(body(other), None, "{other}");
        }
    }

    #[test]
    fn a_client_shows_itself_in_the_header_or_the_form() {
        let form = "application/x-www-form-urlencoded";
        let client = |call: CloudCall| call.client().map(|(id, secret)| format!("{id} {secret}"));
        assert_eq!(
            client(call(form, "Basic YTpiOmM=", "", "")).as_deref(),
            Some("a b:c")
        );
        assert_eq!(
            client(call(form, "", "", "client_id=a&client_secret=b")).as_deref(),
            Some("a b")
        );
        for header in ["Basic YQ==", "Basic ***", "Basic", "Bearer YTpi"] {
            assert_eq!(client(call(form, header, "", "")), None, "{header}");
        }
        assert_eq!(call("", "bearer  x", "", "").bearer(), Some("x"));
        assert_eq!(call("", "Bearer ", "", "").bearer(), None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".{0,60}") {
            for kind in ["application/json", "application/x-www-form-urlencoded"] {
                let call = call(kind, &format!("Basic {body}"), &body, &body);
                let _ = (call.client(), call.json(), call.parameters.list("scope"));
            }
        }
    }
}
