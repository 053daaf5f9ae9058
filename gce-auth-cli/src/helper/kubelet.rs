//! The kubelet's image credential providers: a `CredentialProviderRequest` in, a
//! `CredentialProviderResponse` out, in the version that was asked for.

use std::time::Duration;

use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    helper::{
        hosts::{Hosts, Place, REGISTRIES},
        json,
        token::{Reply, Tokens, USER},
    },
};

const GROUP: &str = "credentialprovider.kubelet.k8s.io/";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// The kubelet drops a credential this long before it expires, so that no pull takes longer than
/// it.
const MARGIN: Duration = Duration::from_secs(300);

/// Returns the answer to a request on standard input. An image of another registry gets no
/// credential.
pub(crate) fn answer(input: &[u8], hosts: &Hosts, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let refused = |why: &str| {
        let why = format!("the request on standard input {why}; the kubelet writes it");
        Failure::new(Exit::Usage, why)
    };
    let Ok(request) = serde_json::from_slice::<Value>(input) else {
        return Err(refused("is no JSON"));
    };
    if request["kind"] != "CredentialProviderRequest" {
        return Err(refused("is no CredentialProviderRequest"));
    }
    let asked = request["apiVersion"].as_str().unwrap_or_default();
    let asked = asked.strip_prefix(GROUP).unwrap_or_default();
    let Some(version) = VERSIONS.into_iter().find(|version| *version == asked) else {
        return Err(refused("has an unknown apiVersion"));
    };
    let Some(image) = request["image"].as_str() else {
        return Err(refused("names no image"));
    };
    let head = [
        "{\"apiVersion\":\"",
        GROUP,
        version,
        "\",\"kind\":\"CredentialProviderResponse\",\"cacheKeyType\":\"Registry\"",
    ];
    let Some(place) = registry(image, hosts) else {
        return Ok(Reply::text(
            &[&head[..], &[",\"cacheDuration\":\"0s\",\"auth\":{}}\n"]].concat(),
        ));
    };
    let token = tokens.access()?;
    let lasts = token.left.unwrap_or_default().saturating_sub(MARGIN);
    let lasts = format!("{}s", lasts.as_secs());
    let registry = json::string(&place.authority());
    let secret = json::string(&token.secret);
    let rest = [
        ",\"cacheDuration\":\"",
        &lasts,
        "\",\"auth\":{",
        &registry,
        ":{\"username\":\"",
        USER,
        "\",\"password\":",
        &secret,
        "}}}\n",
    ];
    Ok(Reply::text(&[&head[..], &rest].concat()))
}

/// Returns the registry of an image, if it is Google's or one that the user named.
fn registry(image: &str, hosts: &Hosts) -> Option<Place> {
    // An image name has no scheme; `https://` would be the host `https`.
    if image.contains("://") {
        return None;
    }
    let place = Place::of_host(image)?;
    let has_name = place.path().len() > 1;
    (has_name && hosts.cover(REGISTRIES, &place)).then_some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::helper::token::fake::Fake;

    fn request(version: &str, image: &str) -> Vec<u8> {
        json!({
            "apiVersion": format!("{GROUP}{version}"),
            "kind": "CredentialProviderRequest",
            "image": image,
        })
        .to_string()
        .into_bytes()
    }

    fn said(input: &[u8]) -> Value {
        let reply = answer(input, &Hosts::default(), &Fake::default()).unwrap();
        serde_json::from_str(&reply.text).unwrap()
    }

    #[test]
    fn an_image_of_a_registry_gets_a_credential_for_its_registry() {
        for version in VERSIONS {
            let answer = said(&request(
                version,
                "us-docker.pkg.dev/p/r/image:tag@sha256:aa",
            ));
            assert_eq!(
                answer,
                json!({
                    "apiVersion": format!("{GROUP}{version}"),
                    "kind": "CredentialProviderResponse",
                    "cacheKeyType": "Registry",
                    "cacheDuration": "3300s",
                    "auth": {"us-docker.pkg.dev": {"username": USER, "password": "ya29.access"}},
                })
            );
        }
    }

    #[test]
    fn another_image_gets_none() {
        for image in [
            "busybox",
            "docker.io/library/busybox",
            "gcr.io",
            "gcr.io/",
            "evilgcr.io/a",
            "us-docker.pkg.dev.evil.example/a",
            "https://gcr.io/a",
            "a@gcr.io/a",
            "gcr.io:5000/a",
        ] {
            let answer = said(&request("v1", image));
            assert_eq!(answer["auth"], json!({}), "{image}");
            assert_eq!(answer["cacheDuration"], "0s", "{image}");
        }
    }

    #[test]
    fn another_request_is_refused() {
        for input in [
            &b""[..],
            b"\xff",
            b"{}",
            br#"{"kind":"CredentialProviderRequest"}"#,
            &request("v2", "gcr.io/a"),
            br#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest"}"#,
        ] {
            let tokens = Fake::default();
            let failure = answer(input, &Hosts::default(), &tokens).expect_err("no request");
            assert_eq!(failure.exit(), Exit::Usage);
            assert_eq!(tokens.given.get(), 0);
        }
    }

    proptest! {
        #[test]
        fn no_other_registry_gets_a_token(image in any::<String>()) {
            let tokens = Fake::default();
            answer(&request("v1", &image), &Hosts::default(), &tokens).unwrap();
            prop_assert_eq!(tokens.given.get(), 0);
        }
    }
}
