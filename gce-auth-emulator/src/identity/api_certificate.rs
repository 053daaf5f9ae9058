//! The certificate of the Google APIs under their own names.

use std::sync::Arc;

use rustls::{ServerConfig, server::NoClientAuth};

use super::root::Root;

/// The hosts of the Google APIs that the emulator has.
pub const API_HOSTS: [&str; 9] = [
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
    "oauth2.googleapis.com",
    "www.googleapis.com",
    "accounts.google.com",
    "cloudresourcemanager.googleapis.com",
    "iamcredentials.mtls.googleapis.com",
    "sts.mtls.googleapis.com",
    "oauth2.mtls.googleapis.com",
];

/// What the APIs show, and what a client needs for it.
pub(crate) struct ApiCertificate {
    pub(crate) server: Arc<ServerConfig>,
    /// The root certificate in PEM.
    pub(crate) root: String,
}

impl ApiCertificate {
    /// Makes a root and a certificate for [`API_HOSTS`]. The root's key is gone at the end, so that
    /// it signs nothing else.
    pub(crate) fn make() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let root = Root::make("gce-auth emulator")?;
        let server = root.server("googleapis.com", &API_HOSTS, |_| Ok(Arc::new(NoClientAuth)))?;
        Ok(Self {
            server,
            root: root.certificate.pem(),
        })
    }
}
