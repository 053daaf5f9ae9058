//! JSON Web Tokens that were seen (RFC 7519): what they say, without what proves it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::clock::Instant;

/// At most so many are kept of one text.
const KEPT: usize = 8;

/// The tokens that were taken out of the texts of one request.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    values: Vec<Value>,
    /// How often a token was taken out.
    times: usize,
}

impl Seen {
    pub(crate) fn new(known: Vec<Value>) -> Self {
        Self {
            values: known,
            times: 0,
        }
    }

    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// Returns how often a token was taken out: a text without one reads the same in each request.
    pub(crate) fn times(&self) -> usize {
        self.times
    }

    /// What stands in a token's place: `[JWT 1]` for the first that could be read.
    pub(super) fn note(&mut self, token: &str) -> String {
        self.times += 1;
        let Some(read) = read(token) else {
            return "[JWT]".into();
        };
        let known = self.values.iter().position(|known| *known == read);
        let index = match known {
            Some(index) => index,
            None if self.values.len() >= KEPT => return "[JWT]".into(),
            None => {
                self.values.push(read);
                self.values.len() - 1
            }
        };
        format!("[JWT {}]", index + 1)
    }
}

/// Returns whether this looks like a token: parts with dots between, the first of them a header.
pub(super) fn is_token(text: &str) -> bool {
    let Some((header, rest)) = text.split_once('.') else {
        return false;
    };
    // The Base64 of a brace or of white space.
    header.starts_with(['e', 'C', 'D', 'I'])
        && !rest.is_empty()
        && part(header).is_some_and(|header| header.is_object())
}

/// Header, claims and lifetime.
fn read(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (header, claims) = (part(parts.next()?)?, part(parts.next()?)?);
    let seconds = |name: &str| claims[name].as_f64().map(|seconds| seconds.floor() as i64);
    let time = |name: &str| seconds(name).map(|seconds| Instant::from_seconds(seconds).rfc3339());
    let lifetime = seconds("exp").zip(seconds("iat"));
    Some(json!({
        "issuedAt": time("iat"),
        "expiresAt": time("exp"),
        "lifetimeSeconds": lifetime.map(|(exp, iat)| exp.saturating_sub(iat)),
        "header": header,
        "claims": claims,
    }))
}

fn part(text: &str) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}
