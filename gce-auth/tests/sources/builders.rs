//! Credentials that the program describes, against the same servers as files.

use std::sync::atomic::{AtomicUsize, Ordering};

use gce_auth::{AwsKeys, Credentials, ErrorKind, SubjectToken};
use gce_auth_emulator::{AdcKind, Emulator};
use serde_json::Value;

use crate::{
    aws,
    ec2::Ec2,
    files::{self, File, Files},
};

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap().to_owned()
}

/// Asserts that the tokens of `credentials` are those of a file.
fn is_of(files: &Files, credentials: &Credentials, file: &File) {
    let token = credentials.blocking_token().unwrap();
    let said = files.token_info(token.secret());
    assert_eq!(said[file.named_by], file.identity, "{}: {said}", file.name);
}

#[test]
fn a_user_a_key_and_a_workforce_user_are_those_of_their_files() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let (user, key) = (files.user(), files.key());
    let member = |name: &str| text(&user.document, name);
    let (id, secret) = (member("client_id"), member("client_secret"));
    let built = Credentials::authorized_user(&id, &secret, member("refresh_token"))
        .token_uri(member("token_uri"))
        .options(files.options());
    is_of(&files, &built.build().unwrap(), &user);
    let workforce =
        Credentials::external_account_authorized_user(id, secret, member("refresh_token"))
            .token_url(format!("{}/v1/oauthtoken", files.emulator.url()))
            .options(files.options());
    is_of(&files, &workforce.build().unwrap(), &user);
    let member = |name: &str| text(&key.document, name);
    let built = Credentials::service_account_key(files::EMAIL, member("private_key"))
        .token_uri(member("token_uri"))
        .options(files.options());
    is_of(&files, &built.build().unwrap(), &key);
}

#[test]
fn a_function_supplies_subject_tokens() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let files = Files::new(Emulator::builder().start().unwrap());
    let file = files
        .all()
        .into_iter()
        .find(|file| file.name == "a file")
        .unwrap();
    let subject = files.subject_for(&text(&file.document, "audience"));
    let token = SubjectToken::supplier(move || {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("not yet".into());
        }
        Ok(subject.clone())
    });
    let built = Credentials::external_account(text(&file.document, "audience"), token)
        .token_url(text(&file.document, "token_url"))
        .options(files.options())
        .build()
        .unwrap();
    files.emulator.clear_requests();
    let error = built.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "not yet");
    assert_eq!(
        files.emulator.request_count("/v1/token"),
        0,
        "nothing was exchanged"
    );
    let again = built.with_scopes([files::SCOPE]);
    is_of(&files, &again, &file);
    assert_eq!(CALLS.load(Ordering::Relaxed), 2);
}

#[test]
fn a_role_of_aws_needs_no_file() {
    let files = aws::files();
    let _none = aws::Variables::set(&[]);
    let ec2 = Ec2::start(aws::machine(true));
    let document = files.emulator.adc(AdcKind::ExternalAccount).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let provider = format!("//iam.googleapis.com/{}", aws::PROVIDER);
    let built = Credentials::external_account(provider, SubjectToken::aws_at(ec2.latest()))
        .token_url(text(&document, "token_url"))
        .options(files.options())
        .build();
    aws::is_of(&files, &built.unwrap(), aws::ROLE_ARN);
}

#[test]
fn keys_of_aws_may_come_from_the_program() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let files = aws::files();
    // Keys of the environment would come first; these are asked for alone.
    let _other = aws::Variables::set(&[("AWS_ACCESS_KEY_ID", "x"), ("AWS_REGION", "x")]);
    let document = files.emulator.adc(AdcKind::ExternalAccount).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let token = SubjectToken::aws_supplier(|| match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Err("sealed".into()),
        1 => Ok(AwsKeys::new("", aws::ROLE.id, aws::ROLE.secret)),
        _ => {
            let keys = AwsKeys::new("us-east-2", aws::ROLE.id, aws::ROLE.secret);
            let keys = keys.session_token(aws::ROLE.token);
            let shown = format!("{keys:?}");
            assert_eq!(shown, r#"AwsKeys { region: "us-east-2", .. }"#);
            Ok(keys)
        }
    });
    let provider = format!("//iam.googleapis.com/{}", aws::PROVIDER);
    let built = Credentials::external_account(provider, token)
        .token_url(text(&document, "token_url"))
        .options(files.options())
        .build()
        .unwrap();
    let error = built.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("keys of AWS"), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "sealed");
    let copy = built.with_scopes([files::SCOPE]);
    let error = copy.blocking_token().unwrap_err();
    assert!(error.to_string().contains("empty region"), "{error}");
    aws::is_of(&files, &built.with_scopes(["again"]), aws::ROLE_ARN);
    assert_eq!(files.emulator.request_count("/v1/token"), 1);
}
