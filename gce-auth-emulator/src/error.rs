//! What can go wrong with the emulator itself.

use std::{error::Error, fmt, io};

/// Why an emulator did not start.
#[derive(Debug)]
pub struct StartError(Reason);

#[derive(Debug)]
enum Reason {
    Listen(String, io::Error),
    Network(String, String),
    Host(String),
    Thread(io::Error),
    Key(io::Error),
    Certificates(Box<dyn Error + Send + Sync>),
    Document(String),
    Overlay(String),
    Plan(String),
    Cloud(String),
    Set(SetError),
    Upstream(String, String),
}

impl StartError {
    pub(crate) fn listen(address: impl fmt::Display, error: io::Error) -> Self {
        Self(Reason::Listen(address.to_string(), error))
    }

    pub(crate) fn network(network: String, why: String) -> Self {
        Self(Reason::Network(network, why))
    }

    pub(crate) fn host(name: String) -> Self {
        Self(Reason::Host(name))
    }

    pub(crate) fn thread(error: io::Error) -> Self {
        Self(Reason::Thread(error))
    }

    pub(crate) fn key(error: io::Error) -> Self {
        Self(Reason::Key(error))
    }

    pub(crate) fn certificates(error: Box<dyn Error + Send + Sync>) -> Self {
        Self(Reason::Certificates(error))
    }

    pub(crate) fn document(why: impl Into<String>) -> Self {
        Self(Reason::Document(why.into()))
    }

    pub(crate) fn overlay(why: String) -> Self {
        Self(Reason::Overlay(why))
    }

    pub(crate) fn plan(why: String) -> Self {
        Self(Reason::Plan(why))
    }

    pub(crate) fn cloud(why: String) -> Self {
        Self(Reason::Cloud(why))
    }

    pub(crate) fn upstream(url: String, why: String) -> Self {
        Self(Reason::Upstream(url, why))
    }

    /// Returns whether the address could not be listened on: taken, not this machine's, or not
    /// allowed.
    #[must_use]
    pub fn is_address(&self) -> bool {
        matches!(self.0, Reason::Listen(..))
    }
}

impl From<SetError> for StartError {
    fn from(error: SetError) -> Self {
        Self(Reason::Set(error))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Reason::Network(network, why) => write!(f, "`{network}` is no network: {why}"),
            Reason::Host(name) => write!(
                f,
                "`{name}` is no host name: give one as in `example.com`, or `*.example.com`"
            ),
            Reason::Thread(error) => write!(f, "cannot start the emulator's thread: {error}"),
            Reason::Key(error) => write!(f, "cannot keep the signing key: {error}"),
            Reason::Certificates(error) => write!(f, "cannot make the certificates: {error}"),
            Reason::Document(why) => write!(f, "not a metadata document: {why}"),
            Reason::Overlay(why) => write!(f, "not an overlay: {why}"),
            Reason::Plan(why) => write!(f, "not a plan: {why}"),
            Reason::Cloud(why) => write!(f, "cannot configure the APIs beside the server: {why}"),
            Reason::Set(error) => error.fmt(f),
            Reason::Upstream(url, why) => {
                write!(f, "`{url}` is no address of a metadata server: {why}")
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Reason::Listen(_, error) | Reason::Thread(error) | Reason::Key(error) => Some(error),
            Reason::Certificates(error) => Some(&**error),
            Reason::Document(_)
            | Reason::Network(..)
            | Reason::Host(_)
            | Reason::Overlay(_)
            | Reason::Plan(_)
            | Reason::Cloud(_)
            | Reason::Set(_)
            | Reason::Upstream(..) => None,
        }
    }
}

/// A path that is not too long to be shown.
fn beginning(path: &str) -> String {
    const LONGEST: usize = 200;
    match path.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &path[..end]),
        None => path.into(),
    }
}

/// Why a part of the document could not be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetError {
    path: String,
    why: String,
}

/// Why a document is not taken, or a value not set.
pub(crate) const TOO_LARGE: &str = "the document is too large: at most 16,384 values and 4 MiB are";

impl SetError {
    /// There is no room for the value.
    pub(crate) fn too_large(path: &str) -> Self {
        Self::new(path, TOO_LARGE)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.why == TOO_LARGE
    }

    pub(crate) fn new(path: &str, why: &str) -> Self {
        Self {
            path: beginning(path),
            why: why.into(),
        }
    }

    /// Returns the path that was to be changed.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot set `{}`: {}", self.path, self.why)
    }
}

impl Error for SetError {}
