//! The certificate that requests to the metadata server are sent with, where
//! that is wanted and can be had.

use std::{fmt, path::PathBuf};

use http::{Request, Uri, uri::Scheme};

use crate::{
    io::identity::{ClientIdentity, IdentityFiles},
    values::{
        endpoint::METADATA_ADDRESS,
        error::{Error, ErrorKind},
    },
};

/// The name and the address that certificates are made for.
const HOSTS: [&str; 2] = ["metadata.google.internal", METADATA_ADDRESS];

/// When client certificates are used (`GCE_METADATA_MTLS_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    None,
    Default,
    Strict,
}

impl Mode {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        match text.map(str::to_ascii_lowercase).as_deref() {
            None | Some("none") => Ok(Self::None),
            Some("default") => Ok(Self::Default),
            Some("strict") => Ok(Self::Strict),
            Some(other) => Err(Error::new(
                ErrorKind::Config,
                format!("GCE_METADATA_MTLS_MODE is {other:?}, which means nothing"),
            )
            .with_hint("set GCE_METADATA_MTLS_MODE to none, default or strict, or unset it")),
        }
    }
}

/// The mode of one client, and its files.
pub(crate) struct MutualTls {
    mode: Mode,
    files: IdentityFiles,
}

impl MutualTls {
    pub(crate) fn new(mode: Mode, directory: Option<PathBuf>) -> Self {
        Self {
            mode,
            files: IdentityFiles::new(directory),
        }
    }

    pub(crate) fn directories(&self) -> &[PathBuf] {
        self.files.directories()
    }

    /// What the request to `uri` is to be sent with, if with anything.
    pub(super) fn identity(&self, uri: &Uri) -> Result<Option<(ClientIdentity, Mode)>, Error> {
        if self.mode == Mode::None {
            return Ok(None);
        }
        let ours = uri.host().is_some_and(|host| HOSTS.contains(&host));
        if !ours {
            return match self.mode {
                Mode::Strict => Err(elsewhere()),
                _ => Ok(None),
            };
        }
        let loaded = self
            .files
            .load()
            .map_err(|error| Error::new(ErrorKind::Tls, error.message()).with_hint(HINT))?;
        match loaded {
            Some(identity) => Ok(Some((identity, self.mode))),
            None if self.mode == Mode::Strict => Err(Error::new(
                ErrorKind::Tls,
                "there are no certificates for the metadata server, and \
                 GCE_METADATA_MTLS_MODE is strict",
            )
            .with_hint(HINT)),
            None => Ok(None),
        }
    }
}

const HINT: &str = "HTTPS to the metadata server needs a Shielded VM whose guest agent writes \
                    /run/google-mds-mtls";

/// The metadata server is somewhere that no certificate is made for.
fn elsewhere() -> Error {
    Error::new(
        ErrorKind::Tls,
        "GCE_METADATA_MTLS_MODE is strict, but the metadata server is not at its usual name \
         or address",
    )
    .with_hint("unset GCE_METADATA_HOST, or set GCE_METADATA_MTLS_MODE to default")
}

impl fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutualTls")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The same request, over HTTPS, and with a certificate.
pub(super) fn secured(request: &Request<Vec<u8>>, identity: ClientIdentity) -> Request<Vec<u8>> {
    let mut secured = request.clone();
    let mut parts = secured.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    if let Ok(uri) = Uri::from_parts(parts) {
        *secured.uri_mut() = uri;
    }
    secured.extensions_mut().insert(identity);
    secured
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests;
