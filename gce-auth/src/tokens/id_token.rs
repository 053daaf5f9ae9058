//! An ID token, and what it claims. Nothing here is verified.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use serde_json::{Map, Value};

use crate::values::{
    jwt::UnverifiedClaims,
    token::{Bearer, Now},
};

/// An OpenID Connect ID token for one audience.
///
/// `Debug` shows no part of the token. A sender may look at the claims; a
/// receiver must verify the token first.
#[derive(Clone, PartialEq)]
pub struct IdToken(pub(crate) Bearer);

impl IdToken {
    /// Returns the token itself, as it follows `Bearer ` in an authorization header.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.value().token()
    }

    /// Returns the whole `authorization` header value, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.0.value().header().clone()
    }

    /// Returns when the token expires, as its `exp` claim says.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.validity().ends().map(Now::system_time)
    }

    /// Returns how long the token is valid from `now` on: see
    /// [`AccessToken::valid_for`](crate::AccessToken::valid_for).
    #[must_use]
    pub fn valid_for(&self, now: Now) -> Option<Duration> {
        self.0.validity().left(now)
    }

    /// Returns what the token claims, unverified.
    #[must_use]
    pub fn claims(&self) -> IdTokenClaims {
        // The token was read when it came; what was not a token is not here.
        IdTokenClaims(
            UnverifiedClaims::read(self.secret())
                .map(UnverifiedClaims::into_map)
                .unwrap_or_default(),
        )
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("secret", &"[redacted]")
            .field("expires_at", &self.expires_at())
            .finish()
    }
}

/// The unverified claims of an ID token
/// (OpenID Connect Core 1.0, section 2; Google, "Verify VM identity").
#[derive(Clone, Debug, PartialEq)]
pub struct IdTokenClaims(pub(crate) Map<String, Value>);

impl IdTokenClaims {
    /// Returns `iss`: who made the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Returns `sub`: the unique id of the service account.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Returns `aud`: the service that the token is for; the first where there are several.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        match self.0.get("aud")? {
            Value::Array(list) => list.first()?.as_str(),
            one => one.as_str(),
        }
    }

    /// Returns `email`: the address of the service account.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.text("email")
    }

    /// Returns `google.compute_engine`: the instance, in a full token of one.
    #[must_use]
    pub fn compute_engine(&self) -> Option<ComputeEngineClaims<'_>> {
        let block = self.0.get("google")?.get("compute_engine")?;
        block.as_object().map(ComputeEngineClaims)
    }

    /// Returns any claim: a text without its quotes, anything else as JSON.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Returns all claims, as the JSON object that the token holds.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

/// What a full ID token says about the Compute Engine instance.
#[derive(Clone, Copy, Debug)]
pub struct ComputeEngineClaims<'a>(&'a Map<String, Value>);

impl<'a> ComputeEngineClaims<'a> {
    /// Returns the id of the instance.
    #[must_use]
    pub fn instance_id(&self) -> Option<&'a str> {
        self.text("instance_id")
    }

    /// Returns the name of the instance.
    #[must_use]
    pub fn instance_name(&self) -> Option<&'a str> {
        self.text("instance_name")
    }

    /// Returns the id of the project.
    #[must_use]
    pub fn project_id(&self) -> Option<&'a str> {
        self.text("project_id")
    }

    /// Returns the number of the project.
    #[must_use]
    pub fn project_number(&self) -> Option<u64> {
        self.0.get("project_number")?.as_u64()
    }

    /// Returns the zone of the instance, like `us-central1-a`.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        self.text("zone")
    }

    /// Returns when the instance was created, in seconds since the Unix epoch.
    #[must_use]
    pub fn instance_creation_timestamp(&self) -> Option<u64> {
        self.0.get("instance_creation_timestamp")?.as_u64()
    }

    /// Returns the licences of the instance's images, where they were asked for.
    #[must_use]
    pub fn license_ids(&self) -> Vec<&'a str> {
        let list = self.0.get("license_id").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn claims_are_typed_and_raw() {
        let Value::Object(map) = serde_json::json!({
            "iss": "https://accounts.google.com", "sub": "123", "aud": ["a", "b"],
            "email": "e@x", "exp": 7,
            "google": {"compute_engine": {
                "instance_id": "45", "instance_name": "vm", "project_id": "p",
                "project_number": 9, "zone": "z", "instance_creation_timestamp": 8,
                "license_id": ["1000204"]
            }}
        }) else {
            unreachable!()
        };
        let claims = IdTokenClaims(map);
        assert_eq!(claims.issuer(), Some("https://accounts.google.com"));
        assert_eq!(claims.subject(), Some("123"));
        assert_eq!(claims.audience(), Some("a"));
        assert_eq!(claims.email(), Some("e@x"));
        assert_eq!(claims.get("exp").as_deref(), Some("7"));
        assert_eq!(claims.get("nothing"), None);
        assert!(claims.to_json().contains("\"exp\":7"));
        let instance = claims.compute_engine().unwrap();
        assert_eq!(instance.instance_id(), Some("45"));
        assert_eq!(instance.instance_name(), Some("vm"));
        assert_eq!(instance.project_id(), Some("p"));
        assert_eq!(instance.project_number(), Some(9));
        assert_eq!(instance.zone(), Some("z"));
        assert_eq!(instance.instance_creation_timestamp(), Some(8));
        assert_eq!(instance.license_ids(), ["1000204"]);
    }
}
