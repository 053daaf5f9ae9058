//! The certificate of the Google APIs under their own names.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

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
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut root = CertificateParams::default();
        root.distinguished_name = common_name("gce-auth emulator");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        root.not_before = date_time_ymd(2020, 1, 1);
        root.not_after = date_time_ymd(2120, 1, 1);
        let root_certificate = root.self_signed(&root_key)?;
        let issuer = Issuer::new(root, root_key);

        let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut server = CertificateParams::new(API_HOSTS.map(Into::into))?;
        server.distinguished_name = common_name("googleapis.com");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Python's OpenSSL wants it since 3.13.
        server.use_authority_key_identifier_extension = true;
        server.not_before = date_time_ymd(2020, 1, 1);
        server.not_after = date_time_ymd(2120, 1, 1);
        let server_certificate = server.signed_by(&server_key, &issuer)?;

        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![server_certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            server: Arc::new(config),
            root: root_certificate.pem(),
        })
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
