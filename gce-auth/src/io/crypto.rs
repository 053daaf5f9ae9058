//! Hashes, and signatures that are verified here. The only file that names
//! aws-lc-rs.

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
