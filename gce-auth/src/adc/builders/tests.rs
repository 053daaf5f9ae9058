//! A builder says what a file says: the same credentials, and the same errors.

use serde_json::{Value, json};

use crate::{Credentials, CredentialsKind, DefaultOptions, Error, ErrorKind, SubjectToken};

const KEY: &str = include_str!("../../../tests/data/service_account.key");
const PROVIDER: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";
const TARGET: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
     a@b.iam.gserviceaccount.com:generateAccessToken";

/// Asserts that a builder makes the credentials of this file.
fn same(built: Result<Credentials, Error>, file: &Value) {
    let built = built.unwrap();
    let read = Credentials::from_json(&file.to_string()).unwrap();
    assert_eq!(built.kind(), read.kind());
    let json = |credentials: &Credentials| -> Value {
        let file = credentials.file().unwrap();
        serde_json::from_str(file.to_json().secret()).unwrap()
    };
    assert_eq!(json(&built), json(&read));
}

/// Asserts that a builder refuses this member.
fn refused(built: Result<Credentials, Error>, member: &str) {
    let error = built.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("the builder of an ") || text.starts_with("the builder of a "),
        "{text}"
    );
    assert!(text.contains(member), "{text}");
}

#[test]
fn a_user_is_that_of_the_file() {
    same(
        Credentials::authorized_user("id", "secret", "refresh")
            .account("ada@example.com")
            .rapt_token("rapt")
            .token_uri("https://ignored.example/token")
            .build(),
        &json!({
            "type": "authorized_user", "client_id": "id", "client_secret": "secret",
            "refresh_token": "refresh", "account": "ada@example.com", "rapt_token": "rapt",
            "token_uri": "https://ignored.example/token",
        }),
    );
    refused(
        Credentials::authorized_user("", "s", "r").build(),
        "`client_id`",
    );
    refused(
        Credentials::authorized_user("i", "s", "").build(),
        "`refresh_token`",
    );
}

#[test]
fn a_key_is_that_of_the_file() {
    let builder = || Credentials::service_account_key("a@b.iam.gserviceaccount.com", KEY);
    same(
        builder().key_id("kid").project_id("p").build(),
        &json!({
            "type": "service_account", "client_email": "a@b.iam.gserviceaccount.com",
            "private_key": KEY, "private_key_id": "kid", "project_id": "p",
            "token_uri": "https://oauth2.googleapis.com/token",
        }),
    );
    refused(
        builder().token_uri("https://evil.example/").build(),
        "`token_uri`",
    );
    refused(
        builder().universe_domain("evil.example").build(),
        "evil.example",
    );
    let options = DefaultOptions::new().universe_domain("other.example");
    let other = builder().universe_domain("other.example");
    let other = other.token_uri("https://oauth2.other.example/token");
    assert!(other.options(options).build().is_ok());
    refused(
        Credentials::service_account_key("e", "no key").build(),
        "`private_key`",
    );
}

#[test]
fn an_external_user_is_that_of_the_file() {
    let builder = || Credentials::external_account_authorized_user("id", "secret", "refresh");
    same(
        builder().audience("a").build(),
        &json!({
            "type": "external_account_authorized_user", "audience": "a", "client_id": "id",
            "client_secret": "secret", "refresh_token": "refresh",
            "token_url": "https://sts.googleapis.com/v1/oauthtoken",
        }),
    );
    refused(
        builder().token_url("https://evil.example/").build(),
        "`token_url`",
    );
}

#[test]
fn an_external_account_is_that_of_the_file_whatever_its_source() {
    let ec2 = |path: &str| format!("http://169.254.169.254/latest/{path}");
    let verification =
        "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    let format = json!({"type": "json", "subject_token_field_name": "t"});
    let timeout = std::time::Duration::from_secs(7);
    for (token, kind, source) in [
        (SubjectToken::file("/t"), "jwt", json!({"file": "/t"})),
        (
            SubjectToken::url("http://h/")
                .headers([("a", "b")])
                .json_field("t"),
            "jwt",
            json!({"url": "http://h/", "headers": {"a": "b"}, "format": format}),
        ),
        (
            SubjectToken::executable("/bin/t x"),
            "jwt",
            json!({"executable": {"command": "/bin/t x"}}),
        ),
        (
            SubjectToken::executable_with("/t", Some("/o".as_ref()), timeout),
            "jwt",
            json!({"executable": {"command": "/t", "output_file": "/o", "timeout_millis": 7000}}),
        ),
        (
            SubjectToken::aws(),
            "aws",
            json!({
                "environment_id": "aws1",
                "region_url": ec2("meta-data/placement/availability-zone"),
                "url": ec2("meta-data/iam/security-credentials"),
                "imdsv2_session_token_url": ec2("api/token"),
                "regional_cred_verification_url": verification,
            }),
        ),
    ] {
        let kind = match kind {
            "aws" => "urn:ietf:params:aws:token-type:aws4_request",
            _ => "urn:ietf:params:oauth:token-type:jwt",
        };
        same(
            Credentials::external_account(PROVIDER, token)
                .client("id", "secret")
                .build(),
            &json!({
                "type": "external_account", "audience": PROVIDER, "subject_token_type": kind,
                "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source,
                "client_id": "id", "client_secret": "secret",
            }),
        );
    }
    same(
        Credentials::external_account(PROVIDER, SubjectToken::file("/t"))
            .service_account_impersonation_url(TARGET)
            .service_account_token_lifetime(std::time::Duration::from_secs(600))
            .subject_token_type("urn:ietf:params:oauth:token-type:id_token")
            .build()
            .inspect(|acting| {
                assert_eq!(acting.info().principal, "a@b.iam.gserviceaccount.com");
            }),
        &json!({
            "type": "external_account", "audience": PROVIDER,
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": "/t"},
            "service_account_impersonation_url": TARGET,
            "service_account_impersonation": {"token_lifetime_seconds": 600},
        }),
    );
}

#[test]
fn what_a_file_may_not_say_a_builder_may_not() {
    let of = |token| Credentials::external_account(PROVIDER, token);
    refused(
        of(SubjectToken::executable("")).build(),
        "`credential_source.executable.command`",
    );
    refused(
        of(SubjectToken::executable_with(
            "x",
            None,
            std::time::Duration::from_secs(1),
        ))
        .build(),
        "timeout_millis",
    );
    let file = || of(SubjectToken::file("/t"));
    refused(
        file().token_url("https://evil.example/").build(),
        "`token_url`",
    );
    refused(
        file().workforce_pool_user_project("p").build(),
        "workforce_pool_user_project",
    );
    refused(
        file()
            .service_account_impersonation_url("https://x/")
            .build(),
        "impersonation_url",
    );
    let supplied = || SubjectToken::supplier(|| Ok("token".into()));
    refused(
        Credentials::external_account("", supplied()).build(),
        "`audience`",
    );
    let supplied = of(supplied()).build().unwrap();
    assert_eq!(supplied.kind(), CredentialsKind::ExternalAccount);
    assert!(supplied.file().is_none(), "no file names a function");
}

#[test]
fn no_builder_shows_what_it_holds() {
    let builder = Credentials::authorized_user("id", "hidden", "hidden");
    let token = SubjectToken::url("http://hidden/").headers([("a", "hidden")]);
    let shown = format!("{token:?}");
    let external = Credentials::external_account(PROVIDER, token);
    for shown in [format!("{builder:?}"), shown, format!("{external:?}")] {
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
