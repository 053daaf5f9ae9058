//! `credential_source`: where the token of the other provider comes from.

use std::time::Duration;

use crate::{
    values::{error::Error, secret::SecretText},
    wire::{credentials_file::fields::Fields, executable, subject_token::Format},
};

/// The token type of a signed request to AWS.
const AWS_TOKEN: &str = "urn:ietf:params:aws:token-type:aws4_request";
const EXECUTABLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the subject token comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SubjectSource {
    /// A file, read for each exchange.
    File {
        /// Where it is.
        path: String,
        /// What is in it.
        format: Format,
    },
    /// A server on the machine or in the network.
    Url {
        /// Where it is.
        url: String,
        /// The headers of the request.
        headers: Vec<(String, SecretText)>,
        /// What it answers.
        format: Format,
    },
    /// A program.
    Executable(Executable),
    /// A signed request to AWS.
    Aws(Aws),
    /// A function of the program, which no file names.
    Supplied,
}

/// A program that prints a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Executable {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) timeout: Duration,
    /// Where it leaves its answer for later.
    pub(crate) output_file: Option<String>,
}

/// How a request to AWS is signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aws {
    pub(crate) region_url: Option<String>,
    /// Where the machine's role and its keys are.
    pub(crate) keys_url: Option<String>,
    /// Where a session token for the other two is.
    pub(crate) session_token_url: Option<String>,
    pub(crate) verification_url: String,
}

pub(super) fn read(fields: Fields<'_>, kind: &str) -> Result<SubjectSource, Error> {
    const NAME: &str = "credential_source";
    let source = fields
        .object(NAME, "credential_source.")?
        .ok_or_else(|| fields.wrong(NAME, "is missing"))?;
    if kind == AWS_TOKEN {
        return aws(source).map(SubjectSource::Aws);
    }
    if source.has("executable") {
        return executable(source).map(SubjectSource::Executable);
    }
    if source.has("environment_id") {
        return Err(source.wrong(
            "environment_id",
            "is for AWS alone, which the token type is not of",
        ));
    }
    if source.has("certificate") {
        return Err(source.wrong("certificate", "is not supported by this library"));
    }
    let (path, url) = (source.text("file")?, source.text("url")?);
    match (path, url) {
        (Some(path), None) => Ok(SubjectSource::File {
            path: path.to_owned(),
            format: format(&source)?,
        }),
        (None, Some(url)) => Ok(SubjectSource::Url {
            url: url.to_owned(),
            headers: source.pairs("headers")?,
            format: format(&source)?,
        }),
        (Some(_), Some(_)) => Err(fields.wrong(NAME, "has both `file` and `url`")),
        (None, None) => Err(fields.wrong(NAME, "has none of `file`, `url` and `executable`")),
    }
}

fn format(source: &Fields<'_>) -> Result<Format, Error> {
    let Some(format) = source.object("format", "credential_source.format.")? else {
        return Ok(Format::Text);
    };
    match format.text("type")? {
        None | Some("" | "text") => Ok(Format::Text),
        Some("json") => {
            let field = format
                .text("subject_token_field_name")?
                .ok_or_else(|| format.wrong("subject_token_field_name", "is missing"))?;
            Ok(Format::Json {
                field: field.to_owned(),
            })
        }
        Some(_) => Err(format.wrong("type", "is neither text nor json")),
    }
}

fn executable(source: Fields<'_>) -> Result<Executable, Error> {
    const WITHIN: &str = "credential_source.executable.";
    let executable = source
        .object("executable", WITHIN)?
        .ok_or_else(|| source.wrong("executable", "is missing"))?;
    let command = executable.required("command")?;
    let command = executable::words(command)
        .ok_or_else(|| executable.wrong("command", "has a quote that does not end"))?;
    if command.is_empty() {
        return Err(executable.wrong("command", "is empty"));
    }
    let bounded = |name: &str, least: u64, most: u64, what: &str| {
        let given = executable.whole(name)?.filter(|time| *time != 0);
        match given {
            Some(time) if !(least..=most).contains(&time) => Err(executable.wrong(name, what)),
            given => Ok(given.map(Duration::from_millis)),
        }
    };
    let timeout = bounded(
        "timeout_millis",
        5_000,
        120_000,
        "is not from 5000 to 120000",
    )?;
    // Programs run without a terminal here; the value is checked all the same.
    bounded(
        "interactive_timeout_millis",
        30_000,
        1_800_000,
        "is not from 30000 to 1800000",
    )?;
    Ok(Executable {
        command,
        timeout: timeout.unwrap_or(EXECUTABLE_TIMEOUT),
        output_file: executable.filled("output_file")?,
    })
}

fn aws(source: Fields<'_>) -> Result<Aws, Error> {
    let id = source.text("environment_id")?.unwrap_or_default();
    let version = id
        .strip_prefix("aws")
        .filter(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()));
    match version.map(str::parse::<u32>) {
        Some(Ok(1)) => {}
        Some(_) => return Err(source.wrong("environment_id", "is of a version other than aws1")),
        None => return Err(source.wrong("environment_id", "is not aws1, as the token type wants")),
    }
    Ok(Aws {
        region_url: source.filled("region_url")?,
        keys_url: source.filled("url")?,
        session_token_url: source.filled("imdsv2_session_token_url")?,
        verification_url: source
            .required("regional_cred_verification_url")?
            .to_owned(),
    })
}
