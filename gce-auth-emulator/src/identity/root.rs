//! The certificate authority of one emulator and one purpose, whose key signs and is gone.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::danger::ClientCertVerifier,
};

/// A calendar day: year, month, day.
pub(crate) type Day = (i32, u8, u8);

/// From when and until when certificates of servers are good.
pub(super) const ALWAYS: (Day, Day) = ((2020, 1, 1), (2120, 1, 1));

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A root, which signs until it is dropped.
pub(super) struct Root {
    pub(super) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    pub(super) fn make(name: &str) -> Result<Self, Error> {
        let key = new_key()?;
        let mut root = CertificateParams::default();
        root.distinguished_name = common_name(name);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let (from, to) = ALWAYS;
        root.not_before = date_time_ymd(from.0, from.1, from.2);
        root.not_after = date_time_ymd(to.0, to.1, to.2);
        Ok(Self {
            certificate: root.self_signed(&key)?,
            issuer: Issuer::new(root, key),
        })
    }

    /// Makes a key and its certificate: for this use of these names, from one day to another.
    pub(super) fn sign(
        &self,
        name: &str,
        hosts: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
        (from, to): (Day, Day),
    ) -> Result<(Certificate, KeyPair), Error> {
        let key = new_key()?;
        let mut leaf = CertificateParams::new(hosts)?;
        leaf.distinguished_name = common_name(name);
        leaf.extended_key_usages = vec![usage];
        // Python's OpenSSL wants it since 3.13.
        leaf.use_authority_key_identifier_extension = true;
        leaf.not_before = date_time_ymd(from.0, from.1, from.2);
        leaf.not_after = date_time_ymd(to.0, to.1, to.2);
        Ok((leaf.signed_by(&key, &self.issuer)?, key))
    }

    /// Makes the settings of a server of these names, with the verifier of its clients.
    pub(super) fn server(
        &self,
        name: &str,
        hosts: &[&str],
        clients: impl FnOnce(Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Failed>,
    ) -> Result<Arc<ServerConfig>, Failed> {
        let hosts = hosts.iter().map(|host| (*host).into()).collect();
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let (certificate, key) = self.sign(name, hosts, usage, ALWAYS)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = clients(Arc::clone(&provider))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
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
