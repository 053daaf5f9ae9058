//! Floor 5: verification of ID tokens that others send. Needs no metadata
//! server.

mod builder;
mod claims;
mod keys;
mod token;

use std::{fmt, sync::Arc};

pub use crate::verifier::{builder::IdTokenVerifierBuilder, claims::Claims};
use crate::{
    io::{clock::Clock, crypto},
    values::error::Error,
    verifier::{
        claims::Expected,
        keys::Keys,
        token::{Token, rejected},
    },
    wire::jwks::{Key, Material},
};

/// Verifies OpenID Connect ID tokens of Google's: what a server does with the
/// token that a request carries.
///
/// A token is accepted if it is signed with RS256 or ES256 by a key of the
/// issuer, and names an expected issuer, an expected audience, a subject, and
/// times between which it is now. Everything else is refused, with
/// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) and which check failed.
/// What may come of a claim is the program's to say: an audience is no secret,
/// and anybody can have Google make a token for it, so look at
/// [`Claims::subject`] or [`Claims::email`], or [expect](IdTokenVerifierBuilder::email)
/// one.
///
/// Keys are fetched when the first token comes, kept as long as their server
/// says (an hour where it says nothing), and renewed in the background shortly
/// before; where that fails, the old ones are used for a day. A token with an
/// unknown key id has them fetched again, at most every 30 s. With fresh keys in
/// hand nothing waits, nor with old ones while their server is down; whoever
/// comes first after a pause so long that they are old waits for new ones.
///
/// Cheap to clone; clones share the keys. Making one does no I/O.
///
/// # Examples
/// ```no_run
/// # async fn call(authorization: &str) -> Result<(), gce_auth::Error> {
/// use gce_auth::IdTokenVerifier;
///
/// let verifier = IdTokenVerifier::builder()
///     .audience("https://service.example")
///     .build()?;
/// if let Some(token) = authorization.strip_prefix("Bearer ") {
///     let claims = verifier.verify(token).await?;
///     println!("called by {:?}", claims.email());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct IdTokenVerifier(Arc<Inner>);

struct Inner {
    expected: Expected,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
}

impl IdTokenVerifier {
    /// A verifier to be configured; it needs an audience.
    pub fn builder() -> IdTokenVerifierBuilder {
        IdTokenVerifierBuilder::default()
    }

    /// The claims of `token`, if it is to be trusted.
    ///
    /// # Errors
    /// [`Rejected`](crate::ErrorKind::Rejected) where the token is not to be
    /// trusted; any other kind says that the keys could not be fetched, which
    /// is no fault of the token's.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing from anybody; keys that are being
    /// fetched are kept.
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        let (token, claims) = self.examine(token)?;
        let keys = self.0.keys.find(&token.key_id).await?;
        check_signature(&token, &keys)?;
        Ok(claims)
    }

    /// [`verify`](Self::verify), waiting on this thread.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn blocking_verify(&self, token: &str) -> Result<Claims, Error> {
        let (token, claims) = self.examine(token)?;
        let keys = self.0.keys.blocking_find(&token.key_id)?;
        check_signature(&token, &keys)?;
        Ok(claims)
    }

    /// All checks that need no key. They come first, so that no token for
    /// somebody else has keys fetched.
    fn examine<'a>(&self, token: &'a str) -> Result<(Token<'a>, Claims), Error> {
        let mut token = Token::read(token)?;
        let claims = std::mem::take(&mut token.claims);
        // A token may have been made a moment ago, on this very machine.
        let now = self.0.clock.exact().wall;
        let claims = self.0.expected.check(claims, now)?;
        Ok((token, claims))
    }
}

/// Whether one of `keys`, which all have the token's key id, signed it.
fn check_signature(token: &Token<'_>, keys: &[Key]) -> Result<(), Error> {
    let mut fitting = keys
        .iter()
        .filter(|key| key.algorithm() == Some(token.algorithm))
        .peekable();
    if fitting.peek().is_none() {
        return Err(match keys.first() {
            Some(Key {
                id,
                material: Material::Unusable(why),
            }) => rejected(format!("key {} cannot be used: {why}", shown(id))),
            _ => rejected(format!(
                "the token says {}, and its key is for another algorithm",
                token.algorithm.name()
            )),
        });
    }
    if fitting.any(|key| crypto::verifies(&key.material, token.message, &token.signature)) {
        Ok(())
    } else {
        Err(rejected("the signature of the token is wrong".to_owned()))
    }
}

/// What somebody else wrote, for an error: quoted, escaped and shortened.
fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut chars = text.chars();
    let begin: String = chars.by_ref().take(LONGEST).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{begin:?}{more}")
}

impl fmt::Debug for IdTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenVerifier")
            .field("audiences", &self.0.expected.audiences)
            .field("issuers", &self.0.expected.issuers)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
