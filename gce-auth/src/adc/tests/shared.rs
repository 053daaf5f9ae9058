//! Credentials of equal files share a token; of others, they do not.

use serde_json::{Value, json};

use crate::{
    adc::tests::{
        files::{external, key, load, user},
        kinds::{external_user, impersonated_by},
    },
    io::fake::Reply,
    tokens::credentials::Credentials,
    world::{Folder, World},
};

/// The tokens of two credentials of `file`, and of one of `other`.
fn tokens(file: &Value, other: &Value) -> [String; 3] {
    let reply = |name: &str| {
        let both = format!(
            r#"{{"access_token":"{name}","token_type":"Bearer","expires_in":3600,
                "issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
                "accessToken":"{name}","expireTime":"2023-11-14T23:13:20Z"}}"#
        );
        Reply::text(&both)
    };
    let world = World::new(["1", "2", "3", "4", "5", "6"].map(reply));
    let loaded = [file, file, other].map(|file| load(&world, file, &["s"]));
    loaded.map(|of| of.blocking_token().unwrap().secret().to_owned())
}

#[test]
fn equal_files_share_a_token_and_others_do_not() {
    let folder = Folder::new();
    let subject = folder.join("subject");
    std::fs::write(&subject, "subject").unwrap();
    let external = external(&json!({ "file": subject }));
    let changed = |file: &Value, name: &str| {
        let mut other = file.clone();
        other[name] = "https://sts.googleapis.com/v1/other".into();
        other
    };
    let by_user = impersonated_by(&user());
    let mut key_id = key();
    key_id["client_email"] = "other@p.iam.gserviceaccount.com".into();
    for (file, other) in [
        (user(), changed(&user(), "refresh_token")),
        (key(), key_id),
        (external.clone(), changed(&external, "token_url")),
        (external_user(), changed(&external_user(), "token_url")),
        (by_user, impersonated_by(&changed(&user(), "refresh_token"))),
    ] {
        let [one, same, another] = tokens(&file, &other);
        assert_eq!(one, same, "{file}");
        assert_ne!(one, another, "{file}");
    }
}

#[test]
fn equal_identities_of_a_key_share_an_id_token() {
    let claims = "eyJhbGciOiAiUlMyNTYifQ.eyJhdWQiOiJhdWQiLCJleHAiOjE3MDAwMDM2MDB9.c2ln";
    let world = World::new([Reply::text(&format!(r#"{{"id_token":"{claims}"}}"#))]);
    let identity = |of: &Credentials| of.id_token("aud").unwrap();
    for _ in 0..2 {
        let credentials = load(&world, &key(), &[]);
        identity(&credentials).blocking_token().unwrap();
    }
    assert_eq!(world.transport.requests().len(), 1);
}
