use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::wire::account::{AccountInfo, account_info};

const NOW: Now = Now::new(Duration::from_secs(1_700_000_000), Duration::from_secs(50));

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.as_bytes().to_vec()).unwrap()
}

fn answer(body: &str) -> Answer {
    accept(response(200, &[("Metadata-Flavor", "Google")], body), NOW).unwrap()
}

fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
    accept(response(status, headers, body), NOW).unwrap_err()
}

fn jwt(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn statuses_become_kinds() {
    for (status, kind) in [
        (404, ErrorKind::NotFound),
        (403, ErrorKind::Forbidden),
        (429, ErrorKind::RateLimited),
        (408, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (502, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (504, ErrorKind::Unavailable),
        (400, ErrorKind::InvalidResponse),
        (302, ErrorKind::NotMetadataServer),
        (301, ErrorKind::NotMetadataServer),
        (203, ErrorKind::InvalidResponse),
        (204, ErrorKind::InvalidResponse),
        (206, ErrorKind::InvalidResponse),
    ] {
        let failure = refused(status, &[("Metadata-Flavor", "Google")], "");
        assert_eq!(failure.error.kind(), kind, "{status}");
        assert_eq!(failure.error.status(), Some(status));
    }
}

#[test]
fn debug_shows_no_body() {
    assert_eq!(format!("{:?}", answer("ya29.secret")), "Answer");
}

#[test]
fn a_success_without_flavor_is_an_impostor() {
    for headers in [
        &[][..],
        &[("Metadata-Flavor", "google")],
        &[("Metadata-Flavor", "")],
        &[("Metadata-Flavor", "Google"), ("Metadata-Flavor", "Other")],
        &[("Metadata-Flavor", "Other"), ("Metadata-Flavor", "Google")],
    ] {
        let failure = refused(200, headers, r#"{"access_token":"ya29.x","expires_in":9}"#);
        assert_eq!(failure.error.kind(), ErrorKind::NotMetadataServer);
        assert!(!failure.error.to_string().contains("ya29"));
    }
}

#[test]
fn a_refusal_in_words_is_quoted_and_nothing_else_is() {
    let gke = "Unable to generate access token; IAM returned 403 Forbidden\nmore";
    let failure = refused(403, &[], gke);
    assert!(
        failure
            .error
            .to_string()
            .contains("IAM returned 403 Forbidden")
    );
    assert!(!failure.error.to_string().contains("more"));
    for body in [
        "<html>",
        "{\"access_token\":\"ya29.x\"}",
        &"y".repeat(100),
        "",
    ] {
        let failure = refused(500, &[], body);
        assert_eq!(
            failure.error.to_string(),
            "the metadata server failed",
            "{body}"
        );
    }
}

#[test]
fn retry_after_is_passed_on() {
    let failure = refused(429, &[("Retry-After", "7")], "");
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(7)));
    // NOW is Tue, 14 Nov 2023 22:13:20 GMT.
    let after = ("Retry-After", "Tue, 14 Nov 2023 22:13:25 GMT");
    let failure = refused(503, &[after], "");
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(5)));
    // The server's clock measures the server's date.
    let failure = refused(503, &[after, ("Date", "Tue, 14 Nov 2023 22:13:24 GMT")], "");
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(1)));
    let failure = refused(503, &[after, ("Date", "just now")], "");
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(5)));
    let failure = refused(503, &[("Retry-After", "soon")], "");
    assert_eq!(failure.error.retry_after(), None);
}

#[test]
fn lifetimes_in_every_form() {
    for (expires_in, seconds) in [
        ("3599", 3599.0),
        ("3599.5", 3599.5),
        ("\"3599\"", 3599.0),
        ("\" 12.5 \"", 12.5),
        ("0.5", 0.5),
    ] {
        let body = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
        let bearer = token(&answer(&body), NOW).unwrap();
        assert_eq!(bearer.validity().lifetime().as_secs_f64(), seconds);
    }
    for huge in ["1000000000000000000", "18446744073709551615", "1e300"] {
        let body = format!(r#"{{"access_token":"t","expires_in":{huge}}}"#);
        let bearer = token(&answer(&body), NOW).unwrap();
        assert!(bearer.validity().ends().is_some(), "{huge}");
    }
    for (expires_in, kind) in [
        ("0", ErrorKind::Expired),
        ("-10", ErrorKind::Expired),
        ("1e-64", ErrorKind::Expired),
        ("\"-1\"", ErrorKind::Expired),
        ("null", ErrorKind::InvalidResponse),
        ("true", ErrorKind::InvalidResponse),
        ("[]", ErrorKind::InvalidResponse),
        ("\"soon\"", ErrorKind::InvalidResponse),
        ("\"NaN\"", ErrorKind::InvalidResponse),
        ("\"inf\"", ErrorKind::InvalidResponse),
        ("\"\"", ErrorKind::InvalidResponse),
    ] {
        let body = format!(r#"{{"access_token":"t","expires_in":{expires_in}}}"#);
        assert_eq!(
            token(&answer(&body), NOW).unwrap_err().kind(),
            kind,
            "{expires_in}"
        );
    }
}

#[test]
fn tokens_that_cannot_be_sent_are_refused() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        r#"{"access_token":"","expires_in":1}"#,
        r#"{"access_token":"a b","expires_in":1}"#,
        r#"{"access_token":"a\r\nx: y","expires_in":1}"#,
        r#"{"access_token":"\u00e9","expires_in":1}"#,
        r#"{"access_token":7,"expires_in":1}"#,
        r#"{"access_token":"t"}"#,
        r#"{"access_token":"t","expires_in":1,"token_type":"MAC"}"#,
        r#"{"access_token":"t","expires_in":1,"#,
    ] {
        let error = token(&answer(body), NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
    }
    let long = format!(
        r#"{{"access_token":"{}","expires_in":1}}"#,
        "t".repeat(70_000)
    );
    assert!(token(&answer(&long), NOW).is_err());
    for kind in ["\"Bearer\"", "\"bearer\"", "null"] {
        let body = format!(r#"{{"access_token":"t","expires_in":1,"token_type":{kind}}}"#);
        assert!(token(&answer(&body), NOW).is_ok(), "{kind}");
    }
}

#[test]
fn id_tokens_are_checked_without_keys() {
    let good = jwt(r#"{"aud":"a","exp":1700003600}"#);
    let bearer = identity(&answer(&format!(" {good}\n")), "a", NOW).unwrap();
    assert_eq!(bearer.value().token(), good);
    assert_eq!(bearer.validity().lifetime(), Duration::from_secs(3600));
    for (payload, kind) in [
        (
            r#"{"aud":"b","exp":1700003600}"#,
            ErrorKind::InvalidResponse,
        ),
        (r#"{"aud":"a"}"#, ErrorKind::InvalidResponse),
        (
            r#"{"aud":"a","exp":"1700003600"}"#,
            ErrorKind::InvalidResponse,
        ),
        (r#"{"aud":"a","exp":-5}"#, ErrorKind::InvalidResponse),
        (r#"{"aud":"a","exp":1600000000}"#, ErrorKind::Expired),
        (r#"{"aud":"a","exp":1700000000}"#, ErrorKind::Expired),
    ] {
        let error = identity(&answer(&jwt(payload)), "a", NOW).unwrap_err();
        assert_eq!(error.kind(), kind, "{payload}");
    }
}

#[test]
fn accounts_are_read_leniently_but_never_without_email() {
    let info = account_info(&answer(
        r#"{"email":"e@x","aliases":["default"],"scopes":["s"]}"#,
    ));
    assert_eq!(
        info.unwrap(),
        AccountInfo {
            email: "e@x".into(),
            aliases: vec!["default".into()],
            scopes: vec!["s".into()],
            states_scopes: true,
        }
    );
    assert_eq!(
        account_info(&answer(r#"{"email":"e"}"#)).unwrap().scopes,
        [""; 0]
    );
    for body in [
        "{}",
        r#"{"email":""}"#,
        r#"{"email":1}"#,
        r#"{"email":"e\r\nx"}"#,
        r#"{"email":"e x"}"#,
        r#"{"email":"e","scopes":1}"#,
        r#"{"email":"e","scopes":[1]}"#,
        r#"{"email":"e","aliases":{}}"#,
        "[]",
    ] {
        let error = account_info(&answer(body)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
    }
}

#[test]
fn small_readers() {
    assert_eq!(universe_domain(" \n").unwrap(), DEFAULT_UNIVERSE);
    assert_eq!(universe_domain("apis-x.goog\n").unwrap(), "apis-x.goog");
    let long = "a.".repeat(127) + "a";
    for bad in [
        "<html>", "a b", "a/b", "a:80", "u@a", "...", ".a", "a.", "a..b", "-", "a.-b", "a-.b",
        &long,
    ] {
        assert!(universe_domain(bad).is_err(), "{bad}");
    }
    assert_eq!(
        last_segment("projects/1/zones/us-central1-a"),
        "us-central1-a"
    );
    assert_eq!(region_of("us-central1-a"), Some("us-central1"));
    assert_eq!(lines("a\n\nb\n"), ["a", "b"]);
}

#[test]
fn a_slash_is_all_that_a_redirect_may_add() {
    let moved = |location: &str| {
        response(
            301,
            &[("Metadata-Flavor", "Google"), ("Location", location)],
            "",
        )
    };
    let path = "/computeMetadata/v1/instance";
    assert!(adds_only_a_slash(
        &moved("http://h/computeMetadata/v1/instance/?a=b"),
        path
    ));
    assert!(adds_only_a_slash(
        &moved("/computeMetadata/v1/instance/"),
        path
    ));
    assert!(!adds_only_a_slash(&moved("http://h/elsewhere/"), path));
    assert!(!adds_only_a_slash(
        &moved("http://h/computeMetadata/v1/instance"),
        path
    ));
    assert!(!adds_only_a_slash(
        &response(302, &[("Location", "/x/")], ""),
        "/x"
    ));
    assert!(!adds_only_a_slash(
        &response(301, &[("Location", "/x/")], ""),
        "/x"
    ));
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic(
        status in 100u16..600,
        flavor in proptest::bool::ANY,
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
    ) {
        let mut builder = Response::builder().status(status);
        if flavor {
            builder = builder.header("Metadata-Flavor", "Google");
        }
        let response = builder.body(body).unwrap();
        let accepted = accept(response, NOW);
        prop_assert_eq!(accepted.is_ok(), flavor && status == 200);
        if let Ok(answer) = accepted {
            let _ = (token(&answer, NOW), identity(&answer, "a", NOW), account_info(&answer));
        }
    }

    #[test]
    fn whatever_is_accepted_as_a_token_can_be_sent(
        text in ".*",
        expires_in in proptest::num::f64::ANY,
    ) {
        let body = serde_json::json!({"access_token": text, "expires_in": expires_in}).to_string();
        if let Ok(bearer) = token(&answer(&body), NOW) {
            prop_assert_eq!(bearer.value().token(), &text);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty());
            prop_assert!(bearer.validity().lifetime() > Duration::ZERO);
        }
    }
}

#[test]
fn identities_that_are_uris_are_names_of_accounts() {
    for name in [
        "a@p.iam.gserviceaccount.com",
        "p.svc.id.goog",
        "spiffe://agents.global.project-1.system.id.goog/a",
        "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*",
    ] {
        let body = format!(r#"{{"email":"{name}","scopes":["s"]}}"#);
        assert_eq!(account_info(&answer(&body)).unwrap().email, name);
    }
    for name in ["a/b", "://a", "1x://a", "principal://a b", "../token"] {
        let body = format!(r#"{{"email":"{name}"}}"#);
        assert!(account_info(&answer(&body)).is_err(), "{name}");
    }
}

#[test]
fn an_id_token_is_not_fresh_for_longer_than_it_lives() {
    let wall = NOW.wall.as_secs();
    // The clock of this machine is an hour behind the one that made the token.
    let payload = format!(
        r#"{{"aud":"a","iat":{},"exp":{}}}"#,
        wall + 3600,
        wall + 7200
    );
    let bearer = identity(&answer(&jwt(&payload)), "a", NOW).unwrap();
    let ends = bearer.validity().ends().unwrap();
    assert_eq!(ends.wall.as_secs(), wall + 7200);
    assert_eq!(ends.boot, NOW.boot + Duration::from_secs(3600));
}
