//! kubectl's exec credential plugins: `KUBERNETES_EXEC_INFO` in, an `ExecCredential` out, in the
//! version that was asked for.

use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    helper::{
        json,
        token::{Reply, Tokens},
    },
    text::rfc3339,
};

const GROUP: &str = "client.authentication.k8s.io/";

/// Returns the credential for what kubectl wrote into `KUBERNETES_EXEC_INFO`; for version 1 without
/// it.
pub(crate) fn answer(info: Option<&str>, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let version = match info {
        None => "v1",
        Some(info) => asked_version(info)?,
    };
    let token = tokens.access()?;
    let expiry = match token.expires_at {
        Some(at) => format!(",\"expirationTimestamp\":\"{}\"", rfc3339(at)),
        None => String::new(),
    };
    Ok(Reply::text(&[
        "{\"apiVersion\":\"",
        GROUP,
        version,
        "\",\"kind\":\"ExecCredential\",\"status\":{\"token\":",
        &json::string(&token.secret),
        &expiry,
        "}}\n",
    ]))
}

fn asked_version(info: &str) -> Result<&'static str, Failure> {
    let refused = |why: &str| {
        let why = format!("KUBERNETES_EXEC_INFO {why}; kubectl 1.22 or later sets it");
        Failure::new(Exit::Usage, why)
    };
    let Ok(info) = serde_json::from_str::<Value>(info) else {
        return Err(refused("is no JSON"));
    };
    if info["kind"] != "ExecCredential" {
        return Err(refused("is no ExecCredential"));
    }
    let version = info["apiVersion"].as_str().unwrap_or_default();
    match version.strip_prefix(GROUP) {
        Some("v1") => Ok("v1"),
        Some("v1beta1") => Ok("v1beta1"),
        _ => Err(refused("has an apiVersion other than v1 and v1beta1")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn the_answer_has_the_version_of_the_question() {
        for version in ["v1", "v1beta1"] {
            let info = format!(
                r#"{{"apiVersion":"{GROUP}{version}","kind":"ExecCredential","spec":{{"interactive":false}}}}"#
            );
            let reply = answer(Some(&info), &Fake::default()).unwrap();
            let read: Value = serde_json::from_str(&reply.text).unwrap();
            assert_eq!(read["apiVersion"], format!("{GROUP}{version}"));
            assert_eq!(read["kind"], "ExecCredential");
            assert_eq!(read["status"]["token"], "ya29.access");
            assert_eq!(
                read["status"]["expirationTimestamp"],
                "2026-01-31T23:59:59Z"
            );
        }
        let reply = answer(None, &Fake::default()).unwrap();
        assert!(reply.text.contains("k8s.io/v1\""));
    }

    #[test]
    fn another_question_gets_no_token() {
        for info in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"apiVersion":"client.authentication.k8s.io/v1"}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v2","kind":"ExecCredential"}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v1\u0000","kind":"ExecCredential"}"#,
            r#"{"apiVersion":["client.authentication.k8s.io/v1"],"kind":"ExecCredential"}"#,
        ] {
            let tokens = Fake::default();
            let failure = answer(Some(info), &tokens).expect_err(info);
            assert_eq!(failure.exit(), Exit::Usage);
            assert_eq!(tokens.given.get(), 0);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(info in any::<String>()) {
            prop_assert!(answer(Some(&info), &Fake::default()).is_err());
        }
    }
}
