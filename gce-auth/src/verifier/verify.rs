//! Verifies a token: its claims, then its signature.

use std::{fmt, sync::Arc};

use crate::{
    io::{clock::Clock, crypto},
    values::error::Error,
    verifier::{
        claims::{Expected, VerifiedClaims},
        keys::Keys,
        token::{Token, rejected, shown},
    },
    wire::jwks::{Key, Material},
};

/// Verifies OpenID Connect ID tokens from Google: for servers whose requests
/// carry one.
///
/// Accepts a token that is signed with RS256 or ES256 by a key of the issuer and
/// has an expected issuer (`iss`), an expected audience (`aud`), a subject
/// (`sub`), and is within its times (`iat`, `nbf`, `exp`), with a clock skew of
/// 10 s ([`leeway`](crate::IdTokenVerifierBuilder::leeway)). Rejects everything else
/// with [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) and the check that
/// failed.
///
/// Verification proves who called. Check yourself whether that caller may: an
/// audience is no secret, and anyone can have Google make a token for it.
/// Compare [`VerifiedClaims::subject`] or [`VerifiedClaims::email`], or
/// [require](crate::IdTokenVerifierBuilder::email) one.
///
/// # Receivers on Cloud Run
/// Cloud Run with IAM ("Require authentication") verifies the token itself,
/// checks that the caller has `roles/run.invoker`, and replaces the signature
/// by `SIGNATURE_REMOVED_BY_GOOGLE` before the service receives it. Such a
/// service needs no verifier: read the claims, as no other server can have sent
/// the token. A verifier rejects that token, and says so. A caller whose service uses
/// `Authorization` itself sends the token for Cloud Run in
/// `X-Serverless-Authorization` (Google, "Authenticating service-to-service").
///
/// # Keys
/// The first token has the keys fetched. They are kept as long as their server
/// says (`Cache-Control`; 1 h by default), and renewed in the background shortly
/// before that; if the renewal hangs or fails, the old keys are used for 24 h
/// and no caller waits, also after a pause. A token with an unknown key id has
/// them fetched again, at most every 30 s.
///
/// Cheap to clone; clones share the keys. Building one does no I/O.
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
pub struct IdTokenVerifier(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) expected: Expected,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<dyn Clock>,
}

impl IdTokenVerifier {
    /// Verifies `token` and returns its claims.
    ///
    /// # Errors
    /// [`Rejected`](crate::ErrorKind::Rejected) if the token is not to be
    /// trusted. Any other kind means that the keys could not be fetched: answer
    /// with status 503, not 401.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; keys that are being fetched are kept.
    pub async fn verify(&self, token: &str) -> Result<VerifiedClaims, Error> {
        let (token, claims) = self.examine(token)?;
        let keys = self.0.keys.find(&token.key_id).await?;
        check_signature(&token, &keys)?;
        Ok(claims)
    }

    /// [`verify`](Self::verify), waiting on this thread.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn blocking_verify(&self, token: &str) -> Result<VerifiedClaims, Error> {
        let (token, claims) = self.examine(token)?;
        let keys = self.0.keys.blocking_find(&token.key_id)?;
        check_signature(&token, &keys)?;
        Ok(claims)
    }

    /// All checks that need no key. They come first, so that no token for another
    /// audience has keys fetched.
    fn examine<'a>(&self, token: &'a str) -> Result<(Token<'a>, VerifiedClaims), Error> {
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

impl fmt::Debug for IdTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenVerifier")
            .field("audiences", &self.0.expected.audiences)
            .field("issuers", &self.0.expected.issuers)
            .finish_non_exhaustive()
    }
}
