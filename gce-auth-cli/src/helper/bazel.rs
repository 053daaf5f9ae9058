//! Bazel's credential helpers: `HELPER get`, with `{"uri": ..}` in and headers out.

use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    helper::{
        hosts::{BUILD, Hosts, Place},
        json,
        token::{Reply, Tokens, join},
    },
    text::rfc3339,
};

/// Returns the headers for a request to the URL on standard input.
pub(crate) fn answer(
    action: &str,
    input: &[u8],
    hosts: &Hosts,
    tokens: &dyn Tokens,
) -> Result<Reply, Failure> {
    let refused = |why: String| Err(Failure::new(Exit::Usage, why));
    if action != "get" {
        return refused("Bazel's credential helpers have the action get".to_owned());
    }
    let uri = serde_json::from_slice::<Value>(input)
        .ok()
        .and_then(|request| Some(request.get("uri")?.as_str()?.to_owned()));
    let Some(uri) = uri else {
        return refused("standard input is no JSON with uri; Bazel writes it".to_owned());
    };
    let Some(place) = Place::of_url(&uri) else {
        return refused("the uri is no URL with https".to_owned());
    };
    if !hosts.cover(BUILD, &place) {
        let why = format!(
            "{} is not a host of this helper; add it with --allow-host if it takes Google's tokens",
            place.authority()
        );
        return Err(Failure::new(Exit::NotFound, why));
    }
    let token = tokens.access()?;
    let expiry = match token.expires_at {
        Some(at) => format!(",\"expires\":\"{}\"", rfc3339(at)),
        None => String::new(),
    };
    let bearer = json::string(&join(&["Bearer ", &token.secret]));
    Ok(Reply::text(&[
        "{\"headers\":{\"Authorization\":[",
        &bearer,
        "]}",
        &expiry,
        "}\n",
    ]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn googles_hosts_get_a_header_and_its_expiry() {
        for uri in [
            "https://storage.googleapis.com/bucket/object",
            "https://us-go.pkg.dev/p/r",
            "https://remotebuildexecution.googleapis.com/google.devtools.Service",
        ] {
            let input = json!({"uri": uri, "more": 1}).to_string();
            let reply =
                answer("get", input.as_bytes(), &Hosts::default(), &Fake::default()).unwrap();
            let read: Value = serde_json::from_str(&reply.text).unwrap();
            let expected = json!({
                "headers": {"Authorization": ["Bearer ya29.access"]},
                "expires": "2026-01-31T23:59:59Z",
            });
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn other_requests_are_errors() {
        for (action, input, exit) in [
            ("set", r#"{"uri":"https://gcr.io/a"}"#, Exit::Usage),
            ("get", "", Exit::Usage),
            ("get", "{}", Exit::Usage),
            ("get", r#"{"uri":["https://gcr.io/a"]}"#, Exit::Usage),
            ("get", r#"{"uri":"http://gcr.io/a"}"#, Exit::Usage),
            ("get", r#"{"uri":"https://gcr.io\u0000/a"}"#, Exit::Usage),
            ("get", r#"{"uri":"https://a:b@gcr.io/a"}"#, Exit::Usage),
            (
                "get",
                r#"{"uri":"https://gcr.io.evil.example/a"}"#,
                Exit::NotFound,
            ),
            (
                "get",
                r#"{"uri":"https://storage.evil.example/"}"#,
                Exit::NotFound,
            ),
        ] {
            let tokens = Fake::default();
            let failure = answer(action, input.as_bytes(), &Hosts::default(), &tokens);
            assert_eq!(failure.expect_err(input).exit(), exit, "{input}");
            assert_eq!(tokens.given.get(), 0);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(answer("get", &input, &Hosts::default(), &Fake::default()).is_err());
        }
    }
}
