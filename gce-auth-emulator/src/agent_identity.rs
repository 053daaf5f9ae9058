//! The files of an agent: its certificate, as the platform mounts it into a workload.

use std::{io, path::Path};

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd, string::Ia5String,
};
use serde_json::json;

use crate::private_file;

/// A certificate and key of an agent, for tokens that are bound to it.
///
/// Tokens are bound by a `POST` of the certificate to the metadata server's `token` or `identity`.
/// An ID token that is asked for so has the issuer of the agent's pool, whose keys the emulator
/// serves.
///
/// ```
/// use gce_auth_emulator::AgentIdentity;
///
/// let agent = AgentIdentity::new("spiffe://agents.global.proj-1.system.id.goog/resources/run/one")?;
/// assert!(agent.certificate().starts_with("-----BEGIN CERTIFICATE-----"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct AgentIdentity {
    certificate: String,
    private_key: String,
}

impl AgentIdentity {
    /// Makes a key and a certificate with this URI among the subject's alternative names.
    ///
    /// # Errors
    ///
    /// When the URI cannot stand in a certificate.
    pub fn new(id: &str) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        let id = Ia5String::try_from(id).map_err(io::Error::other)?;
        params.subject_alt_names.push(SanType::URI(id));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self {
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
        })
    }

    /// Returns the certificate in PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns the private key in PEM.
    #[must_use]
    pub fn private_key(&self) -> &str {
        &self.private_key
    }

    /// Writes `certificates.pem`, `private_key.pem`, both in one as
    /// `x509.credential-bundle.private-key.pem`, and `certificate_config.json` for
    /// `GOOGLE_API_CERTIFICATE_CONFIG`, mode 0600, into a directory that exists.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, directory: impl AsRef<Path>) -> io::Result<()> {
        write(directory.as_ref(), &self.certificate, &self.private_key)
    }

    /// Writes the same files in the middle of a rotation: the certificate of `next` beside the key
    /// of this one, which don't match.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_half_rotated(&self, next: &Self, directory: impl AsRef<Path>) -> io::Result<()> {
        write(directory.as_ref(), &next.certificate, &self.private_key)
    }
}

impl std::fmt::Debug for AgentIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentIdentity").finish_non_exhaustive()
    }
}

fn write(directory: &Path, certificate: &str, private_key: &str) -> io::Result<()> {
    let certificates = directory.join("certificates.pem");
    let key = directory.join("private_key.pem");
    let config = json!({"cert_configs": {"workload": {
        "cert_path": certificates,
        "key_path": key,
    }}});
    let bundle = format!("{certificate}{private_key}");
    private_file::replace(&certificates, certificate.as_bytes())?;
    private_file::replace(&key, private_key.as_bytes())?;
    private_file::replace(
        &directory.join("x509.credential-bundle.private-key.pem"),
        bundle.as_bytes(),
    )?;
    private_file::replace(
        &directory.join("certificate_config.json"),
        config.to_string().as_bytes(),
    )
}
