//! Access tokens in odd forms.

use gce_auth::ErrorKind;

use super::{
    Due::{self, Final, Token},
    GOOD, access_token, all, repeated,
    server::token,
};

#[test]
fn access_tokens_in_odd_forms() {
    use ErrorKind::{Expired, InvalidResponse};
    let lives =
        |expires_in: &str| format!(r#"{{"access_token":"ya29.good","expires_in":{expires_in}}}"#);
    let is = |token: &str| format!(r#"{{"access_token":{token},"expires_in":3599}}"#);
    let cases: Vec<(&str, String, Due)> = vec![
        ("seconds as text", lives("\"3599\""), Token(1)),
        ("seconds as text with spaces", lives("\" 3599 \""), Token(1)),
        ("seconds with a fraction", lives("3599.999"), Token(1)),
        ("seconds with an exponent", lives("3.6e3"), Token(1)),
        (
            "seconds beyond 64 bits",
            lives("36893488147419103232"),
            Token(1),
        ),
        ("seconds for ages", lives("1e300"), Token(1)),
        ("seconds for ages as text", lives("\"1e300\""), Token(1)),
        (
            "more seconds than there are numbers, as text",
            lives("\"1e999\""),
            Final(InvalidResponse),
        ),
        ("half a second", lives("0.5"), Token(1)),
        ("minus zero", lives("-0.0"), Final(Expired)),
        ("a tiny number of seconds", lives("1e-300"), Final(Expired)),
        ("negative seconds as text", lives("\"-1\""), Final(Expired)),
        ("seconds in words", lives("\"inf\""), Final(InvalidResponse)),
        (
            "seconds that are no number",
            lives("\"NaN\""),
            Final(InvalidResponse),
        ),
        (
            "seconds with a unit",
            lives("\"3599s\""),
            Final(InvalidResponse),
        ),
        (
            "seconds in hexadecimal",
            lives("\"0xe0f\""),
            Final(InvalidResponse),
        ),
        ("true seconds", lives("true"), Final(InvalidResponse)),
        ("seconds in a list", lives("[3599]"), Final(InvalidResponse)),
        ("seconds of null", lives("null"), Final(InvalidResponse)),
        (
            "no seconds",
            r#"{"access_token":"ya29.good"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "a date instead of seconds",
            r#"{"access_token":"ya29.good","expires_at":"2199-01-01T00:00:00Z"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "no token",
            r#"{"expires_in":3599}"#.into(),
            Final(InvalidResponse),
        ),
        ("an empty token", is("\"\""), Final(InvalidResponse)),
        ("a token of spaces", is("\"   \""), Final(InvalidResponse)),
        (
            "a token with a space",
            is("\"ya29.a b\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a line end at its end",
            is("\"ya29.good\\n\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a header in it",
            is("\"ya29.good\\r\\nX-Evil: 1\""),
            Final(InvalidResponse),
        ),
        (
            "a token with a NUL",
            is("\"ya29.\\u0000\""),
            Final(InvalidResponse),
        ),
        (
            "a token that is not ASCII",
            is("\"ya29.gööd\""),
            Final(InvalidResponse),
        ),
        (
            "half a character as a token",
            is("\"\\ud800\""),
            Final(InvalidResponse),
        ),
        ("a number as a token", is("12345"), Final(InvalidResponse)),
        ("null as a token", is("null"), Final(InvalidResponse)),
        (
            "a list of tokens",
            is("[\"ya29.good\"]"),
            Final(InvalidResponse),
        ),
        ("an escaped token", is("\"ya29\\u002egood\""), Token(1)),
        ("no type", lives("3599"), Token(1)),
        (
            "a type of null",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":null}"#.into(),
            Token(1),
        ),
        (
            "a type in capitals",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":"BEARER"}"#.into(),
            Token(1),
        ),
        (
            "another type",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":"DPoP"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "an empty type",
            r#"{"access_token":"ya29.good","expires_in":9,"token_type":""}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "an error with status 200",
            r#"{"error":"invalid_scope","error_description":"no"}"#.into(),
            Final(InvalidResponse),
        ),
        (
            "white space around",
            format!("\r\n\t {GOOD} \n\n"),
            Token(1),
        ),
        (
            "a byte order mark before",
            format!("\u{feff}{GOOD}"),
            Final(InvalidResponse),
        ),
        (
            "something behind",
            format!("{GOOD}}}"),
            Final(InvalidResponse),
        ),
        (
            "two objects",
            format!("{GOOD}{GOOD}"),
            Final(InvalidResponse),
        ),
        ("a list of one", format!("[{GOOD}]"), Final(InvalidResponse)),
        (
            "text of JSON",
            serde_json::to_string(GOOD).unwrap(),
            Final(InvalidResponse),
        ),
        ("JavaScript", GOOD.replace('"', "'"), Final(InvalidResponse)),
        (
            "a comma too many",
            GOOD.replace('}', ",}"),
            Final(InvalidResponse),
        ),
        (
            "a call around it",
            format!("callback({GOOD})"),
            Final(InvalidResponse),
        ),
        (
            "a prefix against scripts",
            format!(")]}}'\n{GOOD}"),
            Final(InvalidResponse),
        ),
        (
            "deep brackets",
            repeated("[", 30_000),
            Final(InvalidResponse),
        ),
        (
            "deep in an unknown field",
            format!(
                r#"{{"x":{}{},"access_token":"ya29.good","expires_in":9}}"#,
                repeated("[", 200),
                repeated("]", 200)
            ),
            Final(InvalidResponse),
        ),
        (
            "unknown fields",
            r#"{"x":{"y":[1,null,"z"]},"access_token":"ya29.good","expires_in":9,"id_token":"no"}"#
                .into(),
            Token(1),
        ),
        (
            "70 KiB of unknown fields",
            format!(
                r#"{{"x":"{}","access_token":"ya29.good","expires_in":9}}"#,
                repeated("x", 70 * 1024)
            ),
            Final(InvalidResponse),
        ),
        (
            "2 MiB",
            repeated(" ", 2 * 1024 * 1024),
            Final(InvalidResponse),
        ),
    ];
    all(
        &cases,
        |json| vec![token(json)],
        access_token,
        |token| token == "ya29.good",
    );
}
