use http::HeaderValue;
use serde_json::json;

use super::*;

fn number(bits: usize) -> String {
    let mut bytes = vec![0xff; bits / 8];
    bytes.insert(0, 0);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_jwk(bits: usize) -> Value {
    json!({"kid": "k", "kty": "RSA", "n": number(bits), "e": "AQAB"})
}

/// A number of so many bytes that begins with `first`.
fn odd(first: u8, length: usize) -> String {
    let mut bytes = vec![0xff; length];
    bytes[0] = first;
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn ec_jwk() -> Value {
    let coordinate = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate})
}

fn read(jwk: &Value) -> Result<KeySet, Error> {
    KeySet::read(Form::Jwks, json!({ "keys": [jwk] }).to_string().as_bytes())
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

#[test]
fn keys_are_found_by_their_id() {
    let keys = read(&rsa_jwk(2048)).unwrap();
    let key = keys.named("k").next().unwrap();
    assert_eq!(key.algorithm(), Some(Algorithm::Rs256));
    let Material::Rsa { n, e } = &key.material else {
        panic!("not RSA")
    };
    assert_eq!((n.len(), &**e), (256, &[1, 0, 1][..]));
    assert!(keys.named("other").next().is_none());
    let keys = read(&ec_jwk()).unwrap();
    let key = keys.named("k").next().unwrap();
    assert_eq!(key.algorithm(), Some(Algorithm::Es256));
    for good in [
        with(rsa_jwk(8192), "alg", json!("RS256")),
        with(rsa_jwk(4096), "use", json!("sig")),
        with(ec_jwk(), "key_ops", json!(["verify"])),
        with(ec_jwk(), "alg", json!("ES256")),
    ] {
        assert!(read(&good).is_ok(), "{good}");
    }
}

#[test]
fn keys_for_something_else_are_passed_over() {
    for bad in [
        json!(7),
        json!({}),
        with(rsa_jwk(2048), "kid", json!("")),
        with(rsa_jwk(2048), "kid", json!(1)),
        with(rsa_jwk(2048), "kty", json!("oct")),
        with(rsa_jwk(2048), "alg", json!("RS512")),
        with(rsa_jwk(2048), "alg", json!("ES256")),
        with(rsa_jwk(2048), "alg", json!(null)),
        with(rsa_jwk(2048), "use", json!("enc")),
        with(rsa_jwk(2048), "key_ops", json!(["sign"])),
        with(rsa_jwk(2048), "n", json!("not base64!")),
        with(ec_jwk(), "crv", json!("P-384")),
        with(ec_jwk(), "kty", json!("OKP")),
    ] {
        assert_eq!(
            read(&bad).unwrap_err().kind(),
            ErrorKind::InvalidResponse,
            "{bad}"
        );
    }
}

#[test]
fn keys_of_a_bad_size_cannot_be_used() {
    for (bad, why) in [
        (rsa_jwk(1024), "less than 2048"),
        (rsa_jwk(2040), "less than 2048"),
        (rsa_jwk(0), "less than 2048"),
        (
            with(rsa_jwk(2048), "n", json!(odd(0x7f, 256))),
            "less than 2048",
        ),
        (
            with(rsa_jwk(2048), "n", json!(odd(0x01, 1025))),
            "more than 8192",
        ),
        (rsa_jwk(8200), "more than 8192"),
        (with(rsa_jwk(2048), "e", json!("AQ")), "exponent"),
        (with(rsa_jwk(2048), "e", json!("AA")), "exponent"),
        (with(rsa_jwk(2048), "e", json!("BA")), "exponent"),
        (with(rsa_jwk(2048), "e", json!("AQAAAAAB")), "exponent"),
        (with(ec_jwk(), "x", json!("AQAB")), "point"),
    ] {
        let error = read(&bad).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn what_is_no_key_set_is_refused() {
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>"] {
        let error = KeySet::read(Form::Jwks, bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{bad}");
    }
    for bad in ["{}", r#"{"k":7}"#, r#"{"k":"no certificate"}"#] {
        assert!(
            KeySet::read(Form::Certificates, bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn lifetimes_come_from_cache_control() {
    for (cache, age, seconds) in [
        (None, None, None),
        (Some("public"), None, None),
        (Some("max-age=soon"), None, None),
        (
            Some("public, max-age=19000, must-revalidate"),
            None,
            Some(19000),
        ),
        (Some("Max-Age=\"60\""), None, Some(60)),
        (Some("max-age=100"), Some("40"), Some(60)),
        (Some("max-age=100"), Some("400"), Some(0)),
        (Some("max-age=100, no-store"), None, Some(0)),
        (Some("no-cache"), None, Some(0)),
    ] {
        let mut response = Response::new(());
        for (name, value) in [(header::CACHE_CONTROL, cache), (header::AGE, age)] {
            if let Some(value) = value {
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
        }
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(lifetime(&response), expected, "{cache:?}");
    }
}

#[test]
fn answers_without_keys_say_why() {
    for (status, kind) in [
        (404, ErrorKind::InvalidResponse),
        (301, ErrorKind::InvalidResponse),
        (501, ErrorKind::InvalidResponse),
        (429, ErrorKind::RateLimited),
        (408, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
    ] {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let failure = keys(Form::Jwks, &response).unwrap_err();
        assert_eq!(failure.error.kind(), kind);
    }
}

#[test]
fn urls_that_make_no_sense_are_refused() {
    assert!(url("http://127.0.0.1:1/oauth2/v3/certs").is_ok());
    for bad in [
        "",
        "certs",
        "/certs",
        "ftp://h/x",
        "https://",
        "https://u@h/",
    ] {
        assert_eq!(url(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
}
