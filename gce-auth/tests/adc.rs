//! Credentials files against the emulator's OAuth, STS and IAM, over sockets.

#![cfg(feature = "adc")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use futures_executor::block_on;
use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, CredentialsKind, DefaultOptions,
    ErrorKind, MetadataClient, Signer,
};
use gce_auth_emulator::{AdcKind, Emulator};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const AUDIENCE: &str = "https://service.example";

fn options(emulator: &Emulator) -> DefaultOptions {
    let address = emulator.addr().to_string();
    let client = MetadataClient::builder()
        .endpoint(&address)
        .build()
        .unwrap();
    DefaultOptions::new()
        .client(client)
        .scopes([SCOPE])
        .trust_host(address)
}

fn load(emulator: &Emulator, kind: AdcKind) -> Credentials {
    let document = emulator.adc(kind).unwrap();
    let options = options(emulator);
    options.load_json(&document).unwrap().credentials
}

/// The sources of every file that the emulator writes, and what they are.
const KINDS: [(AdcKind, CredentialsKind); 4] = [
    (AdcKind::AuthorizedUser, CredentialsKind::AuthorizedUser),
    (AdcKind::ServiceAccount, CredentialsKind::ServiceAccount),
    (
        AdcKind::Impersonated,
        CredentialsKind::ImpersonatedServiceAccount,
    ),
    (AdcKind::ExternalAccount, CredentialsKind::ExternalAccount),
];

#[test]
fn every_file_of_the_emulator_gives_tokens_blocking_and_async() {
    let emulator = Emulator::builder().start().unwrap();
    for (kind, ours) in KINDS {
        let credentials = load(&emulator, kind);
        assert_eq!(credentials.kind(), ours);
        let token = credentials.blocking_token().unwrap();
        assert!(token.secret().starts_with("ya29."), "{kind:?}");
        assert!(token.expires_at().is_some());
        let again = block_on(credentials.token()).unwrap();
        assert_eq!(again.secret(), token.secret(), "{kind:?}");
        assert!(credentials.invalidate(&token));
        let next = block_on(credentials.token()).unwrap();
        assert_ne!(next.secret(), "", "{kind:?}");
    }
}

#[test]
fn a_host_that_nobody_trusts_is_sent_nothing() {
    let emulator = Emulator::builder().start().unwrap();
    for kind in [AdcKind::ServiceAccount, AdcKind::ExternalAccount] {
        let document = emulator.adc(kind).unwrap();
        let error = Credentials::from_json(&document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("trust_host"), "{error}");
    }
    assert_eq!(emulator.request_count(""), 0);
}

#[test]
fn a_key_file_signs_and_has_id_tokens() {
    let emulator = Emulator::builder().start().unwrap();
    let credentials = load(&emulator, AdcKind::ServiceAccount);
    let signature = Signer::new(credentials.clone())
        .blocking_sign_bytes(b"bytes")
        .unwrap();
    assert_eq!(signature.bytes().len(), 256);
    let identity = credentials.id_token(AUDIENCE).unwrap();
    let token = identity.blocking_token().unwrap();
    let claims = token.claims();
    assert_eq!(claims.audience(), Some(AUDIENCE));
    let user = load(&emulator, AdcKind::AuthorizedUser);
    let error = user.id_token(AUDIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
}

#[test]
fn a_token_is_narrowed_at_the_token_exchange() {
    let emulator = Emulator::builder().start().unwrap();
    let source = load(&emulator, AdcKind::ServiceAccount);
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]).unwrap();
    let boundary = CredentialAccessBoundary::new([rule]).unwrap();
    let url = format!("{}/v1/token", emulator.url());
    let narrow = source.downscope_at(&boundary, &*url).unwrap();
    let token = narrow.blocking_token().unwrap();
    assert_ne!(token.secret(), source.blocking_token().unwrap().secret());
    assert!(token.expires_at() <= source.blocking_token().unwrap().expires_at());
}
