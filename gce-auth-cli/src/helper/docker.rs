//! Docker's credential helpers: `docker-credential-NAME get|store|erase|list|version`. Errors are
//! text on standard output.

use crate::{
    exit::Failure,
    helper::{
        hosts::{Hosts, Place, REGISTRIES},
        json,
        token::{Reply, Tokens, USER},
    },
};

/// What Docker takes for "this helper has none".
const NOT_FOUND: &str = "credentials not found in native keychain\n";
const NO_URL: &str = "no credentials server URL\n";

/// Returns the answer to an action. `input` is what Docker wrote on standard input.
pub(crate) fn answer(action: &str, input: &[u8], hosts: &Hosts, tokens: &dyn Tokens) -> Reply {
    match action {
        "get" => get(input, hosts, tokens),
        // What `docker login` and `logout` do. The helper keeps nothing.
        "store" | "erase" => Reply::nothing(),
        "list" => list(hosts),
        "version" => Reply::text(&["gce-auth ", env!("CARGO_PKG_VERSION"), "\n"]),
        _ => Reply::text(&["actions: get, store, erase, list, version\n"]).code(1),
    }
}

fn get(input: &[u8], hosts: &Hosts, tokens: &dyn Tokens) -> Reply {
    let Ok(text) = std::str::from_utf8(input) else {
        return Reply::text(&[NOT_FOUND]).code(1);
    };
    let server = text.strip_suffix('\n').unwrap_or(text);
    let server = server.strip_suffix('\r').unwrap_or(server);
    if server.is_empty() {
        return Reply::text(&[NO_URL]).code(1);
    }
    let is_ours = |place: &Place| hosts.cover(REGISTRIES, place);
    if Place::of_host(server).filter(is_ours).is_none() {
        return Reply::text(&[NOT_FOUND]).code(1);
    }
    match tokens.access() {
        Ok(token) => Reply::text(&[
            "{\"ServerURL\":",
            &json::string(server),
            ",\"Username\":\"",
            USER,
            "\",\"Secret\":",
            &json::string(&token.secret),
            "}\n",
        ]),
        Err(failure) => failed(&failure),
    }
}

/// Returns the hosts that were named, as others are known by their names alone.
fn list(hosts: &Hosts) -> Reply {
    let entries: Vec<_> = hosts
        .single()
        .map(|host| format!("\"https://{host}\":\"{USER}\""))
        .collect();
    Reply::text(&["{", &entries.join(","), "}\n"])
}

/// Returns an error as Docker shows it.
pub(crate) fn failed(failure: &Failure) -> Reply {
    Reply::text(&["gce-auth: ", &failure.to_string(), "\n"]).code(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::helper::{hosts::Pattern, token::fake::Fake};

    fn said(action: &str, input: &[u8]) -> (String, u8) {
        let reply = answer(action, input, &Hosts::default(), &Fake::default());
        (reply.text.to_string(), reply.code)
    }

    #[test]
    fn a_registry_gets_the_token() {
        for server in [
            "us-docker.pkg.dev",
            "https://gcr.io",
            "eu.gcr.io\n",
            "gcr.io\r\n",
        ] {
            let (text, code) = said("get", server.as_bytes());
            let read: Value = serde_json::from_str(&text).unwrap();
            let shown = server.trim_end();
            assert_eq!(
                read,
                json!({"ServerURL": shown, "Username": USER, "Secret": "ya29.access"})
            );
            assert_eq!(code, 0);
        }
    }

    #[test]
    fn another_server_is_not_found() {
        for server in [
            "https://index.docker.io/v1/",
            "us-docker.pkg.dev.evil.example",
            "http://gcr.io",
            "gcr.io\n\n",
            "gcr.io\nevil.example",
            "gcr.io\0",
            "\u{feff}gcr.io",
        ] {
            assert_eq!(
                said("get", server.as_bytes()),
                (NOT_FOUND.to_owned(), 1),
                "{server:?}"
            );
        }
        assert_eq!(said("get", b"\xffgcr.io"), (NOT_FOUND.to_owned(), 1));
        assert_eq!(said("get", b""), (NO_URL.to_owned(), 1));
    }

    #[test]
    fn a_failure_is_told_on_standard_output() {
        let reply = answer("get", b"gcr.io", &Hosts::default(), &Fake::failing());
        assert_eq!(*reply.text, "gce-auth: no metadata server\n");
        assert_eq!(reply.code, 1);
    }

    #[test]
    fn the_other_actions_keep_nothing() {
        assert_eq!(said("store", b"{}"), (String::new(), 0));
        assert_eq!(said("erase", b"gcr.io"), (String::new(), 0));
        assert_eq!(said("list", b""), ("{}\n".to_owned(), 0));
        assert_eq!(said("steal", b"gcr.io").1, 1);
        let named = Hosts(vec![Pattern::parse("a.example").unwrap()]);
        let list = answer("list", b"", &named, &Fake::default());
        let read: Value = serde_json::from_str(&list.text).unwrap();
        assert_eq!(read, json!({"https://a.example": USER}));
    }

    proptest! {
        #[test]
        fn no_other_host_gets_a_token(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let tokens = Fake::default();
            let reply = answer("get", &input, &Hosts::default(), &tokens);
            // No such bytes are a registry's name.
            prop_assert_eq!(reply.code, 1);
            prop_assert_eq!(tokens.given.get(), 0);
        }
    }
}
