//! Subject tokens: credentials of another issuer, verified as Google's Security Token Service does.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth_server::protocol::Reply;
use serde_json::Value;

use crate::{
    clock::Instant,
    cloud::{aws, errors},
    identity::jwt::Unverified,
    policy::{
        principal::Federated,
        providers::{Compiled, MappingError},
    },
};

/// By how much the clocks of issuers may be off, in seconds.
const SKEW: i64 = 60;

/// A verified credential.
pub(crate) struct Subject {
    pub(crate) identity: Federated,
    /// Seconds since 1970.
    pub(crate) expires: i64,
}

/// Verifies an ID token for a provider: issuer, audience, times, signature, condition, in this
/// order.
pub(crate) fn verify(
    provider: &Compiled,
    own: impl Fn(&[u8], &[u8]) -> bool,
    token: &str,
    now: Instant,
) -> Result<Subject, Reply> {
    let refused = |why: &str| Err(errors::invalid_grant(why));
    let Some(token) = Unverified::parse(token) else {
        return refused("Unable to parse the ID Token.");
    };
    let claims = &token.claims;
    let issuer = claims["iss"].as_str().unwrap_or("null");
    if issuer != provider.issuer() {
        return refused(&format!(
            "The issuer in ID Token {issuer} does not match the expected one in config: {}.",
            provider.issuer()
        ));
    }
    let audiences: Vec<&str> = match &claims["aud"] {
        Value::String(audience) => vec![audience],
        Value::Array(audiences) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences
        .iter()
        .any(|audience| provider.is_audience(audience))
    {
        return refused(&format!(
            "The audience in ID Token [{}] does not match the expected audience.",
            audiences.join(", ")
        ));
    }
    let (issued, expires) = (seconds(&claims["iat"]), seconds(&claims["exp"]));
    let now = now.seconds();
    let current = issued.is_some_and(|issued| issued <= now.saturating_add(SKEW))
        && expires.is_some_and(|expires| expires.saturating_add(SKEW) > now);
    let Some(expires) = expires.filter(|_| current) else {
        return refused(&format!(
            "ID Token issued at {} is stale to sign-in.",
            claims["iat"]
        ));
    };
    match provider.keys() {
        None if token.header["alg"] == "RS256" && own(token.message, &token.signature) => {}
        None => return refused("Unable to verify the ID Token signature."),
        Some(keys) => check_signature(keys, &token)?,
    }
    Ok(Subject {
        identity: identity(provider, claims)?,
        expires,
    })
}

/// Verifies a signed request to AWS for a provider. It is good for as long as a token may be.
pub(crate) fn of_aws(provider: &Compiled, token: &str, now: Instant) -> Result<Subject, Reply> {
    let Some(account) = provider.aws() else {
        return Err(errors::internal());
    };
    let caller = aws::verify(provider.name(), account, token, now)?;
    Ok(Subject {
        identity: identity(provider, &caller)?,
        expires: i64::MAX,
    })
}

/// The identity that a verified credential is mapped to.
fn identity(provider: &Compiled, assertion: &Value) -> Result<Federated, Reply> {
    provider.identity(assertion).map_err(|error| match error {
        MappingError::Condition => errors::oauth(
            400,
            "unauthorized_client",
            "The given credential is rejected by the attribute condition.",
        ),
        MappingError::Unmapped(attribute) => errors::invalid_request(&format!(
            "The attribute mapping gives no value for {attribute}."
        )),
        MappingError::SubjectTooLong => errors::invalid_request(
            "The size of mapped attribute google.subject exceeds the 127 bytes limit. Either \
             modify your attribute mapping or the \
             incoming assertion to produce a mapped attribute that is less than 127 bytes.",
        ),
    })
}

/// Whether one of the keys, that of the token's `kid` if both have one, made the signature.
fn check_signature(keys: &Value, token: &Unverified<'_>) -> Result<(), Reply> {
    let wanted = token.header["kid"].as_str();
    let algorithm = token.header["alg"].as_str().unwrap_or_default();
    let mut known = false;
    for key in keys["keys"].as_array().into_iter().flatten() {
        let kind = match algorithm {
            "RS256" => "RSA",
            "ES256" => "EC",
            _ => break,
        };
        let other =
            wanted.is_some_and(|wanted| key["kid"].as_str().is_some_and(|kid| kid != wanted));
        if key["kty"] != kind || other {
            continue;
        }
        known = true;
        if verifies(key, kind, token) {
            return Ok(());
        }
    }
    Err(errors::invalid_grant(if known {
        "Unable to verify the ID Token signature."
    } else {
        "Error connecting to the given credential's issuer."
    }))
}

fn verifies(key: &Value, kind: &str, token: &Unverified<'_>) -> bool {
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
    let verified = match kind {
        "RSA" => number("n").zip(number("e")).map(|(n, e)| {
            RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                token.message,
                &token.signature,
            )
        }),
        _ => number("x").zip(number("y")).map(|(x, y)| {
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(token.message, &token.signature)
        }),
    };
    matches!(verified, Some(Ok(())))
}

/// A time of a token. Python's `time.time()` makes fractions.
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|seconds| seconds.abs() < 1e12)
            .and_then(|seconds| format!("{seconds:.0}").parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{identity::keys::SigningKey, policy::providers::Provider};

    #[test]
    fn a_signature_counts_for_the_algorithm_that_the_token_names() {
        const NAME: &str = "locations/global/workforcePools/p/providers/q";
        let provider = Provider::oidc(NAME, "i").compile().unwrap();
        let key = SigningKey::shared().unwrap();
        let claims = json!({
            "iss": "i",
            "aud": format!("//iam.googleapis.com/{NAME}"),
            "sub": "x",
            "iat": 0,
            "exp": 100,
        });
        let is_verified = |algorithm: Value, now: i64| {
            let parts = [json!({ "alg": algorithm }), claims.clone()]
                .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
            let message = parts.join(".");
            let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap());
            let token = format!("{message}.{signature}");
            let own = |message: &[u8], signature: &[u8]| key.verify(message, signature);
            verify(&provider, own, &token, Instant::from_seconds(now)).is_ok()
        };
        // Clocks may be a minute apart.
        for (now, good) in [
            (50, true),
            (-60, true),
            (-61, false),
            (159, true),
            (160, false),
        ] {
            assert_eq!(is_verified(json!("RS256"), now), good, "at {now}");
        }
        for other in [json!("none"), json!("HS256"), json!("ES256"), Value::Null] {
            assert!(!is_verified(other.clone(), 50), "{other}");
        }
    }

    #[test]
    fn a_time_is_a_number_of_seconds_with_or_without_a_fraction() {
        for (value, seconds) in [
            (json!(1_700_000_000), Some(1_700_000_000)),
            (json!(1_700_000_000.4), Some(1_700_000_000)),
            (json!(-1.0), Some(-1)),
            (json!(999_999_999_999.0), Some(999_999_999_999)),
            (json!(1e12), None),
            (json!(-1e12), None),
            (json!(1e300), None),
            (json!("1700000000"), None),
            (Value::Null, None),
        ] {
            assert_eq!(super::seconds(&value), seconds, "{value}");
        }
    }
}
