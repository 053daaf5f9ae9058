//! The protocols of JSON: Cargo, kubectl, the kubelet, Bazel, external accounts.

use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    fuzzing::marked::{
        ACCESS, IDENTITY, MARK, Marked, assert_no_token, assert_refusal, is_marked, leads_to,
    },
    helper::{
        bazel, cargo, executable,
        hosts::{BUILD, Hosts, REGISTRIES, SERVICES},
        kubectl, kubelet,
        token::{Reply, USER},
    },
};

/// Reads an answer, which is one line of JSON.
fn line(reply: &Reply) -> Value {
    assert_eq!(reply.text.find('\n'), Some(reply.text.len() - 1));
    serde_json::from_str(&reply.text).expect("JSON")
}

/// Fails if a request was refused for another reason than itself, or a source without tokens.
fn assert_refused(failure: &Failure, tokens: &Marked) {
    assert_refusal(failure);
    let expected = [Exit::Usage, Exit::NotFound];
    assert!(tokens.fails || expected.contains(&failure.exit()));
}

/// Reads a request of Cargo.
///
/// # Panics
///
/// If another registry gets a token, or the answer is none of Cargo's two.
pub fn cargo(bytes: &[u8]) {
    let of_user = "https://client.example";
    for (audience, tokens) in [None, Some(of_user)]
        .into_iter()
        .flat_map(|audience| Marked::both().map(|tokens| (audience, tokens)))
    {
        let reply = match cargo::Request::read(bytes) {
            Ok(request) => request.answer(audience, &Hosts::default(), &tokens),
            Err(reply) => reply,
        };
        assert_eq!(reply.code, 0);
        let said = line(&reply);
        let Some(granted) = said.get("Ok") else {
            assert_no_token(&reply.text);
            assert!(said["Err"]["kind"].is_string(), "{said}");
            continue;
        };
        let asked: Value = serde_json::from_slice(bytes).expect("a request is JSON");
        let url = asked["registry"]["index-url"]
            .as_str()
            .expect("a request has a URL");
        let url = url.strip_prefix("sparse+").unwrap_or(url);
        let audiences = tokens.audiences.borrow();
        if leads_to(REGISTRIES, url) {
            let secret = audience.map_or(ACCESS, |_| IDENTITY);
            assert_eq!(granted["token"], format!("Bearer {secret}"));
            assert!(audiences.iter().eq(audience));
            continue;
        }
        assert!(leads_to(SERVICES, url), "{url}");
        assert_eq!(granted["token"], format!("Bearer {IDENTITY}"));
        let [own] = &audiences[..] else {
            panic!("one token for itself: {audiences:?}");
        };
        assert!(leads_to(SERVICES, own), "{own}");
        assert!(url.to_ascii_lowercase().starts_with(own.as_str()), "{own}");
    }
}

/// Reads what kubectl puts into `KUBERNETES_EXEC_INFO`.
///
/// # Panics
///
/// If the answer is not of the version that was asked for.
pub fn kubectl(bytes: &[u8]) {
    let Ok(info) = str::from_utf8(bytes) else {
        return;
    };
    for tokens in Marked::both() {
        match kubectl::answer(Some(info), &tokens) {
            Ok(reply) => {
                let (said, asked) = (line(&reply), serde_json::from_str::<Value>(info));
                let asked = asked.expect("a request is JSON");
                for member in ["apiVersion", "kind"] {
                    assert_eq!(said[member], asked[member]);
                }
                assert_eq!(said["status"]["token"], ACCESS);
            }
            Err(failure) => assert_refused(&failure, &tokens),
        }
    }
}

/// Reads a request of the kubelet.
///
/// # Panics
///
/// If another registry gets a token, or the answer is not of the version that was asked for.
pub fn kubelet(bytes: &[u8]) {
    for tokens in Marked::both() {
        let reply = match kubelet::answer(bytes, &Hosts::default(), &tokens) {
            Ok(reply) => reply,
            Err(failure) => {
                assert_refused(&failure, &tokens);
                continue;
            }
        };
        let (said, asked) = (line(&reply), serde_json::from_slice::<Value>(bytes));
        let asked = asked.expect("a request is JSON");
        assert_eq!(said["apiVersion"], asked["apiVersion"]);
        assert_eq!(said["kind"], "CredentialProviderResponse");
        let granted = said["auth"].as_object().expect("credentials by registry");
        for (registry, credential) in granted {
            let image = asked["image"].as_str().expect("an image");
            assert!(leads_to(REGISTRIES, image), "{image}");
            assert!(image.to_ascii_lowercase().starts_with(registry.as_str()));
            assert_eq!(credential["username"], USER);
            assert_eq!(credential["password"], ACCESS);
        }
        assert!(granted.len() <= 1);
        assert_eq!(reply.text.contains(MARK), !granted.is_empty());
    }
}

/// Reads a request of Bazel.
///
/// # Panics
///
/// If another host gets a token, or the answer is not what Bazel reads.
pub fn bazel(bytes: &[u8]) {
    if is_marked(bytes) {
        return;
    }
    for tokens in Marked::both() {
        match bazel::answer("get", bytes, &Hosts::default(), &tokens) {
            Ok(reply) => {
                let said = line(&reply);
                let asked: Value = serde_json::from_slice(bytes).expect("a request is JSON");
                let uri = asked["uri"].as_str().expect("a request has a URL");
                assert!(leads_to(BUILD, uri), "{uri}");
                assert_eq!(
                    said["headers"]["Authorization"][0],
                    format!("Bearer {ACCESS}")
                );
            }
            Err(failure) => assert_refused(&failure, &tokens),
        }
    }
}

/// Reads what an SDK says in variables: the audience, and on the next line the type of token.
///
/// # Panics
///
/// If the token is for another audience, or the answer is not what the SDK reads.
pub fn executable(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (audience, token_type) = match text.split_once('\n') {
        Some((audience, token_type)) => (audience, Some(token_type)),
        None => (&*text, None),
    };
    for tokens in Marked::both() {
        let asked = executable::Asked {
            audience: Some(audience),
            token_type,
        };
        let reply = executable::answer(None, asked, &tokens);
        let said = line(&reply);
        assert_eq!(said["version"], 1);
        assert_eq!(said["success"], reply.code == 0);
        if reply.code == 0 {
            assert_eq!(said["id_token"], IDENTITY);
            assert_eq!(*tokens.audiences.borrow(), [audience]);
            assert!(token_type.is_none_or(|asked| said["token_type"] == asked));
        } else {
            assert_no_token(&reply.text);
            assert!(said["code"].is_string() && said["message"].is_string());
        }
    }
}
