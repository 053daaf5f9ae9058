//! Programs that print a subject token: their command line, their input and their
//! output (AIP-4117, "executable-sourced credentials").

use std::time::Duration;

use serde_json::{Map, Value};

use crate::values::{
    error::{Error, ErrorKind},
    secret::SecretText,
};

/// The variable without which nothing is run; its value must be `1`.
pub(crate) const ALLOW: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
const NEWEST_VERSION: f64 = 1.0;

/// Splits a command line into words as a POSIX shell does, without running
/// one: blanks, quotes and backslashes, and nothing else. `None` where a quote
/// or a backslash does not end.
pub(crate) fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(rest.next()?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => match rest.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// What a program answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A subject token, and until when it may be used again.
    Token {
        /// The token.
        token: SecretText,
        /// When it expires, where the answer says so.
        expires: Option<Duration>,
    },
    /// No token, for a reason that may pass: another run may bring one.
    Nothing(Error),
}

/// Reads an answer at `now`, since the Unix epoch. An error is one that running
/// the program again does not cure: the answer has not the form of one.
pub(crate) fn answer(mut fields: Map<String, Value>, now: Duration) -> Result<Answer, Error> {
    let needed = |name: &str| fields.get(name).ok_or_else(|| lacks(name));
    let version = needed("version")?
        .as_f64()
        .ok_or_else(|| lacks("version"))?;
    if version > NEWEST_VERSION {
        return Ok(nothing("the executable answers in a version other than 1"));
    }
    match needed("success")? {
        Value::Bool(true) => {}
        failed if is_nothing(failed) => {
            let (code, message) = (said(needed("code")?), said(needed("message")?));
            return Ok(nothing(format!(
                "the executable gave no token: {code}: {message}"
            )));
        }
        _ => return Err(lacks("success")),
    }
    let expires = match fields.get("expiration_time") {
        None => None,
        Some(time) => Some(time.as_f64().ok_or_else(|| lacks("expiration_time"))?),
    };
    if expires.is_some_and(|expires| expires < now.as_secs_f64()) {
        return Ok(nothing("the token of the executable has expired"));
    }
    let name = match needed("token_type")?.as_str() {
        Some(
            "urn:ietf:params:oauth:token-type:jwt" | "urn:ietf:params:oauth:token-type:id_token",
        ) => "id_token",
        Some("urn:ietf:params:oauth:token-type:saml2") => "saml_response",
        _ => {
            return Ok(nothing(
                "the executable gives a token of a type that is none of jwt, id_token and saml2",
            ));
        }
    };
    match fields.remove(name) {
        Some(Value::String(token)) if !token.is_empty() => {
            let token = zeroize::Zeroizing::new(token);
            let end = |time| Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX);
            Ok(Answer::Token {
                token: SecretText::new(&token),
                expires: expires.map(end),
            })
        }
        _ => Err(lacks(name)),
    }
}

/// Whether a value counts as none, as in the language of google-auth: then the
/// output file is read in its place.
pub(crate) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Number(number) => number.to_string(),
        _ => "unknown".to_owned(),
    }
}

fn nothing(what: impl Into<std::borrow::Cow<'static, str>>) -> Answer {
    Answer::Nothing(
        Error::new(ErrorKind::Refused, what)
            .with_hint("run the executable of the credentials file by hand to see what it says"),
    )
}

fn lacks(name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidResponse,
        format!("the answer of the executable holds no usable `{name}`"),
    )
    .with_hint("correct the executable that the credentials file names (AIP-4117)")
}

/// What a program says, for people: one short line without anything that could
/// be a token.
fn plain(text: &str) -> String {
    const LONGEST: usize = 200;
    let words = text.split_whitespace().map(|word| {
        if word.len() > 80 || crate::wire::response::may_hold_token(word) {
            "…"
        } else {
            word
        }
    });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Answer, Error> {
        let Value::Object(fields) = value else {
            unreachable!()
        };
        answer(fields, Duration::from_secs(1000))
    }

    #[test]
    fn a_command_line_is_split_as_a_shell_does() {
        let split = |text: &str| words(text).unwrap();
        assert_eq!(split("  /bin/a  b\tc "), ["/bin/a", "b", "c"]);
        assert_eq!(split(r#"a 'b c' "d e" f\ g"#), ["a", "b c", "d e", "f g"]);
        assert_eq!(split(r#"a "b\"c\\d\e" ''"#), ["a", r#"b"c\d\e"#, ""]);
        assert_eq!(split("a;b $C `d`"), ["a;b", "$C", "`d`"]);
        assert_eq!(split(""), Vec::<String>::new());
        for open in ["'a", "\"a", "a\\", "\"a\\"] {
            assert_eq!(words(open), None, "{open}");
        }
    }

    #[test]
    fn words_as_long_as_tokens_are_not_repeated() {
        let (longest, longer) = ("x".repeat(80), "x".repeat(81));
        assert_eq!(
            plain(&format!("a\u{7} {longest} b")),
            format!("a {longest} b")
        );
        assert_eq!(plain(&format!("a {longer} b")), "a … b");
        assert_eq!(plain(&"ab ".repeat(100)).len(), 200);
    }

    #[test]
    fn a_token_is_read_with_its_end() {
        let token = |value| match read(value) {
            Ok(Answer::Token { token, expires }) => (token.reveal().to_owned(), expires),
            other => panic!("{other:?}"),
        };
        let jwt = json!({"version": 1, "success": true, "id_token": "t",
            "token_type": "urn:ietf:params:oauth:token-type:jwt", "expiration_time": 1000});
        assert_eq!(
            token(jwt),
            ("t".to_owned(), Some(Duration::from_secs(1000)))
        );
        let saml = json!({"version": 0, "success": true, "saml_response": "s",
            "token_type": "urn:ietf:params:oauth:token-type:saml2"});
        assert_eq!(token(saml), ("s".to_owned(), None));
    }

    #[test]
    fn what_a_second_run_may_cure_is_told_from_what_it_may_not() {
        let good = json!({"version": 1, "success": true, "id_token": "t",
            "token_type": "urn:ietf:params:oauth:token-type:jwt"});
        let with = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            read(changed)
        };
        for (name, value) in [
            ("version", json!(1.5)),
            ("token_type", json!("urn:x")),
            ("token_type", json!(5)),
            ("token_type", Value::Null),
            ("expiration_time", json!(999)),
            ("expiration_time", json!(-1)),
        ] {
            assert!(
                matches!(with(name, value.clone()), Ok(Answer::Nothing(_))),
                "{name} {value}"
            );
        }
        for (name, value) in [
            ("version", Value::Null),
            ("version", json!("1")),
            ("success", json!("true")),
            ("success", Value::Null),
            ("expiration_time", Value::Null),
            ("expiration_time", json!("2000")),
            ("id_token", Value::Null),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name} {value}");
        }
        let unknown = json!({"version": 1, "success": null, "code": null, "message": []});
        assert!(matches!(read(unknown), Ok(Answer::Nothing(_))));
        for name in ["version", "success", "token_type", "id_token"] {
            let mut less = good.clone();
            less.as_object_mut().unwrap().remove(name);
            let error = read(less).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let failed = json!({"version": 1, "success": false, "code": "401",
            "message": "no\nlogin eyJhbGciOi"});
        match read(failed) {
            Ok(Answer::Nothing(error)) => {
                assert_eq!(error.kind(), ErrorKind::Refused);
                assert!(error.to_string().contains("401: no login …"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert!(read(json!({"version": 1, "success": false})).is_err());
        for failed in [json!(0), json!(0.0), json!(""), json!([]), json!({})] {
            let answer = json!({"version": 1, "success": failed, "code": 7, "message": "m"});
            match read(answer) {
                Ok(Answer::Nothing(error)) => {
                    assert!(error.to_string().contains("7: m"), "{error}");
                }
                other => panic!("{failed}: {other:?}"),
            }
        }
        for odd in [json!(1), json!("no"), json!([0]), json!({"a": 0})] {
            let error = with("success", odd.clone()).unwrap_err();
            assert!(error.to_string().contains("success"), "{odd}: {error}");
        }
        let error = with("id_token", json!("")).unwrap_err();
        assert!(error.to_string().contains("id_token"), "{error}");
    }
}
