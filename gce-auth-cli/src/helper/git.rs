//! Git's credential helpers: `git-credential-NAME get|store|erase`, with `key=value` lines.

use crate::{
    exit::Failure,
    helper::{
        hosts::{GIT, Hosts, Place},
        token::{Reply, Tokens, USER},
    },
};

/// The user name that Gerrit takes with an access token.
const GERRIT: &str = "git-account";

/// Returns the answer to an action. Without an answer Git asks its next helper.
pub(crate) fn answer(
    action: &str,
    input: &[u8],
    hosts: &Hosts,
    tokens: &dyn Tokens,
) -> Result<Reply, Failure> {
    // Nothing is kept, and later versions of Git may have more actions.
    if action != "get" {
        return Ok(Reply::nothing());
    }
    let Some(asked) = std::str::from_utf8(input).ok().and_then(Asked::read) else {
        return Ok(Reply::nothing());
    };
    if !hosts.cover(GIT, &asked.place) {
        return Ok(Reply::nothing());
    }
    let token = tokens.access()?;
    let expiry = match token.expires_unix() {
        Some(at) => format!("password_expiry_utc={at}\n"),
        None => String::new(),
    };
    if asked.takes_bearer {
        return Ok(Reply::text(&[
            "capability[]=authtype\nauthtype=Bearer\ncredential=",
            &token.secret,
            "\nephemeral=1\n",
            &expiry,
        ]));
    }
    let host = asked.place.host();
    let user = if host == "googlesource.com" || host.ends_with(".googlesource.com") {
        GERRIT.to_owned()
    } else {
        // A line more would be an attribute of its own.
        let account = tokens.account();
        let account = account.filter(|name| !name.contains(char::is_control));
        account.unwrap_or_else(|| USER.to_owned())
    };
    Ok(Reply::text(&[
        "username=",
        &user,
        "\npassword=",
        &token.secret,
        "\n",
        &expiry,
    ]))
}

/// What Git asks credentials for.
struct Asked {
    place: Place,
    /// Git can send another authorization than a user and a password (2.46).
    takes_bearer: bool,
}

impl Asked {
    /// Reads lines up to an empty one. `None` if they name no server with https.
    fn read(text: &str) -> Option<Self> {
        let (mut protocol, mut host, mut takes_bearer) = (None, None, false);
        // A carriage return is part of a value: Git ends lines with a line feed alone.
        for line in text.split('\n').take_while(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=')?;
            match key {
                "protocol" => protocol = Some(value),
                "host" => host = Some(value),
                "capability[]" => takes_bearer |= value == "authtype",
                _ => {}
            }
        }
        let host = host.filter(|host| protocol == Some("https") && !host.contains('/'))?;
        let place = Place::of_host(host)?;
        Some(Self {
            place,
            takes_bearer,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::helper::token::fake::{EXPIRY, Fake};

    fn said(action: &str, input: &[u8]) -> String {
        let reply = answer(action, input, &Hosts::default(), &Fake::default()).unwrap();
        assert_eq!(reply.code, 0);
        reply.text.to_string()
    }

    fn asked(host: &str) -> Vec<u8> {
        format!("protocol=https\nhost={host}\nwwwauth[]=Basic realm=\"x\"\n\n").into_bytes()
    }

    #[test]
    fn googles_servers_get_a_user_and_the_token() {
        let account = "robot@p.iam.gserviceaccount.com";
        for (host, user) in [
            ("source.developers.google.com", account),
            ("chromium.googlesource.com", GERRIT),
            ("googlesource.com", GERRIT),
            ("a-b.us.sourcemanager.dev", account),
        ] {
            let expected =
                format!("username={user}\npassword=ya29.access\npassword_expiry_utc={EXPIRY}\n");
            assert_eq!(said("get", &asked(host)), expected, "{host}");
        }
    }

    #[test]
    fn a_git_that_can_sends_the_token_itself_and_keeps_it_nowhere() {
        let input = b"capability[]=authtype\ncapability[]=state\nprotocol=https\n\
                      host=source.developers.google.com\n";
        assert_eq!(
            said("get", input),
            format!(
                "capability[]=authtype\nauthtype=Bearer\ncredential=ya29.access\nephemeral=1\n\
                 password_expiry_utc={EXPIRY}\n"
            )
        );
    }

    #[test]
    fn a_git_that_can_something_else_gets_a_password() {
        let input = b"capability[]=state\nprotocol=https\nhost=source.developers.google.com\n";
        let text = said("get", input);
        assert!(text.contains("\npassword=ya29.access\n"), "{text}");
        assert!(!text.contains("authtype"), "{text}");
    }

    #[test]
    fn another_server_gets_no_answer() {
        for host in [
            "github.com",
            "evilgooglesource.com",
            "a.googlesource.com.evil.example",
            "a.googlesource.com:8443",
            "a.googlesource.com@evil.example",
            "a.googlesource.com/x",
            "https://a.googlesource.com",
            "",
        ] {
            assert_eq!(said("get", &asked(host)), "", "{host}");
        }
        for input in [
            &b""[..],
            b"\n",
            b"protocol=http\nhost=a.googlesource.com\n",
            b"host=a.googlesource.com\n",
            b"protocol=https\n\nhost=a.googlesource.com\n",
            b"protocol=https\nhost=a.googlesource.com\0.evil.example\n",
            b"protocol=https\nhost=a.googlesource.com\r\n\rhost=evil.example\n",
            b"protocol=https\nnonsense\nhost=a.googlesource.com\n",
            b"protocol=https\nhost=\xff.googlesource.com\n",
            b"protocol=https\nhost=a.googlesource.com\nhost=evil.example\n",
        ] {
            assert_eq!(said("get", input), "", "{input:?}");
        }
    }

    #[test]
    fn an_account_is_no_more_than_a_user() {
        let tokens = Fake {
            account: Some("me@p\nhost=evil.example"),
            ..Fake::default()
        };
        let asked = asked("source.developers.google.com");
        let reply = answer("get", &asked, &Hosts::default(), &tokens).unwrap();
        assert!(!reply.text.contains("evil"), "{}", *reply.text);
        assert!(reply.text.starts_with("username=oauth2accesstoken\n"));
    }

    #[test]
    fn other_actions_do_nothing() {
        for action in ["store", "erase", "capability", ""] {
            assert_eq!(said(action, &asked("googlesource.com")), "");
        }
    }

    proptest! {
        #[test]
        fn the_last_host_decides(host in "[a-z.@:/\\\\]{0,20}") {
            let input = format!("protocol=https\nhost=googlesource.com\nhost={host}\n");
            let tokens = Fake::default();
            answer("get", input.as_bytes(), &Hosts::default(), &tokens).unwrap();
            let is_googles = GIT.iter().any(|known| {
                known.strip_prefix('*').map_or(host == *known, |end| host.ends_with(end))
            });
            prop_assert!(tokens.given.get() == 0 || is_googles);
        }

        #[test]
        fn nothing_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let reply = answer("get", &input, &Hosts::default(), &Fake::default()).unwrap();
            prop_assert!(reply.text.is_empty());
        }
    }
}
