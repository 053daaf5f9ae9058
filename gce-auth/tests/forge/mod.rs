//! Tokens as an issuer makes them, and as nobody should.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

pub(crate) mod table;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gce_auth::time::{Clock, Now};
use serde_json::{Value, json};

/// The moment at which tokens are verified.
pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const AUDIENCE: &str = "https://service.example";
pub(crate) const EMAIL: &str = "caller@project.iam.gserviceaccount.com";

static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Who signs, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Rsa,
    Sha512,
    Pss,
    OtherRsa,
    Ec,
    EcAsn1,
    Nobody,
    Zeros(usize),
}

fn rsa(key: &RsaKeyPair, how: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(how, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

impl By {
    pub(crate) fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa => rsa(&RSA, &RSA_PKCS1_SHA256, message),
            Self::Sha512 => rsa(&RSA, &RSA_PKCS1_SHA512, message),
            Self::Pss => rsa(&RSA, &RSA_PSS_SHA256, message),
            Self::OtherRsa => rsa(&OTHER, &RSA_PKCS1_SHA256, message),
            Self::Ec => EC
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::EcAsn1 => {
                let document = EC.to_pkcs8v1().unwrap();
                let key =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref());
                let signature = key.unwrap().sign(&SystemRandom::new(), message).unwrap();
                signature.as_ref().to_vec()
            }
            Self::Nobody => Vec::new(),
            Self::Zeros(count) => vec![0; count],
        }
    }
}

/// A token: header, claims and who signs it.
#[derive(Clone, Debug)]
pub(crate) struct Forge {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) by: By,
}

impl Forge {
    /// A token that is right in every way, made a minute ago.
    pub(crate) fn rsa() -> Self {
        Self::rsa_at(NOW)
    }

    /// The same at another moment.
    pub(crate) fn rsa_at(now: u64) -> Self {
        Self {
            header: json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"}),
            claims: json!({
                "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1134",
                "azp": "1134", "email": EMAIL, "email_verified": true,
                "iat": now - 60, "exp": now + 3540,
            }),
            by: By::Rsa,
        }
    }

    pub(crate) fn ec() -> Self {
        Self::ec_at(NOW)
    }

    pub(crate) fn ec_at(now: u64) -> Self {
        Self {
            by: By::Ec,
            ..Self::rsa_at(now)
        }
        .header("alg", "ES256")
        .header("kid", "ec")
    }

    pub(crate) fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        for object in [&mut self.header, &mut self.claims] {
            object.as_object_mut().unwrap().remove(name);
        }
        self
    }

    pub(crate) fn token(&self) -> String {
        signed(&self.header.to_string(), &self.claims.to_string(), self.by)
    }
}

/// A token of two texts, whatever they are.
pub(crate) fn signed(header: &str, claims: &str, by: By) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = by.sign(message.as_bytes());
    format!("{message}.{}", base64(signature))
}

/// Modulus of a 2048-bit key with the exponent 65537, out of its DER.
pub(crate) fn modulus() -> Vec<u8> {
    RSA.public_key().as_ref()[9..265].to_vec()
}

pub(crate) fn rsa_der() -> Vec<u8> {
    let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(RSA.public_key());
    der.unwrap().as_ref().to_vec()
}

/// The keys in PKCS #8: RSA and EC.
pub(crate) fn pkcs8() -> [Vec<u8>; 2] {
    let rsa = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&*RSA);
    let ec = EC.to_pkcs8v1();
    [
        rsa.unwrap().as_ref().to_vec(),
        ec.unwrap().as_ref().to_vec(),
    ]
}

pub(crate) fn ec_der() -> Vec<u8> {
    let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(EC.public_key());
    der.unwrap().as_ref().to_vec()
}

pub(crate) fn ec_point() -> Vec<u8> {
    EC.public_key().as_ref().to_vec()
}

/// What the issuer publishes.
pub(crate) fn jwks() -> String {
    let point = ec_point();
    json!({"keys": [
        {"kid": "rsa", "kty": "RSA", "alg": "RS256", "use": "sig",
         "n": base64(modulus()), "e": "AQAB"},
        {"kid": "ec", "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
         "x": base64(&point[1..33]), "y": base64(&point[33..])},
        {"kid": "small", "kty": "RSA", "n": base64(&modulus()[..128]), "e": "AQAB"},
        {"kid": "secret", "kty": "oct", "k": base64("secret")},
    ]})
    .to_string()
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) u64);

impl Stopped {
    pub(crate) fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(seconds))
    }
}

impl Clock for Stopped {
    fn now(&self) -> Now {
        let time = Duration::from_secs(self.0);
        Now::new(time, time)
    }

    fn sleep(&self, _: Duration) {}
}
