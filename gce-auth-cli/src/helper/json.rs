//! JSON that holds a secret, in one buffer.

use zeroize::Zeroizing;

/// Quotes text as a JSON string.
pub(crate) fn string(text: &str) -> Zeroizing<String> {
    // Each byte takes at most the six of an escape, so that the buffer does not grow.
    let mut quoted = Zeroizing::new(String::with_capacity(6 * text.len() + 2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            control if control < ' ' => {
                let code = control as u32;
                let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
                quoted.push_str("\\u00");
                quoted.push(digit(code >> 4));
                quoted.push(digit(code & 15));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_read_again(text in ".*|[\\x00-\\x7f]*") {
            let quoted = string(&text);
            prop_assert!(quoted.len() <= 6 * text.len() + 2);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }
}
