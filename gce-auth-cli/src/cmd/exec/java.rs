//! The certificates to trust, for programs on a Java virtual machine, which reads no file in PEM.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};

/// The variable with options that every virtual machine takes.
pub(super) const OPTIONS: &str = "JAVA_TOOL_OPTIONS";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Returns the options with those that lead to this trust store, which come last and so count.
pub(super) fn options(before: Option<String>, store: &Path) -> String {
    let before = before.map_or_else(String::new, |before| before + " ");
    // Blanks part options, except in quotes.
    let store = store.to_string_lossy();
    format!("{before}-Djavax.net.ssl.trustStoreType=jks \"-Djavax.net.ssl.trustStore={store}\"")
}

/// Returns these certificates as a Java KeyStore, the format that every version reads. Its checksum
/// is left out: it is looked at only where a password is named.
pub(super) fn trust_store(pem: &str) -> Vec<u8> {
    let certificates = pem.split(BEGIN).skip(1).filter_map(|rest| {
        let (text, _) = rest.split_once(END)?;
        let text: String = text.split_whitespace().collect();
        BASE64_STANDARD.decode(text).ok()
    });
    let certificates: Vec<Vec<u8>> = certificates.collect();
    let mut store = Vec::new();
    store.extend(0xfeed_feed_u32.to_be_bytes());
    store.extend(2_u32.to_be_bytes());
    store.extend(length(certificates.len()));
    for (number, certificate) in certificates.iter().enumerate() {
        // An entry that is trusted, made in 1970.
        store.extend(2_u32.to_be_bytes());
        text(&mut store, &format!("certificate-{number}"));
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(certificate.len()));
        store.extend(certificate);
    }
    store.extend([0; 20]);
    store
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn text(store: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    store.extend(length.to_be_bytes());
    store.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_added_to_those_there_are() {
        let store = Path::new("/tmp/a b/x.jks");
        let own =
            "-Djavax.net.ssl.trustStoreType=jks \"-Djavax.net.ssl.trustStore=/tmp/a b/x.jks\"";
        assert_eq!(options(None, store), own);
        assert_eq!(
            options(Some("-Xmx1g".into()), store),
            format!("-Xmx1g {own}")
        );
    }

    #[test]
    fn each_certificate_is_an_entry() {
        let pem = format!(
            "# one\n{BEGIN}\nAQID\nBA==\n{END}\n\n{BEGIN}\nno *\n{END}\n{BEGIN}\nBQ==\n{END}"
        );
        let store = trust_store(&pem);
        let head = [
            0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 13,
        ];
        assert_eq!(store[..18], head);
        assert_eq!(store[18..31], *b"certificate-0");
        assert_eq!(store[39..54], *b"\0\x05X.509\0\0\0\x04\x01\x02\x03\x04");
        assert_eq!(store.len(), 54 + 4 + 15 + 8 + 7 + 5 + 20);
        assert_eq!(trust_store(""), [&head[..8], &[0; 24]].concat());
    }
}
