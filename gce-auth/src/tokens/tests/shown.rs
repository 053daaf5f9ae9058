//! What `Debug` shows of what holds secrets: what it is, and no secret.

use crate::{Credentials, IdTokenCredentials, world::World};

#[test]
fn debug_tells_what_it_is_and_no_secret() {
    let secret = "ya29.secret";
    let access = Credentials::fixed(secret, None).unwrap();
    let identity = IdTokenCredentials::fixed("aud", secret, None).unwrap();
    for (shown, name) in [
        (format!("{access:?}"), "Credentials {"),
        (format!("{:?}", access.blocking_token()), "Ok(AccessToken {"),
        (format!("{identity:?}"), "IdTokenCredentials {"),
        (format!("{:?}", identity.blocking_token()), "Ok(IdToken {"),
    ] {
        assert!(shown.starts_with(name), "{shown}");
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(format!("{identity:?}").contains("aud"));
}

#[test]
fn a_token_says_how_long_it_is_good() {
    let world = World::new([]);
    let now = crate::io::clock::Clock::now(&*world.clock);
    let at = |seconds| now.system_time() + std::time::Duration::from_secs(seconds);
    let identity = IdTokenCredentials::builder("aud").client(world.client);
    let identity = identity.shared(false).build().unwrap();
    identity.set_token(Some("t"), Some(at(60))).unwrap();
    let token = identity.blocking_token().unwrap();
    assert_eq!(
        token.valid_for(now),
        Some(std::time::Duration::from_secs(60))
    );
    let endless = IdTokenCredentials::fixed("aud", "t", None).unwrap();
    assert_eq!(endless.blocking_token().unwrap().valid_for(now), None);
}
