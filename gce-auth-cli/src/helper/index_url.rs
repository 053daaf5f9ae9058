//! The URL of a Python index with the token in it, for `PIP_INDEX_URL` and `UV_INDEX_URL`.

use zeroize::Zeroizing;

use crate::{
    exit::{Exit, Failure},
    helper::{
        hosts::{Hosts, Place, REGISTRIES},
        token::{Reply, Tokens, USER},
    },
};

/// Returns the URL with user and token.
pub(crate) fn answer(url: &str, hosts: &Hosts, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let place = Place::of_url(url).filter(|place| hosts.cover(REGISTRIES, place));
    let Some(place) = place else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{url:?} is not one of Google's indexes; write https://HOST/PROJECT/REPOSITORY/simple/, \
                 or add its host with --allow-host"
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
