//! `instance/credentials/mds-client-certificate`: the client's certificate as only the machine's
//! TPM could open it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

/// Where the real server has it.
pub(crate) const PLACE: &str = "instance/credentials/mds-client-certificate";

/// The certificate and its key, encrypted, in the form of the real server.
///
/// An emulated machine has no TPM, so the key it is encrypted with is thrown away: a client can see
/// that there is a certificate, but has to take it from the files.
pub(crate) fn seal(pem: &str) -> Result<String, Unspecified> {
    let key: [u8; 32] = random()?;
    let mut sealed = pem.as_bytes().to_vec();
    let nonce = RandomizedNonceKey::new(&AES_256_GCM, &key)?
        .seal_in_place_append_tag(Aad::empty(), &mut sealed)?;
    let mut credentials = nonce.as_ref().to_vec();
    credentials.extend_from_slice(&sealed);
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    // As long as what a TPM with elliptic curves takes.
    let (duplicate, seed, public): ([u8; 104], [u8; 70], [u8; 46]) =
        (random()?, random()?, random()?);
    Ok(json!({
        "encrypted_credentials": text(&credentials),
        "key_import_blob": {
            "duplicate": text(&duplicate),
            "encrypted_seed": text(&seed),
            "public_area": text(&public),
        },
    })
    .to_string())
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Unspecified> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_form_is_right_and_the_key_is_not_in_it() {
        let text = seal("-----BEGIN PRIVATE KEY-----").unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let bytes = |value: &Value| BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
        assert_eq!(bytes(&value["encrypted_credentials"]).len(), 12 + 27 + 16);
        let blob = value["key_import_blob"].as_object().unwrap();
        let keys: Vec<_> = blob.keys().collect();
        assert_eq!(keys, ["duplicate", "encrypted_seed", "public_area"]);
        let sealed = bytes(&value["encrypted_credentials"]);
        assert!(!String::from_utf8_lossy(&sealed).contains("PRIVATE"));
    }
}
