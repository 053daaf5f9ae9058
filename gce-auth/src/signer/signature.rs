//! What IAM signs.

use std::fmt;

use zeroize::Zeroizing;

/// A signature, and which key made it.
///
/// What was signed may open a door, so `Debug` shows no part of the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    pub(super) key_id: String,
    pub(super) bytes: Vec<u8>,
}

impl Signature {
    /// Returns the id of the key, as it stands in the account's public certificates.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the signature itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the signature itself, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("key_id", &self.key_id)
            .field("bytes", &format_args!("[{} bytes]", self.bytes.len()))
            .finish()
    }
}

/// A JWT that IAM signed, and with which key.
///
/// It is a secret: `Debug` shows no part of it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedJwt {
    pub(super) key_id: String,
    pub(super) jwt: Zeroizing<String>,
}

impl SignedJwt {
    /// Returns the id of the key, as it stands in the header of the JWT.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the JWT itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.jwt
    }
}

impl fmt::Debug for SignedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedJwt")
            .field("key_id", &self.key_id)
            .field("secret", &"[redacted]")
            .finish()
    }
}
