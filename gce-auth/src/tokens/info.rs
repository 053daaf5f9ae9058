//! What a source says of itself, without I/O.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

/// Whose credentials these are, for a log or an error message: what
/// google-auth's `get_cred_info` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialsInfo {
    /// Where the credentials come from: `metadata server`.
    pub source: &'static str,
    /// What they are: `VM credentials`.
    pub kind: &'static str,
    /// The email address of the account if it is known, else its name.
    pub principal: String,
}

impl fmt::Display for CredentialsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            kind,
            principal,
        } = self;
        write!(f, "{kind} of {principal} from the {source}")
    }
}

/// Whether tokens are bound to a certificate of this workload, so that nobody
/// else can use them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateBinding {
    /// They are bound to the certificate of the agent that this workload is.
    Bound,
    /// They are not; and why.
    NotBound(String),
}

impl CertificateBinding {
    pub(crate) fn none(why: impl Into<String>) -> Self {
        Self::NotBound(why.into())
    }
}

/// What became of the binding when a token was last asked for.
#[derive(Debug, Default)]
pub(crate) struct LastBinding(RwLock<Option<CertificateBinding>>);

impl LastBinding {
    pub(crate) fn note(&self, binding: CertificateBinding) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(binding);
    }

    pub(crate) fn get(&self) -> Option<CertificateBinding> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
