//! What verified claims say.

use super::*;

#[test]
fn claims_without_an_address_name_none() {
    let world = world([published(&["a"], "max-age=3600")]);
    let claims = world.verify("a").unwrap();
    assert_eq!((claims.email(), claims.is_email_verified()), (None, false));
    assert_eq!((claims.subject(), claims.audience()), ("1", "me"));
}
