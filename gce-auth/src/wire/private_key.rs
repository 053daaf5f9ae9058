//! Private keys in PEM (RFC 7468), as key files of service accounts hold them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `RSA PRIVATE KEY` (RFC 8017, A.1.2).
    Pkcs1,
}

/// A key in DER.
pub(crate) struct Block {
    pub(crate) form: Form,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Finds the first private key in `pem`; the error says what is wrong. White
/// space counts as none, so that a key on one line is one, too.
pub(crate) fn read(pem: &str) -> Result<Block, &'static str> {
    let (form, rest) = [
        ("-----BEGIN PRIVATE KEY-----", Form::Pkcs8),
        ("-----BEGIN RSA PRIVATE KEY-----", Form::Pkcs1),
    ]
    .into_iter()
    .filter_map(|(begin, form)| {
        let at = pem.find(begin)?;
        Some((at, form, &pem[at + begin.len()..]))
    })
    .min_by_key(|(at, ..)| *at)
    .map(|(_, form, rest)| (form, rest))
    .ok_or_else(|| {
        if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            "is an encrypted key"
        } else if pem.contains("-----BEGIN") {
            "holds PEM, but no private key"
        } else {
            "is not a key in PEM"
        }
    })?;
    let end = match form {
        Form::Pkcs8 => "-----END PRIVATE KEY-----",
        Form::Pkcs1 => "-----END RSA PRIVATE KEY-----",
    };
    let (body, _) = rest.split_once(end).ok_or("is a key that is cut off")?;
    if body.contains("Proc-Type:") {
        return Err("is an encrypted key");
    }
    if body.contains('\\') {
        return Err("holds backslashes in place of line breaks: it was escaped twice");
    }
    let mut text = Zeroizing::new(Vec::with_capacity(body.len()));
    text.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; text.len()]);
    let length = BASE64_STANDARD
        .decode_slice(&*text, &mut der)
        .map_err(|_| "is a damaged key: it is not base64")?;
    der.truncate(length);
    Ok(Block { form, der })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCS8: &str = include_str!("../../tests/data/service_account.key");
    const PKCS1: &str = include_str!("../../tests/data/service_account_pkcs1.key");

    #[test]
    fn a_key_is_found_however_its_lines_end() {
        let block = read(PKCS8).unwrap();
        assert_eq!(block.form, Form::Pkcs8);
        for other in [
            PKCS8.replace('\n', "\r\n"),
            PKCS8.replace('\n', " "),
            format!("Bag Attributes\n    friendlyName: x\n{PKCS8}trailer"),
        ] {
            assert_eq!(read(&other).unwrap().der, block.der);
        }
        assert_eq!(read(PKCS1).unwrap().form, Form::Pkcs1);
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason() {
        let error = |pem: &str| read(pem).err().unwrap();
        let twice = PKCS8.replace('\n', "\\n");
        assert!(error(&twice).contains("escaped twice"));
        assert!(error("").contains("not a key in PEM"));
        assert!(error("-----BEGIN PUBLIC KEY-----").contains("no private key"));
        assert!(error("-----BEGIN ENCRYPTED PRIVATE KEY-----").contains("encrypted"));
        let (start, _) = PKCS8.split_once("-----END").unwrap();
        assert!(error(start).contains("cut off"));
        let damaged = "-----BEGIN PRIVATE KEY-----\n%%\n-----END PRIVATE KEY-----";
        assert!(error(damaged).contains("base64"));
    }
}
