//! The key that signs what the emulator signs: made when it is first needed, one for all emulators
//! of a process.

use std::{
    fs, io,
    io::Write,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    digest,
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DistinguishedName, DnType, PKCS_RSA_SHA256, SerialNumber};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

/// Where a kept key lies in its directory.
const FILE: &str = "signing-key.pem";

/// An RSA key with its public half in every form in which verifiers want it.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    id: String,
    certificate: String,
}

static SHARED: OnceLock<Option<Arc<SigningKey>>> = OnceLock::new();

impl SigningKey {
    /// The key of this process. The first call takes as long as it takes to find two primes; `None`
    /// if that fails.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        SHARED
            .get_or_init(|| Self::generate().map(Arc::new))
            .clone()
    }

    /// Returns a new key. Takes a while; `None` if it fails.
    pub(crate) fn generate() -> Option<Self> {
        Self::new(RsaKeyPair::generate(KeySize::Rsa2048).ok()?)
    }

    /// The key of this process, if the first call of [`shared`](Self::shared) is over. Never waits.
    pub(crate) fn shared_if_made() -> Option<Arc<Self>> {
        SHARED.get().cloned().flatten()
    }

    /// The key that lies in a directory; if there is none, a new one is put there, readable by its
    /// owner alone.
    pub(crate) fn kept_in(directory: &Path) -> io::Result<Self> {
        Self::kept_as(directory, FILE)
    }

    /// As [`kept_in`](Self::kept_in), in the file of this name.
    pub(crate) fn kept_as(directory: &Path, file: &str) -> io::Result<Self> {
        let path = directory.join(file);
        let at =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048)
                    .map_err(|_| io::Error::other("no key could be made"))?;
                let pem = certifier(&pair)
                    .ok_or_else(|| io::Error::other("no key could be made"))?
                    .serialize_pem();
                put_if_absent(&path, pem.as_bytes()).map_err(at)?;
                // That of another emulator, if it was first.
                fs::read(&path).map_err(at)?
            }
            Err(error) => return Err(at(error)),
        };
        PrivatePkcs8KeyDer::from_pem_slice(&pem)
            .ok()
            .and_then(|der| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok())
            .and_then(Self::new)
            .ok_or_else(|| {
                let why = format!("{} is no RSA key in PKCS #8 and PEM", path.display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            })
    }

    fn new(pair: RsaKeyPair) -> Option<Self> {
        let id: String = digest::digest(&digest::SHA256, pair.public_key().as_ref())
            .as_ref()
            .iter()
            .take(20)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let certificate = certificate(&pair, &id)?;
        Some(Self {
            pair,
            id,
            certificate,
        })
    }

    /// The key's name, 40 hex digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The private key in PKCS #8 and PEM.
    pub(crate) fn private_pem(&self) -> Option<String> {
        certifier(&self.pair).map(|key| key.serialize_pem())
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .ok()?;
        Some(signature)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            self.pair.public_key().as_ref(),
        )
        .verify(message, signature)
        .is_ok()
    }

    /// The public key as a JWK set.
    pub(crate) fn jwks(&self) -> Value {
        let key = self.pair.public_key();
        let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "kid": self.id,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "n": number(key.modulus().big_endian_without_leading_zero()),
            "e": number(key.exponent().big_endian_without_leading_zero()),
        }]})
    }

    /// The public key in a certificate, by its id.
    pub(crate) fn certificates(&self) -> Value {
        json!({ self.id.as_str(): self.certificate })
    }
}

/// Puts a file of mode 0600 at a path, whole or not at all, unless there is one.
fn put_if_absent(path: &Path, text: &[u8]) -> io::Result<()> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.{number}.new", std::process::id()));
    let new = Path::new(&new);
    let put = write_private(new, text).and_then(|()| match fs::hard_link(new, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links: the last one wins then.
        Err(_) => fs::rename(new, path),
        Ok(()) => Ok(()),
    });
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => put.and(Err(error)),
        _ => put,
    }
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// The key as the certificates' library takes it.
fn certifier(pair: &RsaKeyPair) -> Option<rcgen::KeyPair> {
    let der = pair.as_der().ok()?;
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_ref().into(), &PKCS_RSA_SHA256).ok()
}

/// A certificate that the key issues to itself, in PEM.
fn certificate(pair: &RsaKeyPair, id: &str) -> Option<String> {
    let signer = certifier(pair)?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(
        DnType::CommonName,
        "federated-signon.system.gserviceaccount.com",
    );
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&id.as_bytes()[..16]));
    Some(params.self_signed(&signer).ok()?.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_key_and_it_verifies_what_it_signed() {
        let key = SigningKey::shared().unwrap();
        assert!(Arc::ptr_eq(&key, &SigningKey::shared().unwrap()));
        let signature = key.sign(b"message").unwrap();
        assert!(key.verify(b"message", &signature));
        assert!(!key.verify(b"massage", &signature));
        assert_eq!(key.id().len(), 40);
        assert!(
            key.certificates()[key.id()]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
    }
}
