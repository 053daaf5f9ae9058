//! Cryptography: that of the provider of rustls which a feature of this crate
//! names. With `tls.rs` the only file that names rustls.

use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as chosen;
#[cfg(feature = "iam")]
use rustls::{SupportedCipherSuite, crypto::hash::Hash};

#[cfg(feature = "verify")]
use crate::wire::jwks::{Material, der};

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!(
    "`tls`, `iam`, `adc` and `verify` need cryptography: enable the feature `ring`, which is on by \
     default, or `aws-lc-rs`"
);

/// Returns the provider, to be handed over explicitly: the default of the
/// process is the program's to set, and what other crates enable in rustls is
/// theirs.
pub(super) fn provider() -> CryptoProvider {
    chosen::default_provider()
}

/// Returns SHA-256, which a cipher suite has with it.
#[cfg(feature = "iam")]
fn hash() -> &'static dyn Hash {
    match chosen::cipher_suite::TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    }
}

/// Returns the SHA-256 of `bytes`.
#[cfg(feature = "iam")]
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    hash().hash(bytes).as_ref().to_vec()
}

/// Returns the HMAC with SHA-256 of `message` (RFC 2104).
#[cfg(feature = "adc")]
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    use zeroize::Zeroizing;
    const BLOCK: usize = 64;
    let hashed = Zeroizing::new(if key.len() > BLOCK {
        sha256(key)
    } else {
        Vec::new()
    });
    let key = if key.len() > BLOCK { &hashed } else { key };
    let padded = |with: u8, message: &[u8]| {
        let mut block = Zeroizing::new([with; BLOCK]);
        for (byte, of_key) in block.iter_mut().zip(key) {
            *byte ^= of_key;
        }
        let mut context = hash().start();
        context.update(&*block);
        context.update(message);
        Zeroizing::new(context.finish().as_ref().to_vec())
    };
    padded(0x5c, &padded(0x36, message))
}

/// Returns whether `signature` is one over `message` by this key:
/// RSASSA-PKCS1-v1_5 with SHA-256, or ECDSA on P-256 with SHA-256 in fixed form
/// (RFC 7518, 3.3 and 3.4).
#[cfg(feature = "verify")]
pub(crate) fn verifies(key: &Material, message: &[u8], signature: &[u8]) -> bool {
    use rustls::pki_types::alg_id;
    let by = |key_kind, kind, key: &[u8], signature: &[u8]| {
        let known = provider().signature_verification_algorithms.all;
        known
            .iter()
            .filter(|known| known.public_key_alg_id() == key_kind)
            .filter(|known| known.signature_alg_id() == kind)
            .any(|known| known.verify_signature(key, message, signature).is_ok())
    };
    match key {
        Material::Rsa { n, e } => by(
            alg_id::RSA_ENCRYPTION,
            alg_id::RSA_PKCS1_SHA256,
            &der::rsa_public_key(n, e),
            signature,
        ),
        Material::P256(point) => der::ecdsa_signature(signature).is_some_and(|signature| {
            by(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256, point, &signature)
        }),
        Material::Unusable(_) => false,
    }
}

/// A private RSA key. aws-lc wipes it when it is dropped; ring does not.
#[cfg(feature = "adc")]
pub(crate) struct RsaKey(Box<dyn rustls::sign::Signer>);

#[cfg(feature = "adc")]
impl RsaKey {
    /// Reads a key in DER; the error says what is wrong with it.
    pub(crate) fn read(block: &crate::wire::private_key::Block) -> Result<Self, &'static str> {
        use rustls::{SignatureAlgorithm, SignatureScheme, pki_types::PrivateKeyDer};

        use crate::wire::private_key::Form;
        let der = match block.form {
            Form::Pkcs8 => PrivateKeyDer::Pkcs8(block.der.as_slice().into()),
            Form::Pkcs1 => PrivateKeyDer::Pkcs1(block.der.as_slice().into()),
        };
        chosen::sign::any_supported_type(&der)
            .ok()
            .filter(|key| key.algorithm() == SignatureAlgorithm::RSA)
            .and_then(|key| key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]))
            .map(Self)
            .ok_or(UNUSABLE)
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 7518, 3.3).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, &'static str> {
        let signature = self.0.sign(message);
        signature.map_err(|_| "the private key cannot sign")
    }
}

/// What is wrong with a key of another kind or size.
#[cfg(all(feature = "adc", feature = "aws-lc-rs"))]
const UNUSABLE: &str = "is not an RSA key of 2048 to 8192 bits";
#[cfg(all(feature = "adc", not(feature = "aws-lc-rs")))]
const UNUSABLE: &str =
    "is not an RSA key of 2048 to 4096 bits (to 8192 with gce-auth's feature `aws-lc-rs`)";

#[cfg(feature = "adc")]
impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey")
    }
}

#[cfg(all(test, feature = "adc"))]
mod tests {
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
    };

    use super::*;
    use crate::wire::private_key;

    const PKCS8: &str = include_str!("../../tests/data/service_account.key");
    const PKCS1: &str = include_str!("../../tests/data/service_account_pkcs1.key");
    const LONG: &str = include_str!("../../tests/data/long_rsa.key");

    #[test]
    fn both_forms_of_a_key_sign_alike() {
        let block = |pem| private_key::read(pem).unwrap();
        let key = |pem| RsaKey::read(&block(pem)).unwrap();
        let (one, other) = (key(PKCS8), key(PKCS1));
        let signature = one.sign(b"message").unwrap();
        assert_eq!(signature, other.sign(b"message").unwrap());
        let pair = RsaKeyPair::from_pkcs8(&block(PKCS8).der).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"massage", &signature).is_err());
        assert_eq!(format!("{one:?}"), "RsaKey");
    }

    #[test]
    fn other_keys_are_refused() {
        let agent = include_str!("../../tests/data/agent.key");
        let block = private_key::read(agent).unwrap();
        let why = RsaKey::read(&block).expect_err("an elliptic key");
        assert!(why.starts_with("is not an RSA key of 2048 to "), "{why}");
    }

    /// ring takes RSA keys of at most 4096 bits, aws-lc of 8192.
    #[test]
    fn a_long_key_is_taken_or_the_way_to_take_it_told() {
        let block = private_key::read(LONG).unwrap();
        let read = RsaKey::read(&block);
        if cfg!(feature = "aws-lc-rs") {
            assert!(read.unwrap().sign(b"message").is_ok());
        } else {
            let why = read.unwrap_err();
            assert!(why.contains("4096") && why.contains("aws-lc-rs"), "{why}");
        }
    }

    #[test]
    fn a_hash_is_that_of_fips_180_4() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        // A key of one block, which is not hashed.
        let tag = hmac_sha256(&[0xaa; 64], b"message");
        assert_eq!(tag[..4], [0x1f, 0x0f, 0x5a, 0xb0]);
        // Test case 6: a key that is longer than a block.
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = hmac_sha256(&[0xaa; 131], message);
        assert_eq!(tag[..4], [0x60, 0xe4, 0x31, 0x59]);
    }
}
