//! The certificates of the HTTPS endpoint, as the guest agent of a shielded VM puts them on its
//! disk.

use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use super::root::{Day, Root};

/// The names under which the metadata server is reached, and those of this machine.
const NAMES: [&str; 8] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata",
    "localhost",
    "169.254.169.254",
    "fd20:ce::254",
    "127.0.0.1",
    "::1",
];

/// What the server shows and demands, and what a client needs for it.
pub(crate) struct Mtls {
    pub(crate) server: Arc<ServerConfig>,
    /// The root certificate in PEM.
    pub(crate) root: String,
    /// The client's certificate and its key in PEM, in this order, as they stand in `client.key`.
    pub(crate) client: String,
}

impl Mtls {
    /// Makes a root, a certificate for the server, and one for the client that is good from one day
    /// to another.
    pub(crate) fn make(
        instance: &str,
        hostname: &str,
        days: (Day, Day),
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let root = Root::make("google.internal")?;
        let server = root.server("metadata.google.internal", &NAMES, |provider| {
            let mut roots = RootCertStore::empty();
            roots.add(root.certificate.der().clone())?;
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            Ok(verifier.build()?)
        })?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let (client, key) = root.sign(instance, vec![hostname.to_owned()], usage, days)?;
        Ok(Self {
            server,
            root: root.certificate.pem(),
            client: client.pem() + &key.serialize_pem(),
        })
    }
}
