//! Where in a file something is wrong, in one line: `FILE:LINE:COLUMN: what; what is allowed`.

use std::path::Path;

use gce_auth_server::toml_depth;
use serde::de::DeserializeOwned;

use super::config::ConfigError;

/// The text of a file.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Reads the text.
    pub(super) fn parse<T: DeserializeOwned>(self) -> Result<T, ConfigError> {
        if toml_depth::depth(self.text) > toml_depth::MOST {
            let most = toml_depth::MOST;
            let why = format!("tables are nested too deeply; at most {most} levels are allowed");
            return Err(self.error(0, &why));
        }
        toml::from_str(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().trim_end().replace('\n', ", ");
            // The library names types as Rust does.
            let message = message
                .replace("a sequence", "a list in brackets")
                .replace("invalid type: map", "invalid type: table");
            match self.key(at).filter(|key| !message.contains(&**key)) {
                Some(key) => self.error(at, &format!("`{key}`: {message}")),
                None => self.error(at, &message),
            }
        })
    }

    /// Says what is wrong at an offset.
    pub(super) fn error(self, at: usize, why: &str) -> ConfigError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[start..].chars().count() + 1;
        ConfigError(format!("{}:{line}:{column}: {why}", self.file.display()))
    }

    /// The key to which the value at an offset belongs, as far as the lines tell.
    fn key(self, at: usize) -> Option<String> {
        let end = self
            .text
            .get(at..)?
            .find('\n')
            .map_or(self.text.len(), |length| at + length);
        self.text[..end].lines().rev().find_map(|line| {
            let name = line.trim_start().split(['=', '#']).next()?.trim_end();
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte);
            (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_owned())
        })
    }
}
