//! A key of the program's that signs assertions.

use std::{error::Error as StdError, fmt};

/// The algorithm of a [`JwtSigner`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256; the signature in fixed form, 64 bytes.
    Es256,
}

impl JwtAlgorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Signs assertions with a key of the program's, in place of IAM.
///
/// Called on one of the library's threads, which have 512 KiB of stack and where
/// it may block, or on the caller's in a `blocking_` call. The time that it takes
/// counts against the budget of the operation, as that of a request does. What it
/// asks this library for ends with that budget, too.
pub trait JwtSigner: Send + Sync + fmt::Debug {
    /// Returns a signature over `bytes`.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>>;

    /// Returns the algorithm. Default: RS256.
    fn algorithm(&self) -> JwtAlgorithm {
        JwtAlgorithm::default()
    }

    /// Returns the id of the key, which becomes `kid`. Default: none.
    fn key_id(&self) -> Option<String> {
        None
    }
}
