//! What servers send, read under assertions: for the crate `fuzz` alone, and
//! no part of the public API.
//!
//! Each function takes any bytes and panics where a promise is broken: what is
//! accepted can be sent and expires; what is refused is refused in one short
//! line that quotes no token.

#[cfg(feature = "adc")]
mod files;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Response, StatusCode};

#[cfg(feature = "adc")]
pub use crate::fuzzing::files::{aws, boundary, credentials_file, subject};
use crate::{
    refresh::policy::{Freshness, Policy},
    tokens::id_token::IdToken,
    values::{
        endpoint::Endpoint,
        error::{Error, ErrorKind},
        jwt::UnverifiedClaims,
        token::{Bearer, Now},
    },
    wire::{
        account,
        request::{self, MetadataPath, Query},
        response::{self, Answer},
        retry::{self, RetryPolicy},
    },
};

const NOW: Now = Now::new(
    Duration::from_secs(1_800_000_000),
    Duration::from_secs(1_000_000),
);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const AUDIENCE: &str = "https://a.example";
/// No error needs more than this to be told.
const LONGEST_LINE: usize = 1024;

/// The answer to a request for an access token.
pub fn token(body: &[u8]) {
    match response::token(&answer(body), NOW) {
        Ok(bearer) => {
            check_bearer(&bearer);
            let sent = serde_json::from_slice::<serde_json::Value>(body)
                .ok()
                .and_then(|value| value.get("access_token")?.as_str().map(str::to_owned));
            assert_eq!(sent.as_deref(), Some(bearer.value().token()));
        }
        Err(error) => check_refusal(&error, body),
    }
}

/// The description of an account, and the texts that are asked for apart.
pub fn account(body: &[u8]) {
    let answer = answer(body);
    match account::account_info(&answer) {
        Ok(info) => {
            assert!(
                !info.email.is_empty() && info.email.bytes().all(|byte| byte.is_ascii_graphic())
            );
            let lists = info.aliases.iter().chain(&info.scopes);
            let bytes: usize = lists.map(String::len).sum();
            assert!(bytes + info.email.len() <= body.len());
        }
        Err(error) => check_refusal(&error, body),
    }
    let Ok(text) = answer.text() else { return };
    for line in response::lines(text) {
        assert!(!line.is_empty() && line == line.trim() && !line.contains('\n'));
    }
    match response::universe_domain(text) {
        Ok(domain) => {
            let url = format!("https://iamcredentials.{domain}/v1");
            assert!(
                url.parse::<http::Uri>()
                    .is_ok_and(|uri| uri.path() == "/v1")
            );
        }
        Err(error) => check_refusal(&error, body),
    }
    assert!(!response::last_segment(text).contains('/'));
    if let Some(region) = response::region_of(text) {
        assert!(text.starts_with(region));
    }
    if let Some(wait) = retry::after::retry_after(text, Some(NOW.wall)) {
        let left = Duration::from_secs(10);
        let next = RetryPolicy::new().next_wait(1, 0, Some(wait), left, 0.5);
        assert!(next.is_none_or(|next| wait <= next && next < left));
    }
}

/// The answer to a request for an ID token: after a first byte that is even,
/// the answer as it is; after one that is odd, the claims of a token.
pub fn identity(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else {
        return;
    };
    let wrapped;
    let body = if form % 2 == 0 {
        rest
    } else {
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        wrapped = format!("{}.{}.{}", part(b"{}"), part(rest), part(b"signature"));
        wrapped.as_bytes()
    };
    match response::identity(&answer(body), AUDIENCE, NOW) {
        Ok(bearer) => {
            check_bearer(&bearer);
            let claims =
                UnverifiedClaims::read(bearer.value().token()).expect("it was read before");
            // For nobody in particular, or for whom it was asked; for nobody else.
            assert!(!claims.has("aud") || claims.is_for(AUDIENCE));
            let ends = bearer.validity().ends().expect("an end");
            let claimed = claims.expiry().expect("an expiry");
            assert!(ends.wall.as_secs_f64() <= claimed + 1.0);
            check_claims(&IdToken(bearer));
        }
        Err(error) => check_refusal(&error, body),
    }
}

/// Whatever is in an ID token, its claims can be asked for.
fn check_claims(token: &IdToken) {
    let claims = token.claims();
    let _ = (claims.issuer(), claims.subject(), claims.email());
    let _ = (claims.audience(), claims.get("exp"));
    let json = claims.to_json();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok_and(|json| json.is_object()));
    if let Some(instance) = claims.compute_engine() {
        let _ = (instance.instance_id(), instance.instance_name());
        let _ = (instance.project_id(), instance.project_number());
        let _ = (instance.zone(), instance.instance_creation_timestamp());
        assert!(instance.license_ids().len() <= json.len());
    }
}

/// Any answer: after two bytes of status and a byte that says which headers
/// there are, the body.
pub fn refusal(bytes: &[u8]) {
    let [high, low, headers, body @ ..] = bytes else {
        return;
    };
    let code = u16::from_be_bytes([*high, *low]) % 900 + 100;
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    for (bit, name, value) in [
        (1, "metadata-flavor", "Google"),
        (2, "metadata-flavor", "google"),
        (4, "retry-after", "7"),
        (8, "location", "/computeMetadata/v1/instance/"),
    ] {
        if headers & bit != 0 {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
    }
    // Two of them are one too many.
    let flavor = headers & 3 == 1;
    let slash = response::adds_only_a_slash(&response, "/computeMetadata/v1/instance");
    assert!(!slash || (flavor && code == 301 && headers & 8 != 0));
    match response::accept(response, NOW) {
        Ok(answer) => {
            assert!(flavor && code == 200);
            let _ = (answer.text(), answer.json());
        }
        Err(failure) => {
            assert!(!flavor || code != 200);
            check_refusal(&failure.error, body);
        }
    }
}

/// The address of a server, a path on it, an account and a query, one line
/// each.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let endpoint = match Endpoint::parse(line()) {
        Ok(endpoint) => {
            let text = endpoint.to_string();
            let again = Endpoint::parse(&text).expect("it was read before");
            assert_eq!(again, endpoint);
            let uri = endpoint.uri("/").expect("a root");
            let authority = uri.authority().expect("an authority");
            assert_eq!((authority.as_str(), uri.path()), (&*text, "/"));
            assert!(!text.contains(['@', '/', ' ']) && !authority.host().is_empty());
            assert_ne!(authority.port_u16(), Some(0));
            endpoint
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains('\n'));
            Endpoint::well_known()
        }
    };
    for path in [
        MetadataPath::new(line()),
        MetadataPath::account(line(), "token"),
    ] {
        let Ok(path) = path else { continue };
        let value = line();
        let query = Query::default()
            .with("audience", value)
            .with("format", "full");
        let request = request::value(&endpoint, &path, &query).expect("a request");
        let uri = request.uri();
        assert_eq!(uri.path(), format!("/computeMetadata/v1/{}", path.as_str()));
        let segments = || path.as_str().split('/');
        assert!(segments().all(|part| part != ".." && part != "."));
        let query = uri.query().expect("a query");
        let (audience, rest) = query.split_once('&').expect("two parameters");
        assert_eq!(rest, "format=full");
        let sent = audience.strip_prefix("audience=").expect("the first");
        let sent = percent_encoding::percent_decode_str(sent);
        assert_eq!(sent.decode_utf8().as_deref(), Ok(value));
        assert!(!request::location(&request).contains('?'));
    }
}

/// Published keys, with certificates in PEM after a first byte that is odd,
/// and as a JWK set after one that is even.
#[cfg(feature = "verify")]
pub fn keys(bytes: &[u8]) {
    use crate::wire::jwks::{Form, KeySet};
    let Some((form, rest)) = bytes.split_first() else {
        return;
    };
    let read = match form % 4 {
        0 | 2 => KeySet::read(Form::Jwks, rest),
        1 => KeySet::read(Form::Certificates, rest),
        // The certificate alone, so that its text is seen unescaped.
        _ => {
            let pem = String::from_utf8_lossy(rest);
            let document = serde_json::json!({ "k": pem }).to_string();
            KeySet::read(Form::Certificates, document.as_bytes())
        }
    };
    match read {
        Ok(keys) => {
            for key in keys.named("k") {
                check_key(&key.material);
            }
        }
        Err(error) => check_refusal(&error, rest),
    }
}

#[cfg(feature = "verify")]
fn check_key(material: &crate::wire::jwks::Material) {
    use crate::{io::crypto, wire::jwks::Material};
    match material {
        Material::Rsa { n, e } => {
            assert!((256..=1024).contains(&n.len()) && (1..=4).contains(&e.len()));
            assert!(n[0] != 0 && e[0] != 0);
        }
        Material::P256(point) => assert!(point.len() == 65 && point[0] == 4),
        Material::Unusable(_) => {}
    }
    assert!(!crypto::verifies(material, b"message", &[1; 64]));
}

/// A token that a client sends, which no key has signed: after a first byte
/// that is even the token, after one that is odd its header and its claims, a
/// line each. None is ever accepted.
#[cfg(feature = "verify")]
pub fn verify(bytes: &[u8]) {
    use crate::verifier::IdTokenVerifier;
    // A key of P-256 that nobody kept the private half of.
    const KEYS: &str = include_str!("fuzzing/keys.json");
    thread_local! {
        static VERIFIER: IdTokenVerifier = IdTokenVerifier::builder()
            .audience(AUDIENCE)
            .keys(KEYS)
            .build()
            .expect("a verifier");
    }
    let Some((form, rest)) = bytes.split_first() else {
        return;
    };
    let token = if form % 2 == 0 {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        let mut lines = rest.splitn(2, |byte| *byte == b'\n');
        let mut part = || BASE64_URL_SAFE_NO_PAD.encode(lines.next().unwrap_or_default());
        let (header, claims) = (part(), part());
        format!(
            "{header}.{claims}.{}",
            BASE64_URL_SAFE_NO_PAD.encode([1; 64])
        )
    };
    let verified = VERIFIER.with(|verifier| verifier.blocking_verify(&token));
    let error = verified.expect_err("it has no signature");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    // Some names of the token's own are shown, shortened, and escaped: up to
    // ten bytes for a character.
    check_line(&error, 8 * LONGEST_LINE);
}

fn answer(body: &[u8]) -> Answer {
    let mut response = Response::new(body.to_vec());
    let google = http::HeaderValue::from_static("Google");
    response.headers_mut().insert("metadata-flavor", google);
    response::accept(response, NOW).expect("an answer of a metadata server")
}

/// Accepted: it can be sent, it expires, and it is good for something now.
fn check_bearer(bearer: &Bearer) {
    let token = bearer.value().token();
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    let header = bearer.value().header();
    assert!(header.is_sensitive());
    assert_eq!(header.to_str().ok(), Some(&*format!("Bearer {token}")));
    assert!(!format!("{bearer:?}").contains(token) || token.len() < 16);
    let ends = bearer.validity().ends().expect("no token is for ever");
    assert!(ends.wall > NOW.wall && ends.boot > NOW.boot);
    let lifetime = bearer.validity().lifetime();
    assert!(!lifetime.is_zero() && lifetime <= CENTURY);
    for sample in [0.0, 1.0] {
        let deadlines = Policy::new().deadlines(bearer.validity(), sample);
        assert!(
            deadlines.judge(NOW.into()) > Freshness::Invalid,
            "born invalid"
        );
        assert_eq!(deadlines.judge(ends.into()), Freshness::Invalid);
    }
}

/// Refused: in one line, short, with nothing in it that could be a token.
fn check_refusal(error: &Error, body: &[u8]) {
    let line = check_line(error, LONGEST_LINE);
    let document = serde_json::from_slice::<serde_json::Value>(body).ok();
    let token = document
        .as_ref()
        .and_then(|value| value.get("access_token")?.as_str());
    if let Some(token) = token.filter(|token| token.len() >= 32) {
        assert!(!line.contains(token), "a token is quoted");
    }
}

fn check_line(error: &Error, longest: usize) -> String {
    let line = error.to_string();
    assert!(line.len() <= longest, "{} bytes", line.len());
    assert!(!line.contains(['\n', '\r', '\0', '\x1b']), "{line:?}");
    line
}
