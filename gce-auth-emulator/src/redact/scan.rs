//! Finds secrets in a text, whatever its format: by the name before them, or by their own form.

use std::borrow::Cow;

use super::{
    names,
    suspicion::{is_name, is_suspicious},
    web_token::{self, Seen},
};

const REDACTED: &str = "[redacted]";

/// Returns the value of a header without what is secret in it.
pub(crate) fn header<'a>(name: &str, value: &'a str, seen: &mut Seen) -> Cow<'a, str> {
    if !names::is_secret_header(name) {
        return text(value, seen);
    }
    let (scheme, secret) = match value.split_once(' ') {
        Some((scheme, secret)) if is_authorization(name) => (scheme, secret.trim()),
        _ => ("", value),
    };
    let shown = if web_token::is_token(secret) {
        seen.note(secret)
    } else {
        REDACTED.into()
    };
    format!("{scheme} {shown}").trim_start().to_owned().into()
}

fn is_authorization(name: &str) -> bool {
    let last = name.rsplit('-').next().unwrap_or_default();
    last.eq_ignore_ascii_case("authorization")
}

/// Returns a text (a path, a query, a body) without what is secret in it.
pub(crate) fn text<'a>(text: &'a str, seen: &mut Seen) -> Cow<'a, str> {
    if !is_suspicious(text) {
        return text.into();
    }
    scan(text, seen)
}

fn scan<'a>(text: &'a str, seen: &mut Seen) -> Cow<'a, str> {
    let plain = unescape(text);
    let mut out = String::with_capacity(plain.len());
    let mut copied = 0;
    let mut at = 0;
    while at < plain.len() {
        let Some(found) = secret_at(&plain, at, seen) else {
            at += 1;
            continue;
        };
        out.push_str(&plain[copied..found.begin]);
        out.push_str(&found.shown);
        (copied, at) = (found.end, found.end);
    }
    if copied == 0 {
        return text.into();
    }
    out.push_str(&plain[copied..]);
    out.into()
}

/// A secret, and what stands in its place.
struct Found {
    begin: usize,
    end: usize,
    shown: String,
}

/// The secret that begins here, or whose name does.
fn secret_at(text: &str, at: usize, seen: &mut Seen) -> Option<Found> {
    let bytes = text.as_bytes();
    let begins = at == 0 || !is_name(bytes[at - 1]);
    let may_begin = match bytes[at] {
        b'y' | b'-' => true,
        byte => begins && is_name(byte),
    };
    if !may_begin {
        return None;
    }
    let rest = &text[at..];
    if rest.starts_with("ya29.") {
        let end = at
            + length(rest, |byte| {
                is_of_token(byte) || matches!(byte, b'~' | b'/')
            });
        return Some(Found {
            begin: at,
            end,
            shown: "[access token]".into(),
        });
    }
    if rest.starts_with("-----BEGIN ") {
        return private_key(text, at);
    }
    if !begins {
        return None;
    }
    if rest.starts_with('e') {
        let run = &rest[..length(rest, is_of_token)];
        if run.len() > 20 && web_token::is_token(run) {
            return Some(Found {
                begin: at,
                end: at + run.len(),
                shown: seen.note(run),
            });
        }
    }
    named(text, at, seen)
}

/// A secret behind its name: `name=SECRET`, `"name": "SECRET"`, `name SECRET`.
fn named(text: &str, at: usize, seen: &mut Seen) -> Option<Found> {
    let bytes = text.as_bytes();
    let name = &text[at..at + length(&text[at..], is_name)];
    if !names::is_secret(name.as_bytes()) {
        return None;
    }
    let mut here = at + name.len();
    let skip = |mut here: usize, skipped: &[u8]| {
        while here < bytes.len() && skipped.contains(&bytes[here]) {
            here += 1;
        }
        here
    };
    here = skip(here, b"\\\"' \t");
    match bytes.get(here) {
        Some(b':' | b'=') => here = skip(here + 1, b" \t\r\n"),
        // `access_token ya29...`, as a directory is shown as text.
        Some(_) if name.contains('_') && bytes[here - 1] == b' ' => {}
        _ => return None,
    }
    let quoted = skip(here, b"\\\"'");
    let begin = quoted;
    let end = if quoted == here {
        begin
            + length(&text[begin..], |byte| {
                !byte.is_ascii_whitespace() && !b"&,}]\"';<>".contains(&byte)
            })
    } else {
        end_of_string(text, begin, bytes[quoted - 1])
    };
    let value = &text[begin..end];
    if ["", "null", "true", "false"].contains(&value) || value.starts_with(['{', '[']) {
        return None;
    }
    let shown = if web_token::is_token(value) {
        seen.note(value)
    } else {
        REDACTED.into()
    };
    Some(Found { begin, end, shown })
}

/// Where a text in quotes ends, which may be within another such text.
fn end_of_string(text: &str, begin: usize, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let nested = begin >= 2 && bytes[begin - 2] == b'\\';
    let mut at = begin;
    while at < bytes.len() && bytes[at] != quote {
        if bytes[at] == b'\\' {
            if nested && bytes.get(at + 1) == Some(&quote) {
                return at;
            }
            at += 1;
        }
        at += 1;
    }
    let mut end = at.min(bytes.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    end
}

/// A private key in PEM (RFC 7468), also as one line of JSON.
fn private_key(text: &str, at: usize) -> Option<Found> {
    const END: &str = "-----END ";
    let label = text[at..].get(..80).unwrap_or_else(|| &text[at..]);
    let label = &label["-----BEGIN ".len()..];
    if !label.split("-----").next()?.ends_with("PRIVATE KEY") {
        return None;
    }
    let end = match text[at..].find(END) {
        Some(last) => {
            let behind = at + last + END.len();
            let dashes = text[behind..].find("-----");
            dashes.map_or(text.len(), |dashes| behind + dashes + 5)
        }
        None => text.len(),
    };
    Some(Found {
        begin: at,
        end,
        shown: "[private key]".into(),
    })
}

fn is_of_token(byte: u8) -> bool {
    is_name(byte) || matches!(byte, b'.' | b'+' | b'=')
}

/// How many bytes at the beginning are so. All are so, or none, of a character that is no ASCII.
fn length(text: &str, is_so: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_so(*byte)).count()
}

/// The text without escapes of letters, digits, `_`, `-` and `.`, which say the same without them:
/// `%61` in a query (RFC 3986, section 2.3), `\u0061` in JSON.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') && !text.contains("\\u00") {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let head = if rest.starts_with('%') { 1 } else { 4 };
        let is_escape = head == 1 || rest.starts_with("\\u00");
        let code = rest.get(head..head + 2).filter(|_| is_escape);
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match byte {
            Some(byte) if is_name(byte) || byte == b'.' => {
                out.push(char::from(byte));
                rest = &rest[head + 2..];
            }
            _ => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t-v4lu3";

    fn jwt() -> String {
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "RS256"}));
        let claims = part(json!({"aud": "a", "iat": 1000, "exp": 4600}));
        format!("{header}.{claims}.c2lnbmF0dXJl")
    }

    fn shown(body: &str) -> String {
        text(body, &mut Seen::default()).into_owned()
    }

    #[test]
    fn secrets_are_found_behind_their_names_in_every_format() {
        for body in [
            format!("grant_type=a&refresh_token={SECRET}&client_id=b"),
            format!("client_secret={SECRET}"),
            format!("client%5Fsecret={SECRET}"),
            format!("_token={SECRET}"),
            format!("%63lient_secret={SECRET}"),
            format!(r#"{{"access_token":"{SECRET}","expires_in":3599}}"#),
            format!(r#"{{ "accessToken" : "{SECRET}" }}"#),
            format!(r#"{{"access\u005ftoken":"{SECRET}"}}"#),
            format!(r#"{{"a":"{{\"private_key\": \"{SECRET}\"}}"}}"#),
            format!(r#"{{"refresh_token":"{SECRET}"#),
            format!("access_token {SECRET}\nexpires_in 3\n"),
            format!("token: {SECRET}"),
            format!("subject_token={SECRET}\u{e9}{SECRET}&x=1"),
            format!("ya29.c.{SECRET}"),
            format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"),
            format!(r#"{{"key":"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}"#),
        ] {
            let shown = shown(&body);
            assert!(!shown.contains(SECRET), "{body} is shown as {shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_is() {
        for body in [
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
            r#"{"token_type":"Bearer","expires_in":3599,"token_uri":"https://x/token"}"#,
            "computeMetadata/v1/instance/service-accounts/default/token",
            "refresh_token=&token=",
            r#"{"token":null,"tokens":{"a":1}}"#,
            "5737554347302044216",
            "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n",
            "audience=https%3A%2F%2Fexample.com&format=full",
            "gl-python/3.12.3 auth/2.63.0 auth-request-type/at cred-type/mds",
        ] {
            assert_eq!(shown(body), body);
        }
    }

    #[test]
    fn of_a_web_token_its_claims_are_kept() {
        let token = jwt();
        let bearer = format!("Bearer {token}");
        let body = format!("assertion={token}&x=1");
        let mut seen = Seen::default();
        assert_eq!(
            header("authorization", &bearer, &mut seen),
            "Bearer [JWT 1]"
        );
        assert_eq!(text(&body, &mut seen), "assertion=[JWT 1]&x=1");
        assert_eq!(text(&token, &mut seen), "[JWT 1]");
        let read = seen.into_values();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0]["lifetimeSeconds"], 3600);
        assert_eq!(read[0]["expiresAt"], "1970-01-01T01:16:40Z");
        assert_eq!(read[0]["claims"]["aud"], "a");
        assert!(!json!(read).to_string().contains("c2lnbmF0dXJl"));
    }

    #[test]
    fn headers_that_prove_something_are_not_shown() {
        let shown =
            |name: &str, value: &str| header(name, value, &mut Seen::default()).into_owned();
        assert_eq!(shown("authorization", "Bearer abc"), "Bearer [redacted]");
        assert_eq!(shown("authorization", "abc"), "[redacted]");
        assert_eq!(shown("cookie", "a=b"), "[redacted]");
        assert_eq!(shown("user-agent", "curl/8.5.0"), "curl/8.5.0");
    }

    proptest! {
        #[test]
        fn what_is_not_suspicious_holds_no_secret(
            parts in prop::collection::vec(
                "(access_token|_token|idToken|--rapt|ya29[.]|eyJhbGciOiJSUzI1NiJ9|e30|e30=|ew|Cnt9|IHt9|[.a-z%]|:|=|\\\\|\"|'|[ \t]|-----BEGIN |PRIVATE KEY-----|[A-Z]{8}|\u{e9})",
                0..14,
            ),
        ) {
            let text = parts.concat();
            let found = scan(&text, &mut Seen::default());
            prop_assert!(is_suspicious(&text) || found == text, "{text} is shown as {found}");
        }

        #[test]
        fn no_text_panics(body in ".{0,80}") {
            let _ = shown(&body);
        }

        #[test]
        fn a_token_is_hidden_wherever_it_stands(
            before in "[ -~]{0,20}",
            name in "(access_token|idToken|client_secret|assertion|private_key)",
            between in "(=|\": \"|\":\"|: )",
            secret in "[A-Za-z0-9]{12,30}",
            after in "([&\"\n}].{0,10})?",
        ) {
            // Only where the name is a word of its own.
            prop_assume!(!before.ends_with(|last: char| last.is_ascii_alphanumeric() || "_-%\\".contains(last)));
            prop_assume!(!before.contains("oken") && !before.contains("ssert"));
            let body = format!("{before}{name}{between}{secret}{after}");
            let shown = shown(&body);
            prop_assert!(!shown.contains(&secret), "{body} is shown as {shown}");
        }
    }
}
