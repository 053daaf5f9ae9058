//! The token as environment variables, for Terraform, gcloud and every tool that reads one.

use clap::ValueEnum;

use crate::{
    exit::Failure,
    helper::{
        json,
        token::{Reply, Tokens},
    },
    text::rfc3339,
};

/// Terraform reads the first, gcloud the second.
const TOKENS: [&str; 2] = ["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"];
/// When the token expires.
const EXPIRY: &str = "GOOGLE_OAUTH_ACCESS_TOKEN_EXPIRES_AT";

/// How variables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// export NAME=VALUE, for `eval` in sh, bash and zsh
    #[default]
    Export,
    /// NAME=VALUE, for `docker run --env-file`
    Env,
    /// set -gx NAME VALUE, for fish
    Fish,
    /// $env:NAME = 'VALUE', for `PowerShell`
    Powershell,
    /// A JSON object of names and values
    Json,
}

/// Returns the variables.
pub(crate) fn answer(form: Form, tokens: &dyn Tokens) -> Result<Reply, Failure> {
    let token = tokens.access()?;
    let expiry = token.expires_at.map(rfc3339);
    let secret = token.plain()?;
    let mut variables = TOKENS.map(|name| (name, secret)).to_vec();
    if let Some(expiry) = &expiry {
        variables.push((EXPIRY, expiry));
    }
    if form == Form::Json {
        let values: Vec<_> = variables
            .iter()
            .map(|(_, value)| json::string(value))
            .collect();
        let mut pieces = Vec::new();
        for ((name, _), value) in variables.iter().zip(&values) {
            let before = if pieces.is_empty() { "{\"" } else { ",\"" };
            pieces.extend([before, name, "\":", value]);
        }
        pieces.push("}\n");
        return Ok(Reply::text(&pieces));
    }
    let (before, between, after) = match form {
        Form::Env => ("", "=", "\n"),
        Form::Fish => ("set -gx ", " ", "\n"),
        Form::Powershell => ("$env:", " = '", "'\n"),
        Form::Export | Form::Json => ("export ", "=", "\n"),
    };
    let mut pieces = Vec::new();
    for (name, value) in &variables {
        pieces.extend([before, name, between, value, after]);
    }
    Ok(Reply::text(&pieces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::token::fake::Fake;

    #[test]
    fn each_form_names_token_and_expiry() {
        for (form, first) in [
            (
                Form::Export,
                "export GOOGLE_OAUTH_ACCESS_TOKEN=ya29.access\n",
            ),
            (Form::Env, "GOOGLE_OAUTH_ACCESS_TOKEN=ya29.access\n"),
            (
                Form::Fish,
                "set -gx GOOGLE_OAUTH_ACCESS_TOKEN ya29.access\n",
            ),
            (
                Form::Powershell,
                "$env:GOOGLE_OAUTH_ACCESS_TOKEN = 'ya29.access'\n",
            ),
        ] {
            let reply = answer(form, &Fake::default()).unwrap();
            assert!(reply.text.starts_with(first), "{form:?}");
            assert!(reply.text.contains("2026-01-31T23:59:59Z"), "{form:?}");
            assert_eq!(reply.text.lines().count(), 3, "{form:?}");
        }
        let reply = answer(Form::Json, &Fake::default()).unwrap();
        let read: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
        assert_eq!(read[TOKENS[1]], "ya29.access");
        assert_eq!(read[EXPIRY], "2026-01-31T23:59:59Z");
    }
}
