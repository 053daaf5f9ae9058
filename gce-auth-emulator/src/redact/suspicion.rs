//! A cheap look at a text: nearly all that passes the journal holds no secret.

use super::names;

/// Which bytes stand beside a secret.
const SIGN: [bool; 256] = {
    let (signs, mut table) = (b".:=_ %\\", [false; 256]);
    let mut at = 0;
    while at < signs.len() {
        table[signs[at] as usize] = true;
        at += 1;
    }
    table
};

/// Returns false only for a text in which [`text`](super::text) finds nothing. Looks at what must
/// stand beside a secret: the dot in a token, what separates a name from its value, an escape.
pub(super) fn is_suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let signs = bytes.iter().enumerate();
    let mut signs = signs.filter(|(_, byte)| SIGN[usize::from(**byte)]);
    signs.any(|(at, byte)| match byte {
        b'.' => ends_like_token(&bytes[..at]),
        b':' | b'=' => ends_with_secret_name(trim(&bytes[..at])),
        // A name that has only a space behind it.
        b'_' => ends_with_secret_name(&bytes[..end_of_word(bytes, at)]),
        b' ' => bytes[..at].ends_with(b"-----BEGIN"),
        b'%' => true,
        b'\\' => bytes[at + 1..].starts_with(b"u00"),
        _ => false,
    })
}

/// Whether this may be the first part of an access token, or of a JSON Web Token: the Base64 of a
/// brace, and of what may follow it in a header, or of white space before it.
fn ends_like_token(before: &[u8]) -> bool {
    if before.ends_with(b"ya29") {
        return true;
    }
    let padding = before.iter().rev().take_while(|byte| **byte == b'=');
    let header = last_word(&before[..before.len() - padding.count()]);
    matches!(
        header,
        [b'e', b'y' | b'w' | b'3', ..] | [b'C' | b'D' | b'I', _, _, _, ..]
    )
}

fn ends_with_secret_name(text: &[u8]) -> bool {
    names::is_secret(last_word(text))
}

fn last_word(text: &[u8]) -> &[u8] {
    let length = text.iter().rev().take_while(|byte| is_name(**byte)).count();
    &text[text.len() - length..]
}

fn end_of_word(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| is_name(**byte)).count()
}

/// Without what may stand between a name and what separates it from its value.
fn trim(text: &[u8]) -> &[u8] {
    let between = |byte: &u8| matches!(byte, b'\\' | b'"' | b'\'' | b' ' | b'\t');
    let length = text.iter().rposition(|byte| !between(byte));
    &text[..length.map_or(0, |last| last + 1)]
}

/// Returns whether a name may have this in it.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_requests_hold_is_not_suspicious() {
        for text in [
            "/computeMetadata/v1/instance/service-accounts/default/token",
            "metadata.google.internal",
            "gl-python/3.12.3 auth/2.63.0 auth-request-type/at cred-type/mds",
            "Sun, 29 Nov 2026 06:50:00 GMT",
            "Metadata Server for VM",
            "recursive=true&alt=json",
            r#"{"token_type":"Bearer","expires_in":3599}"#,
            "ada@example.com",
        ] {
            assert!(!is_suspicious(text), "{text}");
        }
    }

    #[test]
    fn each_sign_of_a_secret_is_seen() {
        for text in [
            "x ya29.c.b",
            "e30.e30.c2ln",
            "Cnt9.e30.c2ln",
            "eyJhbGciOiJSUzI1NiJ9==.e30.c2ln",
            "-----BEGIN RSA PRIVATE KEY-----",
            "access_token ya29",
            "idToken\\\" : \\\"x",
            "%61",
            r"\u0061",
        ] {
            assert!(is_suspicious(text), "{text}");
        }
    }
}
