//! What a token must claim, and what one that did claimed.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::{
    tokens::id_token::{ComputeEngineClaims, IdTokenClaims},
    values::error::Error,
    verifier::token::{rejected, shown},
};

/// No ID token of Google's lives longer than an hour; none may live longer
/// than a day.
const LONGEST_LIFE: f64 = 86_400.0;

/// What is expected of a token.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) audiences: Vec<String>,
    pub(super) issuers: Vec<String>,
    pub(super) email: Option<String>,
    /// Whether an email must be claimed to be verified, or only not claimed to
    /// be unverified.
    pub(super) email_vouched: bool,
    pub(super) leeway: Duration,
}

impl Expected {
    /// The claims, if they are as expected at `now`, seconds since the epoch.
    pub(super) fn check(
        &self,
        claims: Map<String, Value>,
        now: Duration,
    ) -> Result<VerifiedClaims, Error> {
        let issuer = text(&claims, "iss")?;
        if !self.issuers.iter().any(|known| known == issuer) {
            return Err(rejected(format!(
                "the token was made by {}, and not by {}",
                shown(issuer),
                listed(&self.issuers)
            )));
        }
        text(&claims, "sub")?;
        let audience = self.audience(&claims)?;
        let times = self.times(&claims, now.as_secs_f64())?;
        self.check_email(&claims)?;
        Ok(VerifiedClaims {
            audience,
            issued_at: times.0,
            expires_at: times.1,
            claims: IdTokenClaims(claims),
        })
    }

    fn audience(&self, claims: &Map<String, Value>) -> Result<String, Error> {
        let named: Option<Vec<&str>> = match claims.get("aud") {
            Some(Value::String(one)) => Some(vec![one]),
            Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let named = named
            .filter(|named| !named.is_empty())
            .ok_or_else(|| rejected("the token names no audience (aud)".to_owned()))?;
        let mine = named
            .iter()
            .find(|name| self.audiences.iter().any(|known| known == *name));
        match mine {
            Some(mine) => Ok((*mine).to_owned()),
            None => Err(rejected(format!(
                "the token is for {}, and not for {}",
                listed(&named),
                listed(&self.audiences)
            ))),
        }
    }

    /// When the token was made and when it expires, if that is before and after
    /// `now`.
    fn times(&self, claims: &Map<String, Value>, now: f64) -> Result<(f64, f64), Error> {
        let leeway = self.leeway.as_secs_f64();
        let (issued, expires) = (time(claims, "iat")?, time(claims, "exp")?);
        let begins = if claims.contains_key("nbf") {
            time(claims, "nbf")?.max(issued)
        } else {
            issued
        };
        if now >= expires + leeway {
            let past = now - expires;
            return Err(
                rejected(format!("the token expired {past:.0} s ago (exp {expires})")).with_hint(
                    "the sender must fetch a new one; is the clock of this machine right?",
                ),
            );
        }
        if now < begins - leeway {
            let ahead = begins - now;
            return Err(rejected(format!(
                "the token is not valid yet (starts in {ahead:.1} s, iat {issued}, nbf {begins})"
            ))
            .with_hint(
                "is the clock of this machine right? leeway allows differences of up to 5 minutes",
            ));
        }
        if expires - issued > LONGEST_LIFE {
            return Err(rejected(format!(
                "the token lives longer than a day (iat {issued}, exp {expires})"
            )));
        }
        Ok((issued, expires))
    }

    fn check_email(&self, claims: &Map<String, Value>) -> Result<(), Error> {
        let Some(expected) = &self.email else {
            return Ok(());
        };
        let email = text(claims, "email")?;
        if email != expected {
            return Err(rejected(format!(
                "the token is of {}, and not of {}",
                shown(email),
                shown(expected)
            )));
        }
        match claims.get("email_verified") {
            Some(Value::Bool(true)) => Ok(()),
            None if !self.email_vouched => Ok(()),
            _ => Err(rejected(format!(
                "the token does not say that {} is verified (email_verified)",
                shown(email)
            ))),
        }
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Error> {
    match claims.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(rejected(format!(
            "the token holds no {name} that is a text"
        ))),
    }
}

/// A NumericDate (RFC 7519, 2) that a [`SystemTime`] can hold.
fn time(claims: &Map<String, Value>, name: &str) -> Result<f64, Error> {
    claims
        .get(name)
        .and_then(Value::as_f64)
        .filter(|seconds| (0.0..=1e11).contains(seconds))
        .ok_or_else(|| rejected(format!("the token holds no {name} that is a time")))
}

fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|it| shown(it.as_ref())).collect();
    shown.join(" or ")
}

/// The claims of a token that was verified: signature, issuer, audience and
/// time are as the [`IdTokenVerifier`](crate::IdTokenVerifier) expects them.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedClaims {
    claims: IdTokenClaims,
    audience: String,
    issued_at: f64,
    expires_at: f64,
}

impl VerifiedClaims {
    /// Returns `iss`: who made the token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.claims.issuer().unwrap_or_default()
    }

    /// Returns `sub`: the unique id of the account, which never changes and is never
    /// given to another one. An email address may be.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.claims.subject().unwrap_or_default()
    }

    /// Returns `aud`: the one of the expected audiences that the token is for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Returns `email`: the address of the account.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.claims.email()
    }

    /// Returns `email_verified`: whether the issuer vouches for the address.
    #[must_use]
    pub fn is_email_verified(&self) -> bool {
        self.claims.0.get("email_verified") == Some(&Value::Bool(true))
    }

    /// Returns `iat`: when the token was made.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(self.issued_at)
    }

    /// Returns `exp`: when it expires.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(self.expires_at)
    }

    /// Returns `google.compute_engine`: the instance, in a full token of one.
    #[must_use]
    pub fn compute_engine(&self) -> Option<ComputeEngineClaims<'_>> {
        self.claims.compute_engine()
    }

    /// Returns any claim: a text without its quotes, anything else as JSON.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.claims.get(name)
    }

    /// Returns all claims, as the JSON object that the token holds.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.claims.to_json()
    }
}
