//! What HTTPS is spoken with. The only file that names rustls.

use std::{io, sync::Arc};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::io::transport::{TransportError, TransportErrorKind};

/// The cryptography of this library, handed over explicitly: which one the
/// process uses by default is the program's to say.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates that this system trusts, in DER; read anew at each call.
pub(super) fn roots() -> Result<Vec<Vec<u8>>, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let mut error = TransportError::new(
            TransportErrorKind::Tls,
            "this system names no certificates to trust; install its CA certificates \
             (package ca-certificates) or set SSL_CERT_FILE",
        );
        if let Some(cause) = found.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    Ok(found.certs.into_iter().map(|der| der.to_vec()).collect())
}

/// What rustls said, where that is why reading or writing failed.
pub(super) fn refusal(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    let said = inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| inner.source()?.downcast_ref::<rustls::Error>())?;
    Some(describe(said))
}

/// What rustls said, in one line for people.
pub(super) fn describe(error: &rustls::Error) -> String {
    format!("no secure connection could be made: {error}")
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_told_from_a_broken_connection() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, refused);
        let said = refusal(&error).unwrap();
        assert!(said.contains("UnknownIssuer"), "{said}");
        assert_eq!(refusal(&io::Error::other("reset")), None);
        assert_eq!(refusal(&io::ErrorKind::UnexpectedEof.into()), None);
    }

    #[test]
    fn the_process_is_left_without_a_default() {
        let _ = provider();
        assert!(CryptoProvider::get_default().is_none());
    }
}
