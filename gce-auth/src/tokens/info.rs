//! What a source says of itself, without I/O.

use std::{
    borrow::Cow,
    fmt,
    sync::{PoisonError, RwLock},
};

/// Whose credentials these are, for a log or an error message: what
/// google-auth's `get_cred_info` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialsInfo {
    /// Where the credentials come from: `metadata server`, a file, or `the program`.
    pub source: Cow<'static, str>,
    /// What they are, in google-auth's words: `VM credentials`. A program decides by
    /// [`Credentials::kind`](crate::Credentials::kind) instead.
    pub credential_type: &'static str,
    /// The email address of the account if it is known, else its name; empty
    /// if nothing names one.
    pub principal: String,
}

/// A kind of credentials, by what makes their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialsKind {
    /// The metadata server.
    ComputeEngine,
    /// A refresh token of a user.
    AuthorizedUser,
    /// A private key of a service account.
    ServiceAccount,
    /// Other credentials that act as a service account.
    ImpersonatedServiceAccount,
    /// The token of another identity provider.
    ExternalAccount,
    /// A refresh token of a workforce user.
    ExternalAccountAuthorizedUser,
    /// Other credentials whose tokens may do less.
    Downscoped,
    /// Nothing: there is one token, or none.
    Fixed,
}

impl CredentialsKind {
    /// Returns the name of the kind: the `type` of its file where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ComputeEngine => "compute_engine",
            Self::AuthorizedUser => "authorized_user",
            Self::ServiceAccount => "service_account",
            Self::ImpersonatedServiceAccount => "impersonated_service_account",
            Self::ExternalAccount => "external_account",
            Self::ExternalAccountAuthorizedUser => "external_account_authorized_user",
            Self::Downscoped => "downscoped",
            Self::Fixed => "fixed",
        }
    }
}

impl fmt::Display for CredentialsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for CredentialsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            credential_type,
            principal,
        } = self;
        match &**principal {
            "" => write!(f, "{credential_type} from {source}"),
            principal if *source == "metadata server" => {
                write!(f, "{credential_type} of {principal} from the {source}")
            }
            principal => write!(f, "{credential_type} of {principal} from {source}"),
        }
    }
}

/// Whether tokens are bound to a certificate of this workload: no other can use
/// them then.
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
