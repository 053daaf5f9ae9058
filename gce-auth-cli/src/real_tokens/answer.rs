//! Tokens as others print them. Pure; what it says of them holds nothing of theirs.

use std::time::Duration;

use serde_json::Value;

/// No token is good for longer, so that no sum overflows.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A token, and its lifetime, if it is given: JSON with `access_token`
/// and `expires_in`, or the token alone.
pub(super) fn read(text: &str) -> Result<(String, Option<Duration>), String> {
    if !text.trim_start().starts_with('{') {
        return alone(text).map(|token| (token, None));
    }
    let Ok(answer) = serde_json::from_str::<Value>(text) else {
        return Err("holds JSON that cannot be read".to_owned());
    };
    let Some(token) = answer["access_token"].as_str() else {
        return Err("holds JSON without access_token".to_owned());
    };
    let lifetime = match &answer["expires_in"] {
        Value::Null => None,
        Value::String(text) => Some(text.parse().ok()),
        other => Some(other.as_f64()),
    };
    let lifetime = match lifetime {
        None => None,
        Some(seconds) => Some(lasting(seconds)?),
    };
    Ok((alone(token)?, lifetime))
}

fn lasting(seconds: Option<f64>) -> Result<Duration, String> {
    let seconds: f64 = seconds.ok_or("holds an expires_in that is no number")?;
    if seconds < 1.0 {
        return Err("holds a token that has ended".to_owned());
    }
    Ok(Duration::try_from_secs_f64(seconds.trunc()).map_or(LONGEST, |held| held.min(LONGEST)))
}

/// A token and nothing else, but for white space around it.
pub(super) fn alone(text: &str) -> Result<String, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err("holds no token".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) || token.starts_with('{') {
        return Err("holds something else than a token".to_owned());
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_others_print_them() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, token, lifetime) in [
            ("ya29.a\n", "ya29.a", None),
            (
                r#" {"access_token": "a", "expires_in": 12}"#,
                "a",
                seconds(12),
            ),
            (
                r#"{"access_token": "a", "expires_in": 12.9}"#,
                "a",
                seconds(12),
            ),
            (
                r#"{"access_token": "a", "expires_in": "12"}"#,
                "a",
                seconds(12),
            ),
            (
                r#"{"access_token": "a", "token_type": "Bearer"}"#,
                "a",
                None,
            ),
            (
                r#"{"access_token": "a", "expires_in": 1e300}"#,
                "a",
                Some(LONGEST),
            ),
        ] {
            assert_eq!(read(text), Ok((token.to_owned(), lifetime)), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for text in [
            "",
            " \n",
            "two secrets",
            "s\u{e9}cret",
            "{secret",
            r#"{"token": "secret"}"#,
            r#"{"access_token": ["secret"]}"#,
            r#"{"access_token": "secret", "expires_in": "soon"}"#,
            r#"{"access_token": "secret", "expires_in": 0}"#,
            r#"{"access_token": "secret", "expires_in": -1}"#,
            r#"{"access_token": "secret\n2", "expires_in": 10}"#,
        ] {
            let why = read(text).expect_err(text);
            assert!(!why.contains("secret"), "{why}");
        }
        assert!(alone(r#"{"access_token":"a"}"#).is_err());
    }
}
