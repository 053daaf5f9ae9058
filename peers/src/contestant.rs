//! What is compared: a library that gives tokens, as its users would use it.

use std::{error::Error, net::SocketAddr};

/// Whatever went wrong; it ends the section.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A library, and one way to use it.
///
/// A section is generic over this, so that nothing stands between the loop and
/// the library that a user's program would not have there as well.
pub trait Contestant: Send + Sync + Sized + 'static {
    /// The library.
    const LIBRARY: Library;

    /// What is called, as its users write it.
    const CALL: &'static str;

    /// Whether it blocks the thread that calls.
    const BLOCKS: bool = false;

    /// How to have every call ask the server again, though the answer before
    /// is still good; `None` where the library has no way.
    const AGAIN: Option<Again> = None;

    /// New credentials, in a tokio runtime. The server is the one of
    /// `GCE_METADATA_HOST`, at this address.
    fn new(server: SocketAddr) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Gets the value of the header `authorization` in hand, or, where a
    /// library has no headers, the token, and lets `see` look at it.
    fn with<R: Send>(
        &self,
        see: impl FnOnce(&[u8]) -> R + Send,
    ) -> impl Future<Output = Result<R, Failure>> + Send;

    /// As [`with`](Self::with), of a token that has just been fetched.
    fn with_new<R: Send>(
        &self,
        see: impl FnOnce(&[u8]) -> R + Send,
    ) -> impl Future<Output = Result<R, Failure>> + Send {
        self.with(see)
    }
}

/// How a library is made to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// There is a call for it, or for dropping a token.
    Asked,
    /// It takes tokens of so few seconds for expired, and asks at each call.
    Lifetime(u64),
}

/// Who is compared. In the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Library {
    /// This project.
    GceAuth,
    /// The least that it takes, with the standard library alone.
    Floor,
    /// Google's own.
    GoogleCloudAuth,
    /// `gcp_auth`.
    GcpAuth,
    /// `object_store`, of which credentials are a part.
    ObjectStore,
    /// `yup-oauth2`.
    YupOauth2,
    /// google-auth for Python.
    Python,
    /// google-auth-library for Node.
    Node,
    /// The command of Google's Cloud SDK.
    Gcloud,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::GceAuth,
        Self::Floor,
        Self::GoogleCloudAuth,
        Self::GcpAuth,
        Self::ObjectStore,
        Self::YupOauth2,
        Self::Python,
        Self::Node,
        Self::Gcloud,
    ];

    /// Its name in its registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GceAuth => "gce-auth",
            Self::Floor => "floor",
            Self::GoogleCloudAuth => "google-cloud-auth",
            Self::GcpAuth => "gcp_auth",
            Self::ObjectStore => "object_store",
            Self::YupOauth2 => "yup-oauth2",
            Self::Python => "google-auth (Python)",
            Self::Node => "google-auth-library (Node)",
            Self::Gcloud => "gcloud",
        }
    }
}
