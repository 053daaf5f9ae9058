//! Subject tokens in files and answers: the text, or one member of a JSON
//! object (AIP-4117).

use serde_json::Value;
use zeroize::Zeroizing;

use crate::values::{
    error::{Error, ErrorKind},
    secret::SecretText,
};

/// What holds the token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// The whole content.
    Text,
    /// A member of a JSON object.
    Json {
        /// Its name.
        field: String,
    },
}

/// The token in the file that errors call `place`: a text whose lines end with a
/// newline alone, as google-auth reads it.
pub(crate) fn read_file(place: &str, bytes: &[u8], format: &Format) -> Result<SecretText, Error> {
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes.iter().peekable();
    while let Some(&byte) = rest.next() {
        if byte == b'\r' {
            rest.next_if(|next| **next == b'\n');
            text.push(b'\n');
        } else {
            text.push(byte);
        }
    }
    token(ErrorKind::Config, place, &text, format)
}

/// The token in an answer, which errors call `place`.
pub(crate) fn read(place: &str, bytes: &[u8], format: &Format) -> Result<SecretText, Error> {
    token(ErrorKind::InvalidResponse, place, bytes, format)
}

fn token(kind: ErrorKind, place: &str, bytes: &[u8], format: &Format) -> Result<SecretText, Error> {
    let refuse = |what: &str| {
        Error::new(kind, format!("{place} {what}"))
            .with_hint("see what writes the subject token, and `credential_source` in the file")
    };
    let token = match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| refuse("is not UTF-8 text"))?;
            SecretText::new(text)
        }
        Format::Json { field } => {
            let missing = || refuse(&format!("is no JSON object with the text `{field}`"));
            let mut value: Value = serde_json::from_slice(bytes).map_err(|_| missing())?;
            match value.get_mut(field).map(Value::take) {
                Some(Value::String(text)) => SecretText::new(&Zeroizing::new(text)),
                _ => return Err(missing()),
            }
        }
    };
    if token.reveal().is_empty() {
        return Err(refuse("holds an empty token"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_counts_also_a_newline_at_its_end() {
        let token = read("f", b"t\n", &Format::Text).unwrap();
        assert_eq!(token.reveal(), "t\n");
        for bytes in [&b""[..], b"\xff"] {
            let error = read("`/f`", bytes, &Format::Text).unwrap_err();
            assert!(error.to_string().starts_with("`/f` "), "{error}");
        }
    }

    #[test]
    fn the_lines_of_a_file_end_with_newlines() {
        for (bytes, text) in [("a\r\n", "a\n"), ("\ra\r\r\nb\n", "\na\n\nb\n")] {
            let token = read_file("f", bytes.as_bytes(), &Format::Text).unwrap();
            assert_eq!(token.reveal(), text);
        }
    }

    #[test]
    fn a_member_is_taken_out_of_json() {
        let format = Format::Json {
            field: "a".to_owned(),
        };
        let token = read("f", br#"{"a": "t", "b": 1}"#, &format).unwrap();
        assert_eq!(token.reveal(), "t");
        for bad in ["", "[]", "{}", r#"{"a":1}"#, r#"{"a":""}"#, "t"] {
            assert!(read("f", bad.as_bytes(), &format).is_err(), "{bad}");
        }
    }
}
