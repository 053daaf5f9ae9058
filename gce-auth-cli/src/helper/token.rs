//! What a helper asks for, and what it prints.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// The user name of access tokens, as Google's registries take them.
pub(crate) const USER: &str = "oauth2accesstoken";

/// Where a helper gets its tokens from.
pub(crate) trait Tokens {
    /// Returns an access token.
    fn access(&self) -> Result<Token, Failure>;

    /// Returns an ID token for this audience.
    fn identity(&self, audience: &str) -> Result<Token, Failure>;

    /// Returns the email address of the account, if it is known.
    fn account(&self) -> Option<String>;
}

/// A token, and when it expires.
pub(crate) struct Token {
    pub(crate) secret: Zeroizing<String>,
    pub(crate) expires_at: Option<SystemTime>,
    /// The time until then.
    pub(crate) left: Option<Duration>,
}

impl Token {
    /// Returns the expiry in seconds since 1970.
    pub(crate) fn expires_unix(&self) -> Option<u64> {
        let since = self.expires_at?.duration_since(SystemTime::UNIX_EPOCH);
        since.ok().map(|since| since.as_secs())
    }
}

impl Token {
    /// Returns the token for a shell or a file that has its own meaning of quotes and signs.
    pub(crate) fn plain(&self) -> Result<&str, Failure> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte);
        if self.secret.bytes().all(is_plain) {
            return Ok(&self.secret);
        }
        let why = "the token has characters that a shell or a settings file would change";
        Err(Failure::new(Exit::Failed, why))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Token");
        shown.field("expires_at", &self.expires_at);
        shown.finish_non_exhaustive()
    }
}

/// What a helper prints on standard output, and its exit code.
pub(crate) struct Reply {
    pub(crate) text: Zeroizing<String>,
    pub(crate) code: u8,
}

impl Reply {
    /// Prints these pieces.
    pub(crate) fn text(pieces: &[&str]) -> Self {
        Self {
            text: join(pieces),
            code: 0,
        }
    }

    /// Prints nothing.
    pub(crate) fn nothing() -> Self {
        Self::text(&[])
    }

    /// Ends with this exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Reply");
        shown.field("length", &self.text.len());
        shown.field("code", &self.code).finish()
    }
}

/// Joins pieces in one buffer that does not grow, so that no copy of a secret stays behind.
pub(crate) fn join(pieces: &[&str]) -> Zeroizing<String> {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for piece in pieces {
        text.push_str(piece);
    }
    text
}

/// Tokens for tests of the protocols, and a count of how often one was given out.
#[cfg(test)]
pub(crate) mod fake {
    use std::cell::Cell;

    use super::*;

    /// When the tokens of [`Fake`] expire: 2026-01-31T23:59:59Z.
    pub(crate) const EXPIRY: u64 = 1_769_903_999;

    #[derive(Debug, Default)]
    pub(crate) struct Fake {
        pub(crate) fails: bool,
        pub(crate) given: Cell<usize>,
        /// The access token, instead of `ya29.access`.
        pub(crate) secret: Option<&'static str>,
        /// The account, instead of a robot's.
        pub(crate) account: Option<&'static str>,
    }

    impl Fake {
        pub(crate) fn failing() -> Self {
            Self {
                fails: true,
                ..Self::default()
            }
        }

        fn token(&self, secret: String) -> Result<Token, Failure> {
            if self.fails {
                return Err(Failure::new(Exit::NoServer, "no metadata server"));
            }
            self.given.set(self.given.get() + 1);
            Ok(Token {
                secret: Zeroizing::new(secret),
                expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRY)),
                left: Some(Duration::from_secs(3600)),
            })
        }
    }

    impl Tokens for Fake {
        fn access(&self) -> Result<Token, Failure> {
            self.token(self.secret.unwrap_or("ya29.access").to_owned())
        }

        fn identity(&self, audience: &str) -> Result<Token, Failure> {
            self.token(format!("id-for:{audience}"))
        }

        fn account(&self) -> Option<String> {
            let account = self.account.unwrap_or("robot@p.iam.gserviceaccount.com");
            Some(account.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_secret() {
        let token = Token {
            secret: Zeroizing::new("ya29.secret".to_owned()),
            expires_at: None,
            left: None,
        };
        let reply = Reply::text(&["a ", &token.secret]);
        assert_eq!(*reply.text, "a ya29.secret");
        assert!(!format!("{token:?} {reply:?}").contains("ya29"));
    }

    #[test]
    fn a_shell_reads_a_plain_token_as_it_is() {
        let plain = |secret: &str| {
            let token = Token {
                secret: Zeroizing::new(secret.to_owned()),
                expires_at: None,
                left: None,
            };
            token.plain().is_ok()
        };
        assert!(plain("ya29.a-b_c~d+e/f=="));
        for secret in [
            "$(x)", "a b", "a'b", "a\"b", "a;b", "a&b", "a<b", "a\\b", "`x`",
        ] {
            assert!(!plain(secret), "{secret}");
        }
    }
}
