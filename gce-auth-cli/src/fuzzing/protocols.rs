//! The protocols of lines and words: Docker, Git, Go, keyring.

use std::collections::BTreeMap;

use crate::{
    fuzzing::marked::{ACCESS, Marked, assert_no_token, assert_refusal, leads_to},
    helper::{
        docker, git, goauth,
        hosts::{GIT, Hosts, REGISTRIES},
        keyring::{self, Answer},
        token::USER,
    },
};

/// Reads what Docker writes to its helper.
///
/// # Panics
///
/// If another host gets a token, or the answer is not what Docker reads.
pub fn docker(bytes: &[u8]) {
    for tokens in Marked::both() {
        let reply = docker::answer("get", bytes, &Hosts::default(), &tokens);
        if reply.code != 0 {
            assert_eq!(reply.code, 1);
            assert_no_token(&reply.text);
            assert_eq!(reply.text.find('\n'), Some(reply.text.len() - 1));
            continue;
        }
        let asked = str::from_utf8(bytes).expect("a host is text");
        let asked = asked.strip_suffix('\n').unwrap_or(asked);
        let asked = asked.strip_suffix('\r').unwrap_or(asked);
        assert!(leads_to(REGISTRIES, asked), "{asked}");
        let read: BTreeMap<&str, String> =
            serde_json::from_str(&reply.text).expect("Docker reads JSON");
        let expected = [("Secret", ACCESS), ("ServerURL", asked), ("Username", USER)];
        assert!(
            read.into_iter()
                .eq(expected.map(|(name, value)| (name, value.to_owned())))
        );
    }
}

/// Reads what Git writes to its helper.
///
/// # Panics
///
/// If another host gets a token, or the answer is not what Git reads.
pub fn git(bytes: &[u8]) {
    for tokens in Marked::both() {
        let reply = match git::answer("get", bytes, &Hosts::default(), &tokens) {
            Ok(reply) => reply,
            Err(failure) => {
                assert!(tokens.fails);
                assert_refusal(&failure);
                continue;
            }
        };
        assert_eq!(reply.code, 0);
        if reply.text.is_empty() {
            continue;
        }
        // Of several values Git means the last.
        let text = str::from_utf8(bytes).expect("attributes are text");
        let lines = text.split('\n').take_while(|line| !line.is_empty());
        let asked: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
        let (protocol, host) = (asked["protocol"], asked["host"]);
        assert!(leads_to(GIT, &format!("{protocol}://{host}")), "{host}");
        let said = reply.text.strip_suffix('\n').expect("whole lines");
        let said: Vec<_> = said
            .split('\n')
            .filter_map(|line| line.split_once('='))
            .collect();
        assert_eq!(said.len(), reply.text.matches('\n').count());
        let secret = said
            .iter()
            .find(|(key, _)| ["password", "credential"].contains(key));
        assert_eq!(secret.map(|(_, value)| *value), Some(ACCESS));
    }
}

/// Reads the URL of a request that Go was refused.
///
/// # Panics
///
/// If another host gets a token, or the answer is not what Go reads.
pub fn goauth(bytes: &[u8]) {
    let Ok(url) = str::from_utf8(bytes) else {
        return;
    };
    for tokens in Marked::both() {
        match goauth::answer(Some(url), &Hosts::default(), &tokens) {
            Ok(reply) if reply.text.is_empty() => {}
            Ok(reply) => {
                assert!(leads_to(REGISTRIES, url), "{url}");
                let (origin, rest) = reply.text.split_once("\n\n").expect("URLs, then headers");
                assert!(leads_to(REGISTRIES, origin), "{origin}");
                let origin = origin.to_ascii_lowercase();
                let url = url.to_ascii_lowercase();
                assert!(url.starts_with(&origin), "{url}");
                assert_eq!(rest, format!("Authorization: Bearer {ACCESS}\n\n"));
            }
            Err(failure) => {
                assert!(tokens.fails);
                assert_refusal(&failure);
            }
        }
    }
}

/// Reads the arguments of `keyring`, a line each.
///
/// # Panics
///
/// If another service gets a token, or the answer is not what pip and uv read.
pub fn keyring(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let arguments: Vec<_> = text.split('\n').collect();
    for tokens in Marked::both() {
        match keyring::answer(&arguments, &Hosts::default(), &tokens) {
            Ok(Answer::PassOn) => {}
            Ok(Answer::Reply(reply)) => {
                let is_ours = |service: &&&str| {
                    let plain = service.replacen("https://oauth2accesstoken@", "https://", 1);
                    leads_to(REGISTRIES, &plain)
                };
                assert!(arguments.iter().find(is_ours).is_some(), "{arguments:?}");
                let said = reply.text.strip_prefix("oauth2accesstoken\n");
                assert_eq!(said.unwrap_or(&reply.text), format!("{ACCESS}\n"));
            }
            Err(failure) => {
                assert!(tokens.fails);
                assert_refusal(&failure);
            }
        }
    }
}
