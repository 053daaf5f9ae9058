use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::{credential_source::SubjectSource, *};
use crate::wire::subject_token::Format;

fn parse(value: &Value) -> Result<Document, Error> {
    read("`/f.json`", value.to_string().as_bytes())
}

fn refusal(value: &Value) -> String {
    let error = parse(value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
    let said = error.to_string();
    assert!(said.starts_with("`/f.json`: "), "{said}");
    said
}

fn user() -> Value {
    json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
           "refresh_token": "r"})
}

fn external() -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.{universe_domain}/v1/token",
        "credential_source": {"file": "/t"},
    })
}

fn with(mut file: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut file);
    file
}

#[test]
fn what_is_no_credentials_file_is_refused_with_the_reason() {
    for (bytes, why) in [
        (&b""[..], "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[]", "not an object"),
        (b"{}", "`type` is missing"),
        (br#"{"type":1}"#, "`type` is not a text"),
        (
            br#"{"type":"authorized_user "}"#,
            "`type` is not authorized_user,",
        ),
        (br#"{"type":"gdch_service_account"}"#, "not supported"),
        (br#"{"installed":{"client_id":"c"}}"#, "an OAuth client"),
    ] {
        let error = read("`/f.json`", bytes).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_user_needs_a_client_and_a_refresh_token() {
    for name in ["client_id", "client_secret", "refresh_token"] {
        for bad in [Value::Null, json!(5), json!("")] {
            let said = refusal(&with(user(), |file| file[name] = bad));
            assert!(said.contains(&format!("`{name}`")), "{said}");
            assert!(
                said.contains("gcloud auth application-default login"),
                "{said}"
            );
        }
    }
    let Ok(Document::AuthorizedUser(read)) = parse(&with(user(), |file| {
        file["scopes"] = "a b".into();
        file["token"] = "t".into();
        file["expiry"] = "2023-11-14T22:30:00.123Z".into();
        file["account"] = "".into();
    })) else {
        panic!()
    };
    assert_eq!(
        read.scopes.as_deref(),
        Some(&["a".to_owned(), "b".to_owned()][..])
    );
    let (token, expiry) = read.saved.clone().unwrap();
    assert_eq!(
        (token.reveal(), expiry),
        ("t", Duration::from_secs(1_700_001_000))
    );
    assert_eq!(read.account, None);
    assert!(!format!("{read:?}").contains("\"r\""));
    for bad in ["soon", "2023-11-14T22:30:00+00:00"] {
        let said = refusal(&with(user(), |file| file["expiry"] = bad.into()));
        assert!(said.contains("`expiry`"), "{said}");
    }
}

#[test]
fn a_key_needs_an_account_and_a_token_uri() {
    let key = json!({"type": "service_account", "client_email": "e@x", "private_key": "k",
                     "token_uri": "https://oauth2.googleapis.com/token"});
    assert!(matches!(parse(&key), Ok(Document::ServiceAccount(_))));
    for name in ["client_email", "private_key", "token_uri"] {
        let said = refusal(&with(key.clone(), |file| file[name] = Value::Null));
        assert!(said.contains(&format!("`{name}` is missing")), "{said}");
    }
}

#[test]
fn an_impersonated_account_names_its_target_and_its_source() {
    let file = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url":
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/t@x:generateAccessToken",
        "source_credentials": user(),
        "delegates": ["projects/-/serviceAccounts/d@x"],
    });
    let Ok(Document::Impersonated(read)) = parse(&file) else {
        panic!()
    };
    assert_eq!(
        (&*read.target, read.delegates.map(|it| it.len())),
        ("t@x", Some(1))
    );
    assert!(matches!(*read.source, Document::AuthorizedUser(_)));
    for (name, bad, why) in [
        ("source_credentials", Value::Null, "is missing"),
        ("source_credentials", json!("x"), "is not an object"),
        (
            "source_credentials",
            file.clone(),
            "source_credentials.type` is none of",
        ),
        (
            "source_credentials",
            json!({"type": "authorized_user"}),
            "source_credentials.client_id`",
        ),
        (
            "service_account_impersonation_url",
            Value::Null,
            "is missing",
        ),
        (
            "service_account_impersonation_url",
            json!(":generateAccessToken"),
            "does not end",
        ),
        ("delegates", json!("d"), "is not a list"),
    ] {
        let said = refusal(&with(file.clone(), |file| file[name] = bad));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn an_external_account_says_where_its_token_comes_from() {
    let Ok(Document::ExternalAccount(read)) = parse(&external()) else {
        panic!()
    };
    assert_eq!(read.token_url, "https://sts.googleapis.com/v1/token");
    assert_eq!(read.project_number(), Some("12"));
    let source =
        |value: Value| match parse(&with(external(), |file| file["credential_source"] = value)) {
            Ok(Document::ExternalAccount(account)) => Ok(account.source),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
    let json_format = json!({"url": "http://x/", "headers": {"a": "b"},
                             "format": {"type": "json", "subject_token_field_name": "f"}});
    assert!(matches!(
        source(json_format),
        Ok(SubjectSource::Url { format: Format::Json { .. }, headers, .. }) if headers.len() == 1
    ));
    let Ok(SubjectSource::Executable(program)) =
        source(json!({"executable": {"command": "/bin/x 'a b'", "timeout_millis": 5000}}))
    else {
        panic!()
    };
    assert_eq!(program.command, ["/bin/x", "a b"]);
    assert_eq!(program.timeout, Duration::from_secs(5));
    let Ok(SubjectSource::Executable(program)) =
        source(json!({"executable": {"command": "x", "timeout_millis": 6000.5}}))
    else {
        panic!()
    };
    assert_eq!(program.timeout, Duration::from_micros(6_000_500));
    for (bad, why) in [
        (Value::Null, "`credential_source` is missing"),
        (json!([]), "is not an object"),
        (json!({}), "has none of"),
        (json!({"file": "a", "url": "b"}), "has both"),
        (json!({"file": ""}), "`credential_source.file` is empty"),
        (json!({"url": ""}), "`credential_source.url` is empty"),
        (
            json!({"file": "a", "environment_id": null}),
            "`credential_source.environment_id`",
        ),
        (
            json!({"file": "a", "format": null}),
            "`credential_source.format` is not an object",
        ),
        (json!({"certificate": {}}), "not supported"),
        (
            json!({"file": "a", "environment_id": "x"}),
            "`credential_source.environment_id`",
        ),
        (
            json!({"file": "a", "format": "json"}),
            "`credential_source.format` is not an object",
        ),
        (
            json!({"file": "a", "format": {"type": "xml"}}),
            "neither text nor json",
        ),
        (
            json!({"file": "a", "format": {"type": "json"}}),
            "subject_token_field_name` is missing",
        ),
        (
            json!({"executable": "x"}),
            "`credential_source.executable` is not an object",
        ),
        (json!({"executable": {"command": ""}}), "command` is empty"),
        (json!({"executable": {"command": " "}}), "command` is empty"),
        (json!({"executable": {"command": "'"}}), "quote"),
        (
            json!({"executable": {"command": "x", "timeout_millis": 4999.5}}),
            "timeout_millis`",
        ),
        (
            json!({"executable": {"command": "x", "timeout_millis": -1}}),
            "timeout_millis`",
        ),
        (
            json!({"executable": {"command": "x", "timeout_millis": "5"}}),
            "timeout_millis`",
        ),
    ] {
        let said = source(bad).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn aws_is_told_by_its_token_type_and_is_of_version_1() {
    let aws = |source: Value| {
        parse(&with(external(), |file| {
            file["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
            file["credential_source"] = source;
        }))
    };
    let good = json!({"environment_id": "aws1", "regional_cred_verification_url": "https://v"});
    assert!(aws(good.clone()).is_ok());
    for bad in ["aws2", "aws", "azure1", ""] {
        let error = aws(with(good.clone(), |source| {
            source["environment_id"] = bad.into();
        }));
        assert!(error.unwrap_err().to_string().contains("environment_id"));
    }
    let error = aws(json!({"environment_id": "aws1"})).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("regional_cred_verification_url` is missing")
    );
}

#[test]
fn only_workforce_pools_have_a_user_project() {
    let project = |file: &mut Value| file["workforce_pool_user_project"] = "p".into();
    let said = refusal(&with(external(), project));
    assert!(said.contains("workforce_pool_user_project"), "{said}");
    let workforce = with(external(), |file| {
        project(file);
        file["audience"] = "//iam.googleapis.com/locations/eu/workforcePools/p/providers/q".into();
    });
    assert!(parse(&workforce).is_ok());
}

#[test]
fn impersonation_may_have_a_lifetime() {
    let file = with(external(), |file| {
        file["service_account_impersonation_url"] = "https://x/t@x:generateAccessToken".into();
        file["service_account_impersonation"] = json!({"token_lifetime_seconds": 600});
    });
    let Ok(Document::ExternalAccount(read)) = parse(&file) else {
        panic!()
    };
    assert_eq!(read.lifetime, Some(Duration::from_secs(600)));
    assert_eq!(read.impersonation.unwrap().target, "t@x");
    let bad = with(file, |file| {
        file["service_account_impersonation_url"] = "https://x".into();
    });
    assert!(refusal(&bad).contains("service_account_impersonation_url"));
}

#[test]
fn what_was_read_is_written_again() {
    for change in [
        json!({"client_id": "", "client_secret": "s"}),
        json!({"client_secret": ""}),
        json!({"subject_token_type": ""}),
        json!({"service_account_impersonation": {"token_lifetime_seconds": 0, "more": null}}),
    ] {
        let mut file = external();
        let members = file.as_object_mut().unwrap();
        members.extend(change.as_object().unwrap().clone());
        let Ok(Document::ExternalAccount(read)) = parse(&file) else {
            panic!("{change}")
        };
        assert!(read.client().is_none(), "a client has a name");
        let written = read.written("https://sts.googleapis.com/v1/token", "googleapis.com");
        let written: Value = serde_json::from_str(written.to_json().reveal()).unwrap();
        for (name, value) in change.as_object().unwrap() {
            assert_eq!(&written[name], value);
        }
    }
    let said = refusal(&with(external(), |file| {
        file["universe_domain"] = Value::Null;
    }));
    assert!(said.contains("`universe_domain` is null"), "{said}");
}

#[test]
fn a_workforce_user_needs_a_way_to_a_token() {
    let user = json!({"type": "external_account_authorized_user", "token": "t"});
    let Ok(Document::ExternalUser(read)) = parse(&user) else {
        panic!()
    };
    assert!(read.renewal().is_none());
    assert_eq!(read.saved.unwrap().1, None);
    let half = json!({"type": "external_account_authorized_user", "token": "t",
                      "client_id": "c", "client_secret": "s", "token_url": "https://u"});
    let Ok(Document::ExternalUser(read)) = parse(&half) else {
        panic!()
    };
    assert!(read.renewal().is_none());
    let written = read.written(None, read.token_url.as_deref(), "googleapis.com");
    let written: Value = serde_json::from_str(written.to_json().reveal()).unwrap();
    for name in ["client_id", "client_secret", "token_url"] {
        assert_eq!(written[name], half[name]);
    }
    let said = refusal(&with(user, |file| file["token"] = Value::Null));
    assert!(said.contains("token_url"), "{said}");
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic_or_quote_a_secret(
        kind in 0usize..6,
        name in "[a-z_]{1,20}",
        value in "[ -~]{0,40}",
    ) {
        let kinds = ["authorized_user", "service_account", "impersonated_service_account",
                     "external_account", "external_account_authorized_user", "x"];
        let mut file = json!({"type": kinds[kind], "refresh_token": "1//secret-one",
            "private_key": "secret-two", "client_secret": "secret-three"});
        file[&name] = value.into();
        if let Err(error) = parse(&file) {
            let said = format!("{error} {error:?}");
            prop_assert!(!said.contains("secret-"), "{said}");
            prop_assert!(!said.contains('\n'));
        }
    }
}

#[test]
fn a_project_that_no_header_can_name_is_refused() {
    for project in ["a\r\nb", "a b", "\u{e9}"] {
        for file in [user(), external()] {
            let said = refusal(&with(file, |file| {
                file["quota_project_id"] = project.into();
            }));
            assert!(said.contains("`quota_project_id` is not"), "{said}");
        }
    }
}
