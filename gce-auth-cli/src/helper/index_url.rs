//! The URL of a Python index with the token in it, for `PIP_INDEX_URL` and `UV_INDEX_URL`.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::{
    exit::{Exit, Failure},
    helper::{
        hosts::{self, Hosts, Place, REGISTRIES},
        token::{Reply, Tokens, USER},
    },
};

/// Returns the URL with user and token, in the place of those that are there.
pub(crate) fn answer(url: &str, hosts: &Hosts, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let place = Place::of_url(&without_user(url)).filter(|place| hosts.cover(REGISTRIES, place));
    let Some(place) = place else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{:?} is not one of Google's indexes; write https://HOST/PROJECT/REPOSITORY/simple/, \
                 or add its host with --allow-host",
                hosts::shown(url)
            ),
        ));
    };
    let token = tokens.access()?;
    let secret = encoded(&token.secret);
    Ok(Reply::text(&[
        "https://",
        USER,
        ":",
        &secret,
        "@",
        &place.authority(),
        place.path(),
        "\n",
    ]))
}

/// Removes [`USER`] and a token before the host, as this helper writes them.
fn without_user(url: &str) -> Cow<'_, str> {
    let after = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let (user, _) = authority.rsplit_once('@')?;
        let is_ours = user.split(':').next() == Some(USER);
        let rest = rest.get(user.len() + 1..).filter(|_| is_ours)?;
        Some(format!("{scheme}://{rest}"))
    };
    after().map_or(Cow::Borrowed(url), Cow::Owned)
}

/// Encodes what is not plain in a URL.
fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
            encoded.push('%');
            encoded.push(digit(byte >> 4).to_ascii_uppercase());
            encoded.push(digit(byte & 15).to_ascii_uppercase());
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn the_token_is_in_the_url() {
        let url = "https://us-python.pkg.dev/p/r/simple/";
        let reply = answer(url, &Hosts::default(), &Fake::default()).unwrap();
        assert_eq!(
            *reply.text,
            "https://oauth2accesstoken:ya29.access@us-python.pkg.dev/p/r/simple/\n"
        );
        assert_eq!(*encoded("a/b@c:d\u{e9}"), "a%2Fb%40c%3Ad%C3%A9");
    }

    #[test]
    fn an_older_token_is_replaced() {
        for before in ["", ":", ":ya29.old", ":ya29.old@", ":a:b"] {
            let url = format!("https://oauth2accesstoken{before}@us-python.pkg.dev/p/r/simple/");
            let reply = answer(&url, &Hosts::default(), &Fake::default()).unwrap();
            assert_eq!(
                *reply.text,
                "https://oauth2accesstoken:ya29.access@us-python.pkg.dev/p/r/simple/\n"
            );
        }
    }

    #[test]
    fn a_refusal_shows_no_token() {
        for url in [
            "https://oauth2accesstoken:ya29.old@pypi.org/simple/",
            "https://oauth2accesstoken:ya29.old@us-python.pkg.dev@pypi.org/",
            "https://oauth2accesstoken:ya29.old@pypi.org\\@us-python.pkg.dev/ ",
            "http://oauth2accesstoken:ya29.old@us-python.pkg.dev/simple/",
            "https://me:ya29.old@us-python.pkg.dev/simple/",
            "oauth2accesstoken:ya29.old@us-python.pkg.dev/simple/",
            "https://oauth2accesstoken:ya29.old/1@us-python.pkg.dev/simple/",
        ] {
            let tokens = Fake::default();
            let refused = answer(url, &Hosts::default(), &tokens).expect_err(url);
            assert!(!refused.to_string().contains("ya29"), "{refused}");
            assert_eq!(tokens.given.get(), 0);
        }
    }

    #[test]
    fn another_index_is_refused() {
        for url in [
            "",
            "us-python.pkg.dev/p/r/simple/",
            "http://us-python.pkg.dev/simple/",
            "https://pypi.org/simple/",
            "https://a@us-python.pkg.dev/simple/",
        ] {
            let tokens = Fake::default();
            assert!(answer(url, &Hosts::default(), &tokens).is_err(), "{url}");
            assert_eq!(tokens.given.get(), 0);
        }
    }
}
