//! The public key of a certificate. Nothing else of it is looked at: who
//! publishes the keys vouches for them.

use rustls_pki_types::{CertificateDer, pem::PemObject};
use webpki::EndEntityCert;

/// `rsaEncryption`, 1.2.840.113549.1.1.1 (RFC 8017, A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey`, 1.2.840.10045.2.1 (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `secp256r1`, 1.2.840.10045.3.1.7 (RFC 5480, 2.1.1.1).
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// A key of another kind.
    Other,
}

/// The key of the first certificate in `pem`.
pub(super) fn public_key(pem: &str) -> Option<PublicKey> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let certificate = EndEntityCert::try_from(&certificate).ok()?;
    of_info(&certificate.subject_public_key_info())
}

/// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
fn of_info(der: &[u8]) -> Option<PublicKey> {
    let mut outer = Der(der);
    let mut info = Der(outer.take(SEQUENCE)?);
    outer.end()?;
    let mut algorithm = Der(info.take(SEQUENCE)?);
    // The first byte counts unused bits; a key is whole bytes.
    let key = info.take(BIT_STRING)?.strip_prefix(&[0])?;
    info.end()?;
    match algorithm.take(OBJECT_IDENTIFIER)? {
        RSA_ENCRYPTION => {
            let mut outer = Der(key);
            let mut key = Der(outer.take(SEQUENCE)?);
            outer.end()?;
            let (n, e) = (key.take(INTEGER)?.to_vec(), key.take(INTEGER)?.to_vec());
            key.end()?;
            Some(PublicKey::Rsa { n, e })
        }
        EC_PUBLIC_KEY if algorithm.take(OBJECT_IDENTIFIER)? == P256 => {
            (key.len() == 65 && key[0] == 4).then(|| PublicKey::P256(key.to_vec()))
        }
        _ => Some(PublicKey::Other),
    }
}

/// Reads DER, element by element (ITU-T X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81 | 0x82 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(short & 3))?;
                let length = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
                (length, rest)
            }
            // Longer than any key that is accepted, or not DER.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(content)
    }

    fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use super::*;

    #[test]
    fn damaged_der_is_no_key_and_no_panic() {
        let point = [&[4][..], &[7; 64]].concat();
        let algorithm = [
            &[SEQUENCE, 19, OBJECT_IDENTIFIER, 7][..],
            EC_PUBLIC_KEY,
            &[OBJECT_IDENTIFIER, 8],
            P256,
        ]
        .concat();
        let mut info = vec![SEQUENCE, 89];
        info.extend(&algorithm);
        info.extend([BIT_STRING, 66, 0]);
        info.extend(&point);
        assert_eq!(of_info(&info), Some(PublicKey::P256(point)));
        for cut in 0..info.len() {
            assert_eq!(of_info(&info[..cut]), None, "{cut}");
        }
        for position in 0..info.len() {
            for bit in 0..8 {
                let mut damaged = info.clone();
                damaged[position] ^= 1 << bit;
                let _ = of_info(&damaged);
            }
        }
        info.push(0);
        assert_eq!(of_info(&info), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        for pem in [
            "",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "%%%",
        ] {
            assert_eq!(public_key(pem), None, "{pem}");
        }
    }
}
