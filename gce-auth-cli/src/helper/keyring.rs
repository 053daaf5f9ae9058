//! Python's `keyring`, as pip, uv and pixi run it: `keyring get SERVICE USER`.

use crate::{
    exit::Failure,
    helper::{
        hosts::{Hosts, Place, REGISTRIES},
        token::{Reply, Tokens, USER},
    },
};

/// What to do about a call.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    /// It is for another `keyring`.
    PassOn,
}

/// Returns the answer to the arguments after the program's name.
pub(crate) fn answer(
    arguments: &[&str],
    hosts: &Hosts,
    tokens: &dyn Tokens,
) -> Result<Answer, Failure> {
    let Some(call) = Call::read(arguments) else {
        return Ok(Answer::PassOn);
    };
    let place = Place::of_host(without_user(call.service));
    if !place.is_some_and(|place| hosts.cover(REGISTRIES, &place)) {
        return Ok(Answer::PassOn);
    }
    if call.user.is_some_and(|user| user != USER) {
        // Another account of this registry, like `_json_key_base64`.
        return Ok(Answer::PassOn);
    }
    let token = tokens.access()?;
    let secret = &*token.secret;
    Ok(Answer::Reply(match call.wants_user {
        true => Reply::text(&[USER, "\n", secret, "\n"]),
        false => Reply::text(&[secret, "\n"]),
    }))
}

/// A call of `get`.
struct Call<'a> {
    service: &'a str,
    user: Option<&'a str>,
    /// `--mode creds` prints the user, too.
    wants_user: bool,
}

impl<'a> Call<'a> {
    fn read(arguments: &[&'a str]) -> Option<Self> {
        let (wants_user, rest) = match arguments {
            ["--mode", "creds", rest @ ..] | ["--mode=creds", rest @ ..] => (true, rest),
            ["--mode", "password", rest @ ..] | ["--mode=password", rest @ ..] | rest => {
                (false, rest)
            }
        };
        match rest {
            ["get", service, user] => Some(Self {
                service,
                user: Some(user),
                wants_user,
            }),
            ["get", service] if wants_user => Some(Self {
                service,
                user: None,
                wants_user,
            }),
            ["get", "--mode", "creds", service] | ["get", service, "--mode", "creds"] => {
                Some(Self {
                    service,
                    user: None,
                    wants_user: true,
                })
            }
            _ => None,
        }
    }
}

/// Removes the user that pip leaves in the URL of an index.
fn without_user(service: &str) -> &str {
    // What stays is read as any other host, so that no second user passes.
    let scheme = "https://";
    match service.strip_prefix(scheme) {
        Some(rest) => rest
            .strip_prefix(USER)
            .and_then(|rest| rest.strip_prefix('@'))
            .unwrap_or(service),
        None => service,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::helper::token::fake::Fake;

    fn said(arguments: &[&str]) -> Option<String> {
        match answer(arguments, &Hosts::default(), &Fake::default()).unwrap() {
            Answer::Reply(reply) => Some(reply.text.to_string()),
            Answer::PassOn => None,
        }
    }

    #[test]
    fn an_index_gets_the_token() {
        for service in [
            "https://us-python.pkg.dev/p/r/simple/",
            "https://oauth2accesstoken@us-python.pkg.dev/p/r/simple/",
            "us-python.pkg.dev",
            "us-python.pkg.dev:443",
        ] {
            let token = said(&["get", service, USER]);
            assert_eq!(token.as_deref(), Some("ya29.access\n"), "{service}");
            for creds in [
                &["--mode", "creds", "get", service][..],
                &["get", service, "--mode", "creds"],
                &["--mode=creds", "get", service],
            ] {
                let both = said(creds);
                assert_eq!(
                    both.as_deref(),
                    Some("oauth2accesstoken\nya29.access\n"),
                    "{service}"
                );
            }
        }
    }

    #[test]
    fn everything_else_is_passed_on() {
        let ours = "https://us-python.pkg.dev/p/r/simple/";
        for arguments in [
            &[][..],
            &["get"],
            &["get", ours],
            &["get", ours, "_json_key_base64"],
            &["get", "https://pypi.example/simple/", USER],
            &["get", "http://us-python.pkg.dev/p/r/simple/", USER],
            &["get", "https://us-python.pkg.dev@evil.example/", USER],
            &[
                "get",
                "https://oauth2accesstoken@us-python.pkg.dev@evil.example/",
                USER,
            ],
            &[
                "get",
                "https://oauth2accesstoken:x@us-python.pkg.dev/",
                USER,
            ],
            &["get", "https://us-python.pkg.dev.evil.example/", USER],
            &["get", "us-python.pkg.dev\n", USER],
            &["set", ours, USER],
            &["del", ours, USER],
            &["--list-backends"],
        ] {
            assert_eq!(said(arguments), None, "{arguments:?}");
        }
    }

    proptest! {
        #[test]
        fn no_other_service_gets_a_token(
            service in r"(https?://)?(oauth2accesstoken@)?[a-z@:./]{0,10}\.pkg\.dev[a-z@:./\\]{0,10}"
        ) {
            let Some(_) = said(&["get", &service, USER]) else { return Ok(()) };
            let url = match service.contains("://") {
                true => service,
                false => format!("https://{service}"),
            };
            let read: http::Uri = url.parse().unwrap();
            prop_assert!(read.host().unwrap().ends_with(".pkg.dev"), "{}", url);
            prop_assert_eq!(read.scheme_str(), Some("https"));
        }
    }
}
