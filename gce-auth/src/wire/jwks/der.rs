//! Keys and signatures of JSON Web Algorithms (RFC 7518) in DER, as
//! cryptography takes them.

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Writes an `RSAPublicKey` (RFC 8017, A.1.1) of big-endian numbers.
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    pair(modulus, exponent)
}

/// Writes an `ECDSA-Sig-Value` (RFC 3279, 2.2.3) for a signature in fixed form
/// (RFC 7518, 3.4): both numbers on P-256, 32 bytes each. `None` for others.
pub(crate) fn ecdsa_signature(fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(32)?;
    (s.len() == 32).then(|| pair(r, s))
}

/// Writes a sequence of two numbers.
fn pair(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(one.len() + other.len() + 16);
    integer(&mut content, one);
    integer(&mut content, other);
    let mut sequence = Vec::with_capacity(content.len() + 8);
    element(&mut sequence, SEQUENCE, content.len());
    sequence.extend_from_slice(&content);
    sequence
}

/// Writes a number that is not negative, without zeros before it, except one
/// where its first bit would be a sign.
fn integer(to: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let is_signed = number.first().is_none_or(|byte| byte & 0x80 != 0);
    element(to, INTEGER, number.len() + usize::from(is_signed));
    if is_signed {
        to.push(0);
    }
    to.extend_from_slice(number);
}

/// Writes tag and length of an element (ITU-T X.690, 8.1.3).
fn element(to: &mut Vec<u8>, tag: u8, length: usize) {
    to.push(tag);
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match &bytes[zeros..] {
        [] => to.push(0),
        [short @ 0..=0x7f] => to.push(*short),
        long => {
            // At most eight bytes.
            to.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            to.extend_from_slice(long);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortest_and_never_negative() {
        assert_eq!(
            rsa_public_key(&[0xc1, 2], &[1, 0, 1]),
            [0x30, 10, 2, 3, 0, 0xc1, 2, 2, 3, 1, 0, 1]
        );
        assert_eq!(rsa_public_key(&[0, 0, 1], &[]), [0x30, 6, 2, 1, 1, 2, 1, 0]);
        let long = rsa_public_key(&[1; 256], &[3]);
        assert_eq!(long[..8], [0x30, 0x82, 1, 7, 2, 0x82, 1, 0]);
        assert_eq!(long.len(), 4 + 263);
        let medium = rsa_public_key(&[1; 130], &[3]);
        assert_eq!(medium[..6], [0x30, 0x81, 136, 2, 0x81, 130]);
    }

    #[test]
    fn signatures_are_two_numbers_of_32_bytes() {
        let mut fixed = [0; 64];
        (fixed[31], fixed[32]) = (5, 0x80);
        let der = ecdsa_signature(&fixed).unwrap();
        assert_eq!(der[..8], [0x30, 38, 2, 1, 5, 2, 33, 0]);
        for length in [0, 31, 63, 65] {
            assert_eq!(ecdsa_signature(&vec![1; length]), None, "{length}");
        }
    }
}
