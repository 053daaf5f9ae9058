//! The names behind which secrets stand: of parameters, of members of JSON objects, of headers.

/// Names in lower case, without `_` and `-`.
const SECRET: [&str; 19] = [
    "accesstoken",
    "actortoken",
    "assertion",
    "authtoken",
    "clientsecret",
    "codeverifier",
    "idtoken",
    "password",
    "privatekey",
    "rapt",
    "refreshtoken",
    "secret",
    "signedblob",
    "signedjwt",
    "subjecttoken",
    "tlsprivatekey",
    "token",
    "xgoogsignature",
    "xamzsecuritytoken",
];

/// Headers whose values are secrets.
const HEADERS: [&str; 8] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-aws-ec2-metadata-token",
    "x-goog-iap-jwt-assertion",
    "x-serverless-authorization",
];

/// Longer names are none of these.
const LONGEST: usize = 24;

/// Returns whether the value behind this name is a secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    if name.len() < 4 || name.len() > LONGEST {
        return false;
    }
    let (mut plain, mut length) = ([0; LONGEST], 0);
    for byte in name.iter().filter(|byte| !matches!(byte, b'_' | b'-')) {
        plain[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = &plain[..length];
    SECRET.iter().any(|secret| secret.as_bytes() == plain)
}

/// Returns whether the value of this header, its name in any case, is a secret.
pub(super) fn is_secret_header(name: &str) -> bool {
    HEADERS
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}
