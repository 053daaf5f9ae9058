//! Every source of tokens over real sockets, against the emulator's OAuth, STS
//! and IAM.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod aws;
mod builders;
mod ec2;
mod executables;
mod faults;
mod files;
mod hostile;
mod many;
mod servers;
mod workforce;

use std::time::Duration;

use files::Files;
use futures_executor::block_on;
use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, CredentialsKind, ErrorKind, Signer,
};
use gce_auth_emulator::Emulator;
use serde_json::Value;

const AUDIENCE: &str = "https://service.example";

fn boundary() -> CredentialAccessBoundary {
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]).unwrap();
    CredentialAccessBoundary::new([rule]).unwrap()
}

#[test]
fn every_source_has_tokens_of_its_own_identity() {
    let files = Files::new(Emulator::builder().start().unwrap());
    for file in files.all() {
        let credentials = files.load(&file);
        assert_eq!(credentials.kind(), file.kind, "{}", file.name);
        let token = credentials.blocking_token().unwrap();
        let said = files.token_info(token.secret());
        assert_eq!(said[file.named_by], file.identity, "{}: {said}", file.name);
        assert!(token.expires_at().is_some(), "{}", file.name);
        // One token for all who ask, however they wait.
        let again = block_on(credentials.token()).unwrap();
        assert_eq!(again.secret(), token.secret(), "{}", file.name);
        let copy = files.load(&file).blocking_token().unwrap();
        assert_eq!(copy.secret(), token.secret(), "{}", file.name);
        assert!(credentials.invalidate(&token));
        block_on(credentials.token()).unwrap();
    }
}

#[test]
fn every_source_acts_as_another_account() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let url = files.emulator.url();
    for file in files.all() {
        let acting = files
            .load(&file)
            .impersonate(files::EMAIL)
            .iam_endpoint(&url)
            .delegates([
                "projects/-/serviceAccounts/emulator@emulator-project.iam.gserviceaccount.com",
            ])
            .lifetime(Duration::from_secs(600))
            .build()
            .unwrap();
        let token = block_on(acting.token()).unwrap();
        assert_eq!(files.token_info(token.secret())["email"], files::EMAIL);
        let left = token.expires_at().unwrap();
        let most = std::time::SystemTime::UNIX_EPOCH + files::wall() + Duration::from_secs(601);
        assert!(left <= most, "{}: {left:?}", file.name);
        let identity = acting.id_token(AUDIENCE).unwrap();
        let identity = identity.with_include_email(true).unwrap();
        let token = identity.blocking_token().unwrap();
        let claims = token.claims();
        assert_eq!(claims.audience(), Some(AUDIENCE), "{}", file.name);
        assert_eq!(claims.email(), Some(files::EMAIL), "{}", file.name);
        let signature = Signer::new(acting.clone())
            .blocking_sign_bytes(b"bytes")
            .unwrap();
        assert_eq!(signature.bytes().len(), 256, "{}", file.name);
        // And the account as another one, a chain.
        let chain = acting.impersonate(files::EMAIL).iam_endpoint(&url);
        let token = chain.build().unwrap().blocking_token().unwrap();
        assert_eq!(files.token_info(token.secret())["email"], files::EMAIL);
    }
}

#[test]
fn every_source_is_narrowed() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let url = format!("{}/v1/token", files.emulator.url());
    for file in files.all() {
        let source = files.load(&file);
        let narrow = source.downscope_at(&boundary(), &*url).unwrap();
        let token = block_on(narrow.token()).unwrap();
        let whole = source.blocking_token().unwrap();
        assert_ne!(token.secret(), whole.secret(), "{}", file.name);
        assert!(token.expires_at() <= whole.expires_at(), "{}", file.name);
    }
}

#[test]
fn id_tokens_are_of_those_that_can_have_them() {
    let files = Files::new(Emulator::builder().start().unwrap());
    for file in files.all() {
        let identity = files.load(&file).id_token(AUDIENCE);
        if !file.has_id_tokens {
            let error = identity.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{}", file.name);
            assert!(error.hint().unwrap().contains("impersonate"), "{error}");
            continue;
        }
        let token = identity.unwrap().blocking_token().unwrap();
        assert_eq!(token.claims().audience(), Some(AUDIENCE), "{}", file.name);
    }
}

#[test]
fn a_person_has_an_id_token_for_the_client_of_the_login_alone() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let file = files.user();
    let client_id = file.document["client_id"].as_str().unwrap();
    let credentials = files.load(&file);
    let identity = credentials.id_token(client_id).unwrap();
    let token = identity.blocking_token().unwrap();
    let claims = token.claims();
    assert_eq!(claims.audience(), Some(client_id));
    assert_eq!(claims.email(), file.document["account"].as_str());
    let again = block_on(credentials.id_token(client_id).unwrap().token()).unwrap();
    assert_eq!(again.secret(), token.secret(), "one token for all");
    let error = credentials.id_token(AUDIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{error}");
    // A login without `openid` has access tokens alone.
    let fault = gce_auth_emulator::Fault::Body {
        content_type: "application/json".to_owned(),
        bytes: br#"{"access_token":"t","expires_in":3600}"#.to_vec(),
    };
    files.emulator.fail_next("/token", 1, fault);
    let error = identity.blocking_refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.hint().unwrap().contains("openid"), "{error}");
}

#[test]
fn a_person_signs_nothing_and_no_server_is_asked() {
    let files = Files::new(Emulator::builder().start().unwrap());
    for file in files.all() {
        if !file.kind.name().ends_with("authorized_user") {
            continue;
        }
        let signer = Signer::new(files.load(&file));
        let error = signer.blocking_sign_bytes(b"bytes").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOperation, "{}", file.name);
        assert!(error.hint().unwrap().contains("impersonate"), "{error}");
    }
    assert_eq!(files.emulator.requests(), [], "no server is asked");
}

#[test]
fn a_key_signs_for_itself_and_sends_what_it_signed() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let key = files.load(&files.key());
    let signed = key.self_signed_jwt(AUDIENCE).unwrap();
    let scoped = key.with_jwt_access(true).unwrap();
    for (credentials, name, value) in [(&signed, "aud", AUDIENCE), (&scoped, "scope", files::SCOPE)]
    {
        let token = credentials.blocking_token().unwrap();
        let claims: Value = files::claims(token.secret());
        assert_eq!(claims[name], value);
        assert_eq!(claims["iss"], files::EMAIL);
    }
    let signature = Signer::new(key).blocking_sign_bytes(b"bytes").unwrap();
    assert_eq!(signature.bytes().len(), 256);
    assert_eq!(files.emulator.requests(), [], "no server is asked");
}

#[test]
fn an_executable_is_run_once_while_its_output_file_is_good() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let file = files.executable();
    let (first, second) = (files.load(&file).unshared(), files.load(&file).unshared());
    first.blocking_refresh().unwrap();
    second.blocking_refresh().unwrap();
    assert_eq!(files.runs(), 1, "the second found the output file");
    assert_eq!(first.kind(), CredentialsKind::ExternalAccount);
}

#[test]
fn credentials_written_to_a_file_are_read_again() {
    let files = Files::new(Emulator::builder().start().unwrap());
    for file in files.all() {
        let written = files.load(&file).file().unwrap().to_json();
        let options = files.options();
        let again: Credentials = options.load_json(written.secret()).unwrap().credentials;
        let token = again.blocking_token().unwrap();
        let said = files.token_info(token.secret());
        assert_eq!(said[file.named_by], file.identity, "{}", file.name);
    }
}
