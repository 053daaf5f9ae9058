//! The key that signs everything the emulator signs: made when it is first needed, one for all emulators of a process.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, DnType, PKCS_RSA_SHA256, SerialNumber};
use serde_json::{Value, json};

/// An RSA key with its public half in every form in which verifiers want it.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    id: String,
    certificate: String,
}

impl SigningKey {
    /// The key of this process. The first call takes as long as it takes to find two primes; `None` if that fails.
    pub(crate) fn shared() -> Option<&'static Self> {
        static KEY: OnceLock<Option<SigningKey>> = OnceLock::new();
        KEY.get_or_init(Self::generate).as_ref()
    }

    fn generate() -> Option<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
        let id: String = digest::digest(&digest::SHA256, pair.public_key().as_ref())
            .as_ref()
            .iter()
            .take(20)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let certificate = certificate(&pair, &id)?;
        Some(Self {
            pair,
            id,
            certificate,
        })
    }

    /// The key's name, 40 hex digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            self.pair.public_key().as_ref(),
        )
        .verify(message, signature)
        .is_ok()
    }

    /// The public key as a JWK set.
    pub(crate) fn jwks(&self) -> Value {
        let key = self.pair.public_key();
        let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "kid": self.id,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "n": number(key.modulus().big_endian_without_leading_zero()),
            "e": number(key.exponent().big_endian_without_leading_zero()),
        }]})
    }

    /// The public key in a certificate, by its id.
    pub(crate) fn certificates(&self) -> Value {
        json!({ self.id.as_str(): self.certificate })
    }
}

/// A certificate that the key issues to itself, in PEM.
fn certificate(pair: &RsaKeyPair, id: &str) -> Option<String> {
    let der = pair.as_der().ok()?;
    let signer =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), &PKCS_RSA_SHA256)
            .ok()?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(
        DnType::CommonName,
        "federated-signon.system.gserviceaccount.com",
    );
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&id.as_bytes()[..16]));
    Some(params.self_signed(&signer).ok()?.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_key_and_it_verifies_what_it_signed() {
        let key = SigningKey::shared().unwrap();
        assert!(std::ptr::eq(key, SigningKey::shared().unwrap()));
        let signature = key.sign(b"message").unwrap();
        assert!(key.verify(b"message", &signature));
        assert!(!key.verify(b"massage", &signature));
        assert_eq!(key.id().len(), 40);
        assert!(
            key.certificates()[key.id()]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
    }
}
