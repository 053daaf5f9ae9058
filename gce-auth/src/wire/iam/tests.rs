#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use super::*;

const EMAIL: &str = "signer@project.iam.gserviceaccount.com";

fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
    Response::builder()
        .status(status)
        .body(body.as_bytes().to_vec())
        .unwrap()
}

fn refused(status: u16, body: &str) -> Error {
    signed_blob(answer(status, body)).unwrap_err().error
}

#[test]
fn a_blob_is_sent_as_base64_to_the_account() {
    let endpoint = IamEndpoint::parse("https://iamcredentials.googleapis.com").unwrap();
    let request = sign_blob(&endpoint, Signatory::alone(EMAIL), b"\xff\xfe?").unwrap();
    assert_eq!(
        request.uri(),
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
         signer@project.iam.gserviceaccount.com:signBlob"
    );
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.body(), br#"{"payload":"//4/"}"#);
}

#[test]
fn claims_are_sent_as_a_text() {
    let endpoint = IamEndpoint::parse("http://127.0.0.1:8080/").unwrap();
    let request = sign_jwt(&endpoint, Signatory::alone(EMAIL), r#"{"a":1}"#).unwrap();
    assert_eq!(
        request.uri().to_string(),
        format!("http://127.0.0.1:8080/v1/projects/-/serviceAccounts/{EMAIL}:signJwt")
    );
    assert_eq!(request.body(), br#"{"payload":"{\"a\":1}"}"#);
    assert!(check_claims(r#"{"a":1}"#).is_ok());
    for bad in ["", "[]", "1", "{", "null"] {
        assert_eq!(check_claims(bad).unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn delegates_are_sent_by_their_resource_names() {
    let endpoint = IamEndpoint::parse("http://127.0.0.1:8080").unwrap();
    let delegates = ["a@b".to_owned(), "113400000000000000000".to_owned()];
    let who = Signatory {
        email: EMAIL,
        delegates: Some(&delegates),
    };
    for request in [
        sign_blob(&endpoint, who, b"x").unwrap(),
        sign_jwt(&endpoint, who, "{}").unwrap(),
    ] {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body["delegates"],
            json!([
                "projects/-/serviceAccounts/a@b",
                "projects/-/serviceAccounts/113400000000000000000"
            ])
        );
        assert!(request.uri().path().contains(EMAIL));
    }
}

#[test]
fn endpoints_that_make_no_sense_are_refused() {
    for bad in [
        "",
        "iamcredentials.googleapis.com",
        "ftp://host",
        "https://",
        "https://host/path",
        "https://host/?q",
        "https://user@host",
        "https://a b",
    ] {
        let error = IamEndpoint::parse(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
    }
}

#[test]
fn accounts_that_cannot_stand_in_the_path_are_refused() {
    for good in [
        EMAIL,
        "113400000000000000000",
        "p:x@appspot.gserviceaccount.com",
    ] {
        assert!(check_account(good).is_ok(), "{good}");
    }
    for bad in [
        "", "default", "a/b@c", "a@b?x", "a@b#", "a @b", "a@%2e", "é@b",
    ] {
        assert!(check_account(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_are_read_strictly() {
    let (key, signature) =
        signed_blob(answer(200, r#"{"keyId":"k","signedBlob":"AQID"}"#)).unwrap();
    assert_eq!((key.as_str(), &*signature), ("k", &[1, 2, 3][..]));
    for body in [
        "",
        "[]",
        "<html>",
        "{}",
        r#"{"keyId":"k"}"#,
        r#"{"keyId":"","signedBlob":"AQID"}"#,
        r#"{"keyId":1,"signedBlob":"AQID"}"#,
        r#"{"keyId":"k","signedBlob":""}"#,
        r#"{"keyId":"k","signedBlob":"AQI"}"#,
        r#"{"keyId":"k","signedBlob":"_-8="}"#,
        r#"{"keyId":"k","signedBlob":" AQID"}"#,
        r#"{"keyId":"k","signedBlob":["AQID"]}"#,
    ] {
        let error = refused(200, body);
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert!(!error.to_string().contains("AQI"), "{error}");
    }
    let (key, jwt) = signed_jwt(answer(200, r#"{"keyId":"k","signedJwt":"a.b.c"}"#)).unwrap();
    assert_eq!((key.as_str(), jwt.as_str()), ("k", "a.b.c"));
    for jwt in ["a.b", "a.b.c.d", "a.b.c\\n", "a.b c.d"] {
        let body = format!(r#"{{"keyId":"k","signedJwt":"{jwt}"}}"#);
        assert!(signed_jwt(answer(200, &body)).is_err(), "{jwt}");
    }
}

#[test]
fn a_refusal_says_what_is_missing() {
    for (status, body, hint) in [
        (
            403,
            r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":
               "Permission 'iam.serviceAccounts.signBlob' denied on resource"}}"#,
            "roles/iam.serviceAccountTokenCreator",
        ),
        (
            403,
            r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"x",
               "details":[{"@type":"t"},{"reason":"SERVICE_DISABLED"}]}}"#,
            "iamcredentials.googleapis.com",
        ),
        (
            403,
            r#"{"error":{"message":"IAM Service Account Credentials API has not been used in project 1 before or it is disabled."}}"#,
            "iamcredentials.googleapis.com",
        ),
        (
            403,
            r#"{"error":{"message":"The API has not been used in project 1 before."}}"#,
            "iamcredentials.googleapis.com",
        ),
        (
            403,
            r#"{"error":{"message":"The API cannot be called: it is disabled."}}"#,
            "iamcredentials.googleapis.com",
        ),
        (
            403,
            r#"{"error":{"message":"x","details":[{"reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}"#,
            "auth/cloud-platform",
        ),
        (
            403,
            r#"{"error":{"message":"Request had insufficient authentication scopes."}}"#,
            "auth/cloud-platform",
        ),
        (
            404,
            r#"{"error":{"message":"Not found; Gaia id not found"}}"#,
            "exist",
        ),
        (401, "{}", "access token"),
    ] {
        let error = refused(status, body);
        assert_eq!(error.kind(), ErrorKind::Refused, "{body}");
        assert_eq!(error.status(), Some(status));
        assert!(error.hint().unwrap().contains(hint), "{error}");
        assert!(!error.is_retryable());
    }
    let error = refused(
        400,
        r#"{"error":{"status":"INVALID_ARGUMENT","message":"The payload\n is required."}}"#,
    );
    assert_eq!(
        error.to_string(),
        "the IAM API refused the request: INVALID_ARGUMENT: The payload is required."
    );
}

#[test]
fn statuses_become_kinds() {
    for (status, kind) in [
        (429, ErrorKind::RateLimited),
        (408, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (301, ErrorKind::InvalidResponse),
        (204, ErrorKind::InvalidResponse),
        (400, ErrorKind::Refused),
    ] {
        let error = refused(status, "<html>oops</html>");
        assert_eq!(error.kind(), kind, "{status}");
        assert!(!error.to_string().contains("oops"));
    }
}

#[test]
fn what_could_be_a_secret_is_not_repeated() {
    let secret = "x".repeat(100);
    for secret in [
        &secret,
        "ya29.c.q9Zt3KxW7vB1",
        "https://x/?token=eyJhbGciOiJS",
    ] {
        let body = json!({"error": {"message": format!("bad token {secret} here"), "status": 7}});
        let error = refused(400, &body.to_string());
        assert_eq!(
            error.to_string(),
            "the IAM API refused the request: bad token … here"
        );
    }
}

#[test]
fn texts_are_shortened_where_they_are_too_long() {
    let said = |text: &str| said(&Value::String(text.to_owned())).unwrap();
    let (longest, longer) = ("x".repeat(80), "x".repeat(81));
    assert_eq!(said(&format!("a  {longest}\nb")), format!("a {longest} b"));
    assert_eq!(said(&format!("a {longer} b")), "a … b");
    let link = format!("https://{longer}");
    assert_eq!(said(&format!("see {link}")), format!("see {link}"));
    // The last word that fits, and one letter more.
    let words = "word ".repeat(79) + "ab";
    assert_eq!(said(&(words.clone() + " abc")), words.clone() + " abc");
    assert_eq!(said(&(words.clone() + " abcd")), words + " …");
}

#[test]
fn a_signed_jwt_is_read_alone() {
    let read = jwt(answer(200, r#"{"keyId":"k","signedJwt":"a.b.c"}"#)).unwrap();
    assert_eq!(&*read, "a.b.c");
    assert!(jwt(answer(200, r#"{"keyId":"k"}"#)).is_err());
}
