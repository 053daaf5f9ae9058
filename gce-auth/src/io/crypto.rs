//! Hashes, and signatures that are verified or made here. The only file that
//! names aws-lc-rs.

#[cfg(feature = "verify")]
use crate::wire::jwks::Material;

/// The SHA-256 of `bytes`.
#[cfg(feature = "iam")]
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// Whether `signature` is one over `message` by this key: RSASSA-PKCS1-v1_5
/// with SHA-256, or ECDSA on P-256 with SHA-256 in fixed form
/// (RFC 7518, 3.3 and 3.4).
#[cfg(feature = "verify")]
pub(crate) fn verifies(key: &Material, message: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    };
    match key {
        Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok(),
        Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(message, signature)
            .is_ok(),
        Material::Unusable(_) => false,
    }
}

/// HMAC with SHA-256 of `message` (RFC 2104).
#[cfg(feature = "adc")]
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let tag = sign(&Key::new(HMAC_SHA256, key), message);
    zeroize::Zeroizing::new(tag.as_ref().to_vec())
}

/// A private RSA key, wiped by aws-lc when it is dropped.
#[cfg(feature = "adc")]
pub(crate) struct RsaKey(aws_lc_rs::signature::RsaKeyPair);

#[cfg(feature = "adc")]
impl RsaKey {
    /// Reads a key in DER; the error says what is wrong with it.
    pub(crate) fn read(block: &crate::wire::private_key::Block) -> Result<Self, &'static str> {
        use crate::wire::private_key::Form;
        use aws_lc_rs::signature::RsaKeyPair;
        let read = match block.form {
            Form::Pkcs8 => RsaKeyPair::from_pkcs8(&block.der),
            Form::Pkcs1 => RsaKeyPair::from_der(&block.der),
        };
        read.map(Self)
            .map_err(|_| "is not an RSA key of 2048 to 8192 bits")
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 7518, 3.3).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, &'static str> {
        use aws_lc_rs::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| "the private key cannot sign")?;
        Ok(signature)
    }
}

#[cfg(feature = "adc")]
impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey")
    }
}

#[cfg(all(test, feature = "adc"))]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::wire::private_key;

    const PKCS8: &str = include_str!("../../tests/data/service_account.key");
    const PKCS1: &str = include_str!("../../tests/data/service_account_pkcs1.key");

    #[test]
    fn both_forms_of_a_key_sign_alike() {
        let key = |pem| RsaKey::read(&private_key::read(pem).unwrap()).unwrap();
        let (one, other) = (key(PKCS8), key(PKCS1));
        let signature = one.sign(b"message").unwrap();
        assert_eq!(signature, other.sign(b"message").unwrap());
        let public = aws_lc_rs::signature::KeyPair::public_key(&one.0);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"massage", &signature).is_err());
        assert_eq!(format!("{one:?}"), "RsaKey");
    }

    #[test]
    fn other_keys_are_refused() {
        let agent = include_str!("../../tests/data/agent.key");
        let block = private_key::read(agent).unwrap();
        assert!(RsaKey::read(&block).is_err(), "an elliptic key");
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
