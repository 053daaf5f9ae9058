//! What `docs::from_google_cloud_auth` puts side by side: each source and each
//! item of theirs, beside ours, of the same documents. What needs no server is
//! run, the rest is compiled.

#![cfg(feature = "google-cloud-auth-1")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{sync::Arc, time::Duration};

use gce_auth::{
    Credentials, CredentialsKind, DefaultOptions, ErrorKind, IdTokenCredentials, IdTokenFormat,
    IdTokenVerifier, MetadataClient, RetryPolicy, Signer, SubjectToken, default_credentials,
};
use gce_auth_emulator::{AdcKind, Emulator};
use google_cloud_auth::{
    credentials::{
        self as theirs, AccessTokenCredentials, CacheableResource, anonymous, external_account,
        external_account_authorized_user, idtoken, impersonated, mds, service_account,
        subject_token::{self, SubjectTokenProvider},
        user_account,
    },
    errors::CredentialsError,
};
use google_cloud_gax::{
    exponential_backoff::ExponentialBackoff, retry_policy::NeverRetry,
    retry_throttler::AdaptiveThrottler,
};
use http::Extensions;
use serde_json::{Value, json};

const AUDIENCE: &str = "https://service.example";
const READER: &str = "reader@project.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// Documents of each kind, of an emulator whose server is trusted.
struct Files {
    emulator: Emulator,
}

impl Files {
    fn new() -> Self {
        let emulator = Emulator::builder().start().unwrap();
        Self { emulator }
    }

    fn document(&self, kind: AdcKind) -> Value {
        serde_json::from_str(&self.emulator.adc(kind).unwrap()).unwrap()
    }

    fn workforce(&self) -> Value {
        let pool = "//iam.googleapis.com/locations/global/workforcePools/p/providers/x";
        json!({
            "type": "external_account_authorized_user", "audience": pool, "client_id": "c",
            "client_secret": "s", "refresh_token": "r", "token_info_url": "https://sts.googleapis.com/v1/introspect",
            "token_url": "https://sts.googleapis.com/v1/oauthtoken",
        })
    }

    fn ours(&self, document: &Value) -> Credentials {
        let options = DefaultOptions::new().trust_host(self.emulator.addr().to_string());
        options
            .load_json(&document.to_string())
            .unwrap()
            .credentials
    }
}

#[derive(Debug)]
struct Subject;

impl SubjectTokenProvider for Subject {
    type Error = CredentialsError;

    async fn subject_token(&self) -> Result<subject_token::SubjectToken, CredentialsError> {
        Ok(subject_token::Builder::new("subject").build())
    }
}

#[tokio::test]
async fn each_file_is_read_by_both() {
    let files = Files::new();
    let user = files.document(AdcKind::AuthorizedUser);
    let theirs = user_account::Builder::new(user.clone()).build();
    assert!(theirs.is_ok(), "{theirs:?}");
    assert_eq!(files.ours(&user).kind(), CredentialsKind::AuthorizedUser);

    let key = files.document(AdcKind::ServiceAccount);
    let access = service_account::AccessSpecifier::from_scopes([SCOPE]);
    let theirs = service_account::Builder::new(key.clone()).with_access_specifier(access);
    assert!(theirs.build().is_ok());
    assert_eq!(files.ours(&key).kind(), CredentialsKind::ServiceAccount);

    let acting = files.document(AdcKind::Impersonated);
    let theirs = impersonated::Builder::new(acting.clone()).build();
    assert!(theirs.is_ok(), "{theirs:?}");
    let kind = CredentialsKind::ImpersonatedServiceAccount;
    assert_eq!(files.ours(&acting).kind(), kind);

    let external = files.document(AdcKind::ExternalAccount);
    let theirs = external_account::Builder::new(external.clone()).build();
    assert!(theirs.is_ok(), "{theirs:?}");
    assert_eq!(
        files.ours(&external).kind(),
        CredentialsKind::ExternalAccount
    );

    let workforce = files.workforce();
    let theirs = external_account_authorized_user::Builder::new(workforce.clone()).build();
    assert!(theirs.is_ok(), "{theirs:?}");
    let kind = CredentialsKind::ExternalAccountAuthorizedUser;
    assert_eq!(files.ours(&workforce).kind(), kind);
}

#[tokio::test]
async fn each_builder_has_its_own_here() {
    let files = Files::new();
    let user = files.document(AdcKind::AuthorizedUser);
    let source = user_account::Builder::new(user.clone())
        .with_quota_project_id("billed-project")
        .build()
        .unwrap();
    let theirs = impersonated::Builder::from_source_credentials(source)
        .with_target_principal(READER)
        .with_delegates(["delegate@project.iam.gserviceaccount.com"])
        .with_scopes([SCOPE])
        .with_lifetime(Duration::from_secs(600));
    assert!(theirs.build().is_ok());
    let text = |name: &str| user[name].as_str().unwrap().to_owned();
    let built = Credentials::authorized_user(
        text("client_id"),
        text("client_secret"),
        text("refresh_token"),
    );
    let ours = built.build().unwrap().impersonate(READER);
    let ours = ours
        .delegates(["delegate@project.iam.gserviceaccount.com"])
        .scopes([SCOPE])
        .lifetime(Duration::from_secs(600));
    let kind = CredentialsKind::ImpersonatedServiceAccount;
    assert_eq!(ours.build().unwrap().kind(), kind);

    let external = files.document(AdcKind::ExternalAccount);
    let audience = external["audience"].as_str().unwrap();
    let theirs = external_account::ProgrammaticBuilder::new(Arc::new(Subject))
        .with_audience(audience)
        .with_subject_token_type("urn:ietf:params:oauth:token-type:jwt")
        .with_token_url("https://sts.googleapis.com/v1/token");
    assert!(theirs.build().is_ok());
    let supplied = SubjectToken::supplier(|| Ok("subject".to_owned()));
    let ours = Credentials::external_account(audience, supplied).build();
    assert_eq!(ours.unwrap().kind(), CredentialsKind::ExternalAccount);

    let key = files.document(AdcKind::ServiceAccount);
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let ours = Credentials::service_account_key(text("client_email"), text("private_key"));
    assert_eq!(
        ours.build().unwrap().kind(),
        CredentialsKind::ServiceAccount
    );
}

#[tokio::test]
async fn the_metadata_server_and_its_settings() {
    let emulator = Emulator::builder().start().unwrap();
    let theirs = mds::Builder::default()
        .with_endpoint(emulator.url())
        .with_quota_project_id("billed-project")
        .with_universe_domain("googleapis.com")
        .with_scopes([SCOPE])
        .with_retry_policy(NeverRetry)
        .with_backoff_policy(ExponentialBackoff::default())
        .with_retry_throttler(AdaptiveThrottler::default())
        .build()
        .unwrap();
    let policy = RetryPolicy::new().attempts(1);
    let client = MetadataClient::builder().endpoint(emulator.addr().to_string());
    let ours = Credentials::builder()
        .client(client.retry(policy).build().unwrap())
        .quota_project_id("billed-project")
        .universe_domain("googleapis.com")
        .scopes([SCOPE])
        .build()
        .unwrap();
    let CacheableResource::New { data, entity_tag } =
        theirs.headers(Extensions::new()).await.unwrap()
    else {
        unreachable!("there was no tag");
    };
    let headers = ours.headers().await.unwrap();
    assert_eq!(headers.tag(), headers.tag());
    let map: http::HeaderMap = headers.into();
    for name in ["authorization", "x-goog-user-project"] {
        assert!(data.contains_key(name) && map.contains_key(name), "{name}");
    }
    let mut tagged = Extensions::new();
    tagged.insert(entity_tag);
    let again = theirs.headers(tagged).await.unwrap();
    assert!(matches!(again, CacheableResource::NotModified));
    assert_eq!(
        theirs.universe_domain().await.as_deref(),
        Some("googleapis.com")
    );
    assert_eq!(ours.universe_domain().await.unwrap(), "googleapis.com");

    let theirs: AccessTokenCredentials = mds::Builder::default()
        .with_endpoint(emulator.url())
        .build_access_token_credentials()
        .unwrap();
    let _: String = theirs.access_token().await.unwrap().token;
    let token = ours.token().await.unwrap();
    let _: &str = token.secret();
    assert!(token.expires_at().is_some());
}

#[tokio::test]
async fn id_tokens_of_each_source() {
    let files = Files::new();
    let endpoint = files.emulator.url();
    let theirs = idtoken::mds::Builder::new(AUDIENCE)
        .with_endpoint(&endpoint)
        .with_format(idtoken::mds::Format::Full)
        .with_licenses(true)
        .build()
        .unwrap();
    let ours = IdTokenCredentials::builder(AUDIENCE)
        .endpoint(files.emulator.addr().to_string())
        .format(IdTokenFormat::Full)
        .licenses(true)
        .build()
        .unwrap();
    let _: String = theirs.id_token().await.unwrap();
    let _: &str = ours.token().await.unwrap().secret();

    // Theirs has no audience: it is that of the login, which ours wants named.
    let user = files.document(AdcKind::AuthorizedUser);
    let theirs = idtoken::user_account::Builder::new(user.clone())
        .with_token_uri(user["token_uri"].as_str().unwrap())
        .build()
        .unwrap();
    let theirs: String = theirs.id_token().await.unwrap();
    let client_id = user["client_id"].as_str().unwrap();
    let ours = files.ours(&user).id_token(client_id).unwrap();
    let ours = ours.token().await.unwrap();
    assert_eq!(ours.claims().audience(), Some(client_id));
    assert_eq!(theirs.split('.').count(), ours.secret().split('.').count());
    let error = files.ours(&user).id_token(AUDIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);

    let key = files.document(AdcKind::ServiceAccount);
    let theirs = idtoken::service_account::Builder::new(AUDIENCE, key.clone());
    assert!(theirs.build().is_ok());
    assert!(files.ours(&key).id_token(AUDIENCE).is_ok());
    let acting = files.document(AdcKind::Impersonated);
    let theirs = idtoken::impersonated::Builder::new(AUDIENCE, acting.clone());
    assert!(theirs.with_include_email().build().is_ok());
    let ours = files.ours(&acting).id_token(AUDIENCE).unwrap();
    assert!(ours.with_include_email(true).is_ok());
}

#[tokio::test]
async fn credentials_of_tests_and_their_errors() {
    let theirs = anonymous::Builder::new().build();
    assert!(theirs.headers(Extensions::new()).await.is_ok());
    assert!(Credentials::anonymous().headers().await.is_ok());
    let failing = theirs::testing::error_credentials(true);
    let error = failing.headers(Extensions::new()).await.unwrap_err();
    assert!(error.is_transient());
    let broken = user_account::Builder::new(json!({"type": "authorized_user"})).build();
    assert!(broken.unwrap_err().is_parsing());
    let error = Credentials::from_json(r#"{"type": "authorized_user"}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// What asks Google's own servers: compiled, and not run.
#[expect(dead_code, reason = "it is compiled against both crates")]
async fn what_asks_google() -> Result<(), Box<dyn std::error::Error>> {
    let theirs = theirs::Builder::default()
        .with_quota_project_id("billed-project")
        .with_scopes([SCOPE])
        .with_universe_domain("googleapis.com");
    let theirs = theirs.build()?;
    let _: CacheableResource<http::HeaderMap> = theirs.headers(Extensions::new()).await?;
    let signer = theirs::Builder::default().build_signer()?;
    let _: bytes::Bytes = signer.sign("content").await?;
    let _: String = signer.client_email().await?;
    let _ = theirs::Builder::default().build_access_token_credentials()?;
    let _ = mds::Builder::default().build_signer()?;
    let _ = idtoken::Builder::new(AUDIENCE)
        .with_include_email()
        .build()?;
    let options = DefaultOptions::new()
        .quota_project_id("billed-project")
        .scopes([SCOPE]);
    let ours = default_credentials(options).await?.credentials;
    let ours = ours.with_universe_domain("googleapis.com");
    let signer = Signer::new(ours);
    let _: Vec<u8> = signer.sign_bytes(b"content").await?.into_bytes();
    let _ = signer.fetch_service_account_email().await?;

    let verifier = idtoken::verifier::Builder::new([AUDIENCE])
        .with_email(READER)
        .with_jwks_url("https://www.googleapis.com/oauth2/v3/certs")
        .with_clock_skew(Duration::from_secs(10))
        .build();
    let theirs = verifier.verify("token").await;
    let _: bool = theirs.is_err_and(|error| error.is_invalid());
    let ours = IdTokenVerifier::builder()
        .audiences([AUDIENCE])
        .email(READER)
        .jwks_url("https://www.googleapis.com/oauth2/v3/certs")
        .leeway(Duration::from_secs(10))
        .build()?;
    let _ = ours.verify("token").await?;
    Ok(())
}
