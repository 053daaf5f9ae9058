//! Signatures that are verified here. The only file that names aws-lc-rs.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::wire::jwks::Material;

/// Whether `signature` is one over `message` by this key: RSASSA-PKCS1-v1_5
/// with SHA-256, or ECDSA on P-256 with SHA-256 in fixed form
/// (RFC 7518, 3.3 and 3.4).
pub(crate) fn verifies(key: &Material, message: &[u8], signature: &[u8]) -> bool {
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
