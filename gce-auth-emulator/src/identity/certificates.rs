//! The certificates of the HTTPS endpoint, as the guest agent of a shielded VM puts them on its
//! disk.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

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

/// A calendar day: year, month, day.
pub(crate) type Day = (i32, u8, u8);

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
        (from, to): (Day, Day),
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let root_key = new_key()?;
        let mut root = CertificateParams::default();
        root.distinguished_name = common_name("google.internal");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        root.not_before = date_time_ymd(2020, 1, 1);
        root.not_after = date_time_ymd(2120, 1, 1);
        let root_certificate = root.self_signed(&root_key)?;
        let issuer = Issuer::new(root, root_key);

        let server_key = new_key()?;
        let mut server = CertificateParams::new(NAMES.map(Into::into))?;
        server.distinguished_name = common_name("metadata.google.internal");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.not_before = date_time_ymd(2020, 1, 1);
        server.not_after = date_time_ymd(2120, 1, 1);
        let server_certificate = server.signed_by(&server_key, &issuer)?;

        let client_key = new_key()?;
        let mut client = CertificateParams::new([hostname.to_owned()])?;
        client.distinguished_name = common_name(instance);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        client.not_before = date_time_ymd(from.0, from.1, from.2);
        client.not_after = date_time_ymd(to.0, to.1, to.2);
        let client_certificate = client.signed_by(&client_key, &issuer)?;

        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(root_certificate.der().clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![server_certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            server: Arc::new(config),
            root: root_certificate.pem(),
            client: client_certificate.pem() + &client_key.serialize_pem(),
        })
    }
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
