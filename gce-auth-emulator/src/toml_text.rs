//! Reading TOML that may be anything.

use gce_auth_server::toml_depth;
use serde::de::DeserializeOwned;

/// Reads a text. Errors say what is wrong and in which line; the text itself is not repeated, as
/// there may be secrets in it.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if toml_depth::depth(text) > toml_depth::MOST {
        let most = toml_depth::MOST;
        return Err(format!(
            "it is nested too deeply: at most {most} levels are"
        ));
    }
    toml::from_str(text).map_err(|error| describe(text, &error))
}

fn describe(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| {
        let before = text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    });
    let message = error.message().trim_end().replace('\n', ", ");
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_brackets_count_together() {
        let text = format!("{}a = 1{}", "a.a.a.a = {".repeat(40), "}".repeat(40));
        let why = parse::<toml::Table>(&text).unwrap_err();
        assert!(why.contains("nested too deeply"), "{why}");
    }
}
