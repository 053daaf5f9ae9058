//! Signatures by IAM, over real sockets, verified by whoever receives them.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_executor::block_on;
use gce_auth::{
    Credentials, ErrorKind, IdTokenVerifier, Signer, SignerBuilder, StorageUrl,
    time::{Clock, Now, SystemClock},
};
use gce_auth_emulator::{Account, Emulator, Fault};
use serde_json::json;
use support::{EMAIL, client, emulator, now};

const AUDIENCE: &str = "https://service.example";
const IAM: &str = "/v1/projects/-/serviceAccounts/";

/// The machine's time, and no wait.
#[derive(Debug)]
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Now {
        SystemClock::new().now()
    }

    fn sleep(&self, _: Duration) {}
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Now {
        let time = Duration::from_secs(1_700_000_000);
        Now::new(time, time)
    }

    fn sleep(&self, _: Duration) {}
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn builder(emulator: &Emulator) -> SignerBuilder {
    let client = client(emulator).clock(Arc::new(Hurried)).build().unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    Signer::builder()
        .credentials(credentials)
        .iam_endpoint(emulator.url())
}

fn signer(emulator: &Emulator) -> Signer {
    builder(emulator).build().unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn claims() -> String {
    let now = SystemClock::new().now().wall.as_secs();
    json!({"iss": EMAIL, "sub": EMAIL, "aud": AUDIENCE, "iat": now - 1, "exp": now + 600})
        .to_string()
}

fn verifier(emulator: &Emulator) -> IdTokenVerifier {
    IdTokenVerifier::builder()
        .audience(AUDIENCE)
        .issuer(EMAIL)
        .jwks_url(format!("{}/oauth2/v3/certs", emulator.url()))
        .build()
        .unwrap()
}

fn iam_requests(emulator: &Emulator) -> usize {
    let requests = emulator.requests();
    let iam = requests.iter().filter(|it| it.path.starts_with(IAM));
    iam.count()
}

#[test]
fn a_jwt_that_iam_signs_is_verified_by_its_receiver() {
    let emulator = emulator();
    let signer = signer(&emulator);
    let jwt = block_on(signer.sign_jwt(&claims())).unwrap();
    let claims = verifier(&emulator).blocking_verify(jwt.secret()).unwrap();
    assert_eq!(claims.issuer(), EMAIL);
    assert!(!format!("{jwt:?}").contains(jwt.secret()));
    assert_eq!(
        block_on(signer.fetch_service_account_email()).unwrap(),
        EMAIL
    );
}

#[test]
fn a_signature_over_bytes_is_one_by_the_key_it_names() {
    let emulator = emulator();
    let signer = signer(&emulator);
    let key = signer.blocking_sign_bytes(b"").unwrap().key_id().to_owned();
    let header = json!({"alg": "RS256", "kid": key}).to_string();
    let message = format!("{}.{}", base64(header), base64(claims()));
    let signature = block_on(signer.sign_bytes(message.as_bytes())).unwrap();
    assert_eq!(signature.key_id(), key);
    let token = format!("{message}.{}", base64(signature.bytes()));
    verifier(&emulator).blocking_verify(&token).unwrap();
    let again = signer.blocking_sign_bytes(message.as_bytes()).unwrap();
    assert_eq!(again, signature, "PKCS #1 v1.5 has no randomness");
}

#[test]
fn a_signed_url_is_signed_over_its_canonical_request() {
    let emulator = emulator();
    let client = client(&emulator).clock(Arc::new(Stopped)).build().unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let builder = Signer::builder().credentials(credentials);
    let signer = builder.iam_endpoint(emulator.url()).build().unwrap();
    let wish = StorageUrl::object("bucket", "a b").header("X-Goog-Meta-A", " 1  2 ");
    let url = block_on(signer.sign_url(&wish)).unwrap();
    let query = "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=\
        emulator%40emulator-project.iam.gserviceaccount.com%2F20231114%2Fauto%2Fstorage%2F\
        goog4_request&X-Goog-Date=20231114T221320Z&X-Goog-Expires=900\
        &X-Goog-SignedHeaders=host%3Bx-goog-meta-a";
    let canonical = format!(
        "GET\n/bucket/a%20b\n{query}\nhost:storage.googleapis.com\nx-goog-meta-a:1 2\n\n\
         host;x-goog-meta-a\nUNSIGNED-PAYLOAD"
    );
    let scope = "20231114T221320Z\n20231114/auto/storage/goog4_request";
    let hash = digest(&SHA256, canonical.as_bytes());
    let text = format!("GOOG4-RSA-SHA256\n{scope}\n{}", hex(hash.as_ref()));
    let signature = signer.blocking_sign_bytes(text.as_bytes()).unwrap();
    let signature = hex(signature.bytes());
    assert_eq!(
        url.secret(),
        format!("https://storage.googleapis.com/bucket/a%20b?{query}&X-Goog-Signature={signature}")
    );
    assert!(!format!("{url:?}").contains(&signature));
    let error = signer
        .blocking_sign_url(&StorageUrl::object("", "o"))
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 0));
}

#[test]
fn email_token_and_universe_are_asked_for_once() {
    let emulator = emulator();
    let signer = signer(&emulator);
    for _ in 0..5 {
        signer.blocking_sign_bytes(b"bytes").unwrap();
    }
    assert_eq!(iam_requests(&emulator), 5);
    assert_eq!(emulator.requests().len(), 5 + 2);
}

#[test]
fn one_account_signs_as_another() {
    let other = "signer@emulator-project.iam.gserviceaccount.com";
    let emulator = Emulator::builder()
        .account(Account::new(EMAIL))
        .account(Account::new(other))
        .start()
        .unwrap();
    let signer = builder(&emulator).service_account(other).build().unwrap();
    signer.blocking_sign_bytes(b"bytes").unwrap();
    let requests = emulator.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.path, format!("{IAM}{other}:signBlob"));
}

#[test]
fn one_account_signs_as_another_through_others() {
    let (between, other) = ("between@x.example", "signer@x.example");
    let emulator = Emulator::builder()
        .account(Account::new(EMAIL))
        .account(Account::new(between))
        .account(Account::new(other))
        .start()
        .unwrap();
    let through = |delegates: [&str; 2]| {
        let builder = builder(&emulator).service_account(other);
        builder.delegates(delegates).build().unwrap()
    };
    let signer = through([EMAIL, between]);
    signer.blocking_sign_bytes(b"bytes").unwrap();
    block_on(signer.sign_jwt(&claims())).unwrap();
    let error = through([between, "stranger@x.example"])
        .blocking_sign_bytes(b"bytes")
        .unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(error.to_string().contains("stranger@x.example"), "{error}");
}

#[test]
fn a_missing_scope_or_account_is_named() {
    let narrow = Account::new(EMAIL).scopes(["https://www.googleapis.com/auth/userinfo.email"]);
    let emulator = Emulator::builder().account(narrow).start().unwrap();
    let error = signer(&emulator).blocking_sign_bytes(b"bytes").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!((error.status(), error.attempts()), (Some(403), 1));
    assert!(error.to_string().contains("PERMISSION_DENIED"), "{error}");
    assert!(error.hint().unwrap().contains("cloud-platform"), "{error}");

    let emulator = support::emulator();
    let nobody = builder(&emulator).service_account("nobody@example.com");
    let error = nobody
        .build()
        .unwrap()
        .blocking_sign_bytes(b"")
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Refused, Some(404))
    );
    assert!(error.to_string().contains("nobody@example.com"), "{error}");
}

#[test]
fn faults_that_pass_are_bridged_and_others_are_told() {
    let emulator = emulator();
    let signer = signer(&emulator);
    for code in [500, 502, 503, 504] {
        let retry_after = None;
        emulator.fail_next(IAM, 2, Fault::Status { code, retry_after });
        signer.blocking_sign_bytes(b"bytes").unwrap();
        emulator.fail_next(IAM, 3, Fault::Status { code, retry_after });
        let error = signer.blocking_sign_bytes(b"bytes").unwrap_err();
        assert_eq!(
            (error.kind(), error.attempts()),
            (ErrorKind::Unavailable, 3)
        );
    }
    emulator.fail_next(IAM, 2, Fault::Close);
    signer.blocking_sign_bytes(b"bytes").unwrap();
    emulator.clear_requests();
    emulator.revoke_tokens();
    let error = signer.blocking_sign_bytes(b"bytes").unwrap_err();
    assert_eq!((error.status(), iam_requests(&emulator)), (Some(401), 1));
    // The token that was rejected is dropped, and the next call has another.
    signer.blocking_sign_bytes(b"bytes").unwrap();
}

#[test]
fn an_answer_that_never_comes_is_waited_for_no_longer_than_allowed() {
    let emulator = emulator();
    let mut limits = gce_auth::transport::Limits::new();
    limits.attempt = Duration::from_millis(50);
    let signer = builder(&emulator).limits(limits).build().unwrap();
    emulator.fail_next(IAM, 3, Fault::Hang);
    let start = now();
    let error = signer.blocking_sign_bytes(b"bytes").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 3));
    assert!(now() - start < Duration::from_secs(30));
}

#[test]
fn a_server_that_this_system_does_not_trust_is_told_nothing() {
    let emulator = Emulator::builder()
        .https("127.0.0.1:0".parse().unwrap())
        .start()
        .unwrap();
    let https = format!("https://{}", emulator.https_addr().unwrap());
    let signer = builder(&emulator).iam_endpoint(https).build().unwrap();
    let error = signer.blocking_sign_bytes(b"bytes").unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Tls, 1),
        "{error}"
    );
    assert_eq!(iam_requests(&emulator), 0);
}
