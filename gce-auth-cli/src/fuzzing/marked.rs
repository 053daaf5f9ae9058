//! Tokens that are found again in an answer, and a second reader of hosts.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use http::uri::Authority;
use zeroize::Zeroizing;

use crate::{
    exit::{Exit, Failure},
    helper::token::{Token, Tokens},
};

/// What both tokens of [`Marked`] have in them.
pub(super) const MARK: &str = "MARKED";
/// The access token of [`Marked`].
pub(super) const ACCESS: &str = "ya29.MARKED-ACCESS";
/// The ID token of [`Marked`].
pub(super) const IDENTITY: &str = "eyJ.MARKED-IDENTITY";

/// A source of tokens that remembers the audiences that it was asked for, or that always fails.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) fails: bool,
    pub(super) audiences: RefCell<Vec<String>>,
}

impl Marked {
    /// Returns a source that has tokens, and one that has none.
    pub(super) fn both() -> [Self; 2] {
        [false, true].map(|fails| Self {
            fails,
            ..Self::default()
        })
    }

    fn token(&self, secret: &str) -> Result<Token, Failure> {
        if self.fails {
            return Err(Failure::new(Exit::NoServer, "no metadata server"));
        }
        let left = Duration::from_secs(3600);
        Ok(Token {
            secret: Zeroizing::new(secret.to_owned()),
            expires_at: Some(SystemTime::UNIX_EPOCH + left),
            left: Some(left),
        })
    }
}

impl Tokens for Marked {
    fn access(&self) -> Result<Token, Failure> {
        self.token(ACCESS)
    }

    fn identity(&self, audience: &str) -> Result<Token, Failure> {
        self.audiences.borrow_mut().push(audience.to_owned());
        self.token(IDENTITY)
    }

    fn account(&self) -> Option<String> {
        (!self.fails).then(|| "robot@p.iam.gserviceaccount.com".to_owned())
    }
}

/// Returns whether an input has what tokens are found by: refusals may quote the input.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    bytes
        .windows(MARK.len())
        .any(|part| part == MARK.as_bytes())
}

/// Fails if the text has a token in it.
pub(super) fn assert_no_token(text: &str) {
    assert!(!text.contains(MARK), "{text}");
}

/// Fails if this is not how a refusal is written: in one line, without a token.
pub(super) fn assert_refusal(failure: &Failure) {
    let line = failure.to_string();
    assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
    assert_no_token(&line);
}

/// Returns whether a client that follows this URL, with https where it has no scheme, ends at one
/// of these hosts, at the port of https, and shows no user.
pub(super) fn leads_to(google: &[&str], url: &str) -> bool {
    let (scheme, rest) = match url.split_once("://") {
        // Behind a slash it is of the path.
        Some((scheme, rest)) if !scheme.contains('/') => (scheme, rest),
        _ => ("https", url),
    };
    let odd = |character: char| character.is_whitespace() || character.is_control();
    if !scheme.eq_ignore_ascii_case("https") || url.contains(odd) || url.contains('\\') {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Ok(read) = authority.parse::<Authority>() else {
        return false;
    };
    let host = read.host().to_ascii_lowercase();
    let is_named = |name: &&str| match name.strip_prefix('*') {
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => host == **name,
    };
    let at_https = match authority.contains(':') {
        true => read.port_u16() == Some(443),
        false => true,
    };
    at_https && !authority.contains('@') && google.iter().any(is_named)
}
