//! What verified claims say.

use super::*;

#[test]
fn claims_without_an_address_name_none() {
    let world = world([published(&["a"], "max-age=3600")]);
    let claims = world.verify("a").unwrap();
    assert_eq!((claims.email(), claims.is_email_verified()), (None, false));
    assert_eq!((claims.subject(), claims.audience()), ("1", "me"));
}

#[test]
fn a_verifier_shows_whom_tokens_must_be_for_and_from() {
    let shown = format!("{:?}", world([]).verifier);
    for part in ["IdTokenVerifier", "\"me\"", "https://accounts.google.com"] {
        assert!(shown.contains(part), "{shown}");
    }
}
