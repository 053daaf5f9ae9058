//! Cargo's credential providers: `PROVIDER --cargo-plugin`, one JSON message a line.
//!
//! A registry that the user named or that is Google's gets an access token, or with an audience an
//! ID token. A service on Cloud Run belongs to anyone: it gets an ID token for itself alone.

use serde_json::Value;

use crate::{
    exit::Failure,
    helper::{
        hosts::{Hosts, Place, REGISTRIES, SERVICES, is_among},
        json,
        token::{Reply, Token, Tokens, join},
    },
};

/// The first message of a provider: the versions that it speaks.
pub(crate) const HELLO: &str = "{\"v\":[1]}\n";

/// What a request asks for, as far as it says.
#[derive(Debug)]
pub(crate) struct Request {
    body: Value,
}

impl Request {
    /// Reads a line. `Err` is the answer to what is no request.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Reply> {
        match serde_json::from_slice::<Value>(line) {
            Ok(body) if body["v"] == 1 => Ok(Self { body }),
            Ok(_) => Err(other("the request is not of version 1")),
            Err(_) => Err(other("the request is no JSON")),
        }
    }

    /// Returns the arguments after the provider's name in Cargo's configuration.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let arguments = self.body["args"].as_array().map_or(&[][..], Vec::as_slice);
        arguments.iter().filter_map(Value::as_str).collect()
    }

    /// Returns the answer.
    pub(crate) fn answer(
        &self,
        audience: Option<&str>,
        hosts: &Hosts,
        tokens: &dyn Tokens,
    ) -> Reply {
        // Login and logout: the provider keeps nothing.
        if self.body["kind"] != "get" {
            return error("operation-not-supported", None);
        }
        let url = self.body["registry"]["index-url"].as_str();
        let url = url.unwrap_or_default();
        let url = url.strip_prefix("sparse+").unwrap_or(url);
        let Some(place) = Place::of_url(url) else {
            return error("url-not-supported", None);
        };
        let origin = format!("https://{}", place.authority());
        let token = match audience {
            _ if !hosts.cover(REGISTRIES, &place) => match is_among(SERVICES, &place) {
                // Whatever audience was named, another service must not get its token.
                true => tokens.identity(&origin),
                false => return error("url-not-supported", None),
            },
            Some(audience) => tokens.identity(audience),
            None => tokens.access(),
        };
        match token {
            Ok(token) => granted(&token),
            Err(failure) => failed(&failure),
        }
    }
}

fn granted(token: &Token) -> Reply {
    let expiry = match token.expires_unix() {
        Some(at) => format!("\"cache\":\"expires\",\"expiration\":{at}"),
        None => "\"cache\":\"session\"".to_owned(),
    };
    let bearer = json::string(&join(&["Bearer ", &token.secret]));
    Reply::text(&[
        "{\"Ok\":{\"kind\":\"get\",\"token\":",
        &bearer,
        ",",
        &expiry,
        ",\"operation_independent\":true}}\n",
    ])
}

/// Returns an error with its message.
pub(crate) fn failed(failure: &Failure) -> Reply {
    other(&failure.to_string())
}

fn other(message: &str) -> Reply {
    error("other", Some(message))
}

fn error(kind: &str, message: Option<&str>) -> Reply {
    let message = match message {
        Some(message) => join(&[",\"message\":", &json::string(message), ",\"caused-by\":[]"]),
        None => join(&[]),
    };
    Reply::text(&["{\"Err\":{\"kind\":\"", kind, "\"", &message, "}}\n"])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::helper::{
        hosts::Pattern,
        token::fake::{EXPIRY, Fake},
    };

    fn request(url: &str, kind: &str) -> Vec<u8> {
        json!({
            "v": 1,
            "registry": {"index-url": url, "name": "mine", "headers": ["WWW-Authenticate: x"]},
            "kind": kind,
            "operation": "read",
            "args": ["--as", "a@b.c"],
        })
        .to_string()
        .into_bytes()
    }

    fn said(line: &[u8], audience: Option<&str>, hosts: &Hosts) -> Value {
        let reply = match Request::read(line) {
            Ok(request) => request.answer(audience, hosts, &Fake::default()),
            Err(reply) => reply,
        };
        assert_eq!(reply.text.matches('\n').count(), 1, "one line");
        serde_json::from_str(&reply.text).unwrap()
    }

    fn named() -> Hosts {
        Hosts(vec![Pattern::parse("crates.example").unwrap()])
    }

    #[test]
    fn a_registry_that_was_named_gets_the_token() {
        let url = "sparse+https://crates.example/index/";
        let granted = said(&request(url, "get"), None, &named());
        let expected = json!({"Ok": {
            "kind": "get", "token": "Bearer ya29.access", "cache": "expires",
            "expiration": EXPIRY, "operation_independent": true,
        }});
        assert_eq!(granted, expected);
        let granted = said(&request(url, "get"), Some("client-id"), &named());
        assert_eq!(granted["Ok"]["token"], "Bearer id-for:client-id");
    }

    #[test]
    fn a_service_on_cloud_run_gets_an_id_token_for_itself() {
        let url = "sparse+https://crates-abc.a.run.app/index/";
        for audience in [None, Some("https://another.a.run.app")] {
            let granted = said(&request(url, "get"), audience, &Hosts::default());
            let token = "Bearer id-for:https://crates-abc.a.run.app";
            assert_eq!(granted["Ok"]["token"], token);
        }
    }

    #[test]
    fn another_registry_is_not_supported() {
        for url in [
            "",
            "sparse+https://index.crates.io/",
            "https://github.com/rust-lang/crates.io-index",
            "sparse+http://crates.example/index/",
            "sparse+https://crates.example:8443/index/",
            "sparse+https://crates.example.evil.example/",
            "sparse+https://crates.example@evil.example/",
        ] {
            let refused = said(&request(url, "get"), None, &named());
            assert_eq!(
                refused,
                json!({"Err": {"kind": "url-not-supported"}}),
                "{url}"
            );
        }
        for kind in ["login", "logout", "unknown"] {
            let refused = said(
                &request("sparse+https://crates.example/", kind),
                None,
                &named(),
            );
            assert_eq!(refused["Err"]["kind"], "operation-not-supported");
        }
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for line in [
            &b""[..],
            b"\xff",
            b"{",
            b"[]",
            b"{}",
            br#"{"v":2,"kind":"get"}"#,
        ] {
            assert_eq!(said(line, None, &named())["Err"]["kind"], "other");
        }
        let request = Request::read(&request("sparse+https://crates.example/", "get"));
        let request = request.expect("a request");
        assert_eq!(request.arguments(), ["--as", "a@b.c"]);
        let failed = request.answer(None, &named(), &Fake::failing());
        let failed: Value = serde_json::from_str(&failed.text).unwrap();
        assert_eq!(failed["Err"]["message"], "no metadata server");
    }

    proptest! {
        #[test]
        fn no_other_registry_gets_a_token(url in r"(sparse\+)?(https?://)?[a-z.@:/\\\n]{0,30}") {
            let tokens = Fake::default();
            if let Ok(request) = Request::read(&request(&url, "get")) {
                request.answer(None, &Hosts::default(), &tokens);
            }
            prop_assert_eq!(tokens.given.get(), 0);
        }

        #[test]
        fn nothing_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            let answer = said(&line, None, &named());
            prop_assert!(answer["Err"]["kind"].is_string());
        }
    }
}
