//! Public keys to verify with, and how long they may be kept.

pub(crate) mod der;
mod x509;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, Response, StatusCode, Uri, header};
use serde_json::{Map, Value};

use crate::{
    values::{
        endpoint::without_user,
        error::{Error, ErrorKind},
    },
    wire::{api::Refusal, response::unusable},
};

/// RSA keys below this are too weak; aws-lc and ring refuse them as well.
const SMALLEST_RSA: usize = 2048;
/// RSA keys above this make verification a way to burn processors.
const LARGEST_RSA: usize = 8192;
/// Google publishes two to four keys; this many is more than any issuer needs.
const MOST_KEYS: usize = 100;

/// The algorithms of ID tokens that are accepted (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// What a key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    /// Modulus and public exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point on the curve P-256: 4, x, y.
    P256(Vec<u8>),
    /// A key that must not be used, and why.
    Unusable(&'static str),
}

/// A public key and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) material: Material,
}

impl Key {
    /// What the key verifies; `None` for one that must not be used.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match self.material {
            Material::Rsa { .. } => Some(Algorithm::Rs256),
            Material::P256(_) => Some(Algorithm::Es256),
            Material::Unusable(_) => None,
        }
    }
}

/// The form that keys are published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JWK set (RFC 7517, 5).
    Jwks,
    /// A JSON object of X.509 certificates in PEM, by key id.
    Certificates,
}

/// The keys of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Key>);

impl KeySet {
    pub(crate) fn read(form: Form, bytes: &[u8]) -> Result<Self, Error> {
        let Ok(Value::Object(document)) = serde_json::from_slice(bytes) else {
            return Err(unusable("the keys are not a JSON object"));
        };
        let keys: Vec<Key> = match form {
            Form::Jwks => {
                let Some(Value::Array(list)) = document.get("keys") else {
                    return Err(unusable("the JWK set holds no list of keys"));
                };
                let objects = list.iter().filter_map(Value::as_object);
                objects.filter_map(of_jwk).take(MOST_KEYS).collect()
            }
            Form::Certificates => document
                .iter()
                .filter_map(|(id, pem)| of_certificate(id, pem.as_str()?))
                .take(MOST_KEYS)
                .collect(),
        };
        if keys.iter().all(|key| key.algorithm().is_none()) {
            return Err(match keys.first().map(|key| &key.material) {
                Some(Material::Unusable(why)) => unusable(format!("no key can be used: {why}")),
                _ => unusable("there is no key for RS256 or ES256 that has an id"),
            });
        }
        Ok(Self(keys))
    }

    /// The keys with this id; more than one where an issuer is careless.
    pub(crate) fn named<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| key.id == id)
    }
}

/// A key of a JWK set; `None` for one that is for something else.
fn of_jwk(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let id = text("kid").filter(|id| !id.is_empty())?.to_owned();
    if jwk.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array()?;
        if !operations.iter().any(|name| name == "verify") {
            return None;
        }
    }
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let (material, algorithm) = match text("kty")? {
        "RSA" => (rsa(&number("n")?, &number("e")?), Algorithm::Rs256),
        "EC" if text("crv") == Some("P-256") => {
            (p256(&number("x")?, &number("y")?), Algorithm::Es256)
        }
        _ => return None,
    };
    // A key for another algorithm (PS256, RSA-OAEP) is for nothing here.
    if jwk.contains_key("alg") && text("alg") != Some(algorithm.name()) {
        return None;
    }
    Some(Key { id, material })
}

fn of_certificate(id: &str, pem: &str) -> Option<Key> {
    if id.is_empty() {
        return None;
    }
    let material = match x509::public_key(pem) {
        Some(x509::PublicKey::Rsa { n, e }) => rsa(&n, &e),
        Some(x509::PublicKey::P256(point)) => p256(point.get(1..33)?, point.get(33..)?),
        Some(x509::PublicKey::Other) => return None,
        None => Material::Unusable("its certificate cannot be read"),
    };
    Some(Key {
        id: id.to_owned(),
        material,
    })
}

fn rsa(n: &[u8], e: &[u8]) -> Material {
    let (n, e) = (without_zeros(n), without_zeros(e));
    let bits = n.first().map_or(0, |first| {
        n.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
    });
    if bits < SMALLEST_RSA {
        return Material::Unusable("its RSA key has less than 2048 bits");
    }
    if bits > LARGEST_RSA {
        return Material::Unusable("its RSA key has more than 8192 bits");
    }
    // RFC 8017, 3.1: odd and at least 3; larger than 32 bits, it is only slow.
    let odd = e.last().is_some_and(|last| last % 2 == 1);
    if !odd || e.len() > 4 || e == [1] {
        return Material::Unusable("its RSA exponent makes no sense");
    }
    Material::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn p256(x: &[u8], y: &[u8]) -> Material {
    // RFC 7518, 6.2.1.2: each coordinate has its full length.
    if x.len() != 32 || y.len() != 32 {
        return Material::Unusable("its point is not one of P-256");
    }
    Material::P256([&[4], x, y].concat())
}

/// `GET` of published keys.
pub(crate) fn request(uri: &Uri) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = uri.clone();
    request
}

/// The URL that keys are published at.
pub(crate) fn url(text: &str) -> Result<Uri, Error> {
    let refuse = || {
        let text = without_user(text);
        Error::new(
            ErrorKind::Config,
            format!("{text:?} is not a URL that keys can be fetched from"),
        )
        .with_hint("write https://host/path, or http://host:port/path for an emulator")
    };
    let uri: Uri = text.trim().parse().map_err(|_| refuse())?;
    let known = matches!(uri.scheme_str(), Some("https" | "http"));
    let named = uri.host().is_some_and(|host| !host.is_empty());
    if known && named && !uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        Ok(uri)
    } else {
        Err(refuse())
    }
}

/// The keys of an answer, and how long they are fresh, if it says so.
pub(crate) fn keys(
    form: Form,
    response: &Response<Vec<u8>>,
) -> Result<(KeySet, Option<Duration>), Refusal> {
    let status = response.status();
    if status != StatusCode::OK {
        let (kind, what) = match status {
            StatusCode::TOO_MANY_REQUESTS => (
                ErrorKind::RateLimited,
                "the server of keys asks to slow down",
            ),
            StatusCode::NOT_IMPLEMENTED => (ErrorKind::InvalidResponse, "there are no keys"),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                (ErrorKind::Unavailable, "the server of keys failed")
            }
            _ => (ErrorKind::InvalidResponse, "there are no keys"),
        };
        return Err(Refusal::of(response, Error::new(kind, what)));
    }
    let keys = KeySet::read(form, response.body())?;
    Ok((keys, lifetime(response)))
}

/// `max-age` of `Cache-Control`, less the `Age` (RFC 9111, 4.2); zero where
/// the answer must not be kept.
fn lifetime<B>(response: &Response<B>) -> Option<Duration> {
    let values = response.headers().get_all(header::CACHE_CONTROL);
    let directives = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let mut max_age = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            max_age = value.trim_matches('"').parse::<u32>().ok().or(max_age);
        }
    }
    let age = response
        .headers()
        .get(header::AGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse::<u32>().ok())
        .unwrap_or(0);
    max_age.map(|seconds| Duration::from_secs(seconds.saturating_sub(age).into()))
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
