use std::time::Duration;

use super::*;
use crate::values::error::ErrorKind;

fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn now() -> Now {
    Now::new(Duration::from_secs(1000), Duration::from_secs(1))
}

#[test]
fn a_narrower_token_is_asked_for_with_its_boundary() {
    let url = "https://sts.googleapis.com/v1/token";
    let request = downscope(url, "ya29.x", r#"{"a":1}"#).unwrap();
    let body = String::from_utf8(request.into_body()).unwrap();
    assert!(body.contains("subject_token=ya29.x&"), "{body}");
    assert!(body.ends_with("&options=%7B%22a%22%3A1%7D"), "{body}");
}

#[test]
fn a_narrower_token_without_an_end_ends_with_its_source() {
    let source = Validity::lasting(now(), Duration::from_secs(77));
    for body in [
        r#"{"access_token":"t"}"#,
        r#"{"access_token":"t","expires_in":0}"#,
        r#"{"access_token":"t","expires_in":null}"#,
    ] {
        let token = downscoped(answer(200, body), now(), source).unwrap();
        assert_eq!(*token.validity(), source, "{body}");
    }
    let body = r#"{"access_token":"t","expires_in":"60"}"#;
    let token = downscoped(answer(200, body), now(), source).unwrap();
    assert_eq!(token.validity().lifetime(), Duration::from_secs(60));
}

#[test]
fn a_narrower_token_never_outlives_its_source() {
    let source = Validity::lasting(now(), Duration::from_secs(77));
    let later = Now::new(Duration::from_secs(1010), Duration::from_secs(11));
    // Rounded up, or counted from a later request.
    for expires_in in [68, 77, 3600] {
        let body = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
        let token = downscoped(answer(200, &body), later, source).unwrap();
        assert_eq!(token.validity().ends(), source.ends(), "{expires_in}");
    }
}

#[test]
fn refusals_say_why() {
    let body =
        r#"{"error":"invalid_grant","error_description":"d","error_uri":"https://e.example"}"#;
    let error = accept(answer(400, body)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let said = error.to_string();
    assert!(
        said.contains("the token exchange gave no token: invalid_grant: d: https://e"),
        "{said}"
    );
    let refused = r#"{"error":"invalid_grant"}"#;
    let error = exchanged(answer(400, refused), now()).unwrap_err();
    assert!(error.hint().unwrap().contains("the pool's provider"));
    for (status, body, kind) in [
        (500, "", ErrorKind::Unavailable),
        (401, "no", ErrorKind::Refused),
        (200, "", ErrorKind::InvalidResponse),
        (200, "[]", ErrorKind::InvalidResponse),
    ] {
        assert_eq!(
            accept(answer(status, body)).unwrap_err().kind(),
            kind,
            "{status}"
        );
    }
}
