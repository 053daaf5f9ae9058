//! `credential_source`: where the token of the other provider comes from.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::{
    values::{error::Error, secret::SecretText},
    wire::{aws, credentials_file::fields::Fields, executable, subject_token::Format},
};

/// The token type of a signed request to AWS.
const AWS_TOKEN: &str = "urn:ietf:params:aws:token-type:aws4_request";
const NO_URL: &str = "is not a URL with http:// or https://";
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

impl SubjectSource {
    /// Returns the member that no request can be made of, and what is wrong with
    /// it. google-auth finds it with the first request.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Url { url, headers, .. } => {
                let is_header = |(name, value): &(String, SecretText)| {
                    name.parse::<HeaderName>().is_ok()
                        && HeaderValue::from_str(value.reveal()).is_ok()
                };
                if !is_url(url) {
                    return Some(("url", NO_URL));
                }
                let all_are = headers.iter().all(is_header);
                (!all_are).then_some(("headers", "has a name or a value that no header can have"))
            }
            Self::Aws(settings) => {
                let urls = [
                    ("region_url", &settings.region_url),
                    ("url", &settings.keys_url),
                    ("imdsv2_session_token_url", &settings.session_token_url),
                ];
                let is_wrong = |url: &Option<String>| {
                    let named = url.as_deref().filter(|url| !url.is_empty());
                    named.is_some_and(|url| !is_url(url))
                };
                let wrong = urls.into_iter().find(|(_, url)| is_wrong(url));
                wrong.map(|(name, _)| (name, NO_URL)).or_else(|| {
                    let verification = "regional_cred_verification_url";
                    let url = settings.verification_url.replace("{region}", "region");
                    aws::service(&url)
                        .is_none()
                        .then_some((verification, "is not the https URL of a service of AWS"))
                })
            }
            Self::File { .. } | Self::Executable(_) | Self::Supplied => None,
        }
    }
}

/// Whether a server can be asked at `url`.
fn is_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
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
    if source.names("environment_id") {
        return Err(source.wrong(
            "environment_id",
            "is for AWS alone, which the token type is not of",
        ));
    }
    if source.has("certificate") {
        return Err(source.wrong("certificate", "is not supported by this library"));
    }
    let (path, url) = (source.text("file")?, source.text("url")?);
    for (name, value) in [("file", path), ("url", url)] {
        if value == Some("") {
            return Err(source.wrong(name, "is empty"));
        }
    }
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
        if source.names("format") {
            return Err(source.wrong("format", "is not an object"));
        }
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
    let bounded = |name: &str, least: f64, most: f64, what: &str| {
        let given = executable.number(name)?.filter(|time| *time != 0.0);
        match given {
            Some(time) if !(least..=most).contains(&time) => Err(executable.wrong(name, what)),
            given => Ok(given.map(|time| Duration::from_secs_f64(time / 1000.0))),
        }
    };
    let timeout = bounded(
        "timeout_millis",
        5_000.0,
        120_000.0,
        "is not from 5000 to 120000",
    )?;
    // Programs run without a terminal here; the value is checked all the same.
    bounded(
        "interactive_timeout_millis",
        30_000.0,
        1_800_000.0,
        "is not from 30000 to 1800000",
    )?;
    Ok(Executable {
        command,
        timeout: timeout.unwrap_or(EXECUTABLE_TIMEOUT),
        output_file: executable.text("output_file")?.map(str::to_owned),
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
        keys_url: source.text("url")?.map(str::to_owned),
        session_token_url: source.text("imdsv2_session_token_url")?.map(str::to_owned),
        // Empty, it is no URL: `fault` finds that.
        verification_url: source
            .text("regional_cred_verification_url")?
            .ok_or_else(|| source.wrong("regional_cred_verification_url", "is missing"))?
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fault(kind: &str, source: &Value) -> Option<&'static str> {
        let file = json!({ "credential_source": source });
        let source = read(Fields::new(&file, "`/f.json`"), kind).unwrap();
        source.fault().map(|(member, _)| member)
    }

    #[test]
    fn a_server_is_asked_at_a_url_with_headers() {
        let jwt = "urn:ietf:params:oauth:token-type:jwt";
        for (url, headers, member) in [
            ("file:///etc/passwd", json!({}), Some("url")),
            ("//host/path", json!({}), Some("url")),
            ("http://", json!({}), Some("url")),
            ("http://host", json!({"a b": "c"}), Some("headers")),
            ("http://host", json!({"a": "c\r\nd"}), Some("headers")),
            ("http://host", json!({"a": "c"}), None),
        ] {
            let source = json!({"url": url, "headers": headers});
            assert_eq!(fault(jwt, &source), member, "{source}");
        }
    }

    #[test]
    fn a_machine_of_aws_is_asked_at_urls() {
        let verification = "regional_cred_verification_url";
        for (member, url, is_fault) in [
            ("region_url", "ftp://host", true),
            ("region_url", "http://[fd00:ec2::254]/b", false),
            ("url", "host", true),
            ("url", "", false),
            ("imdsv2_session_token_url", "http:/host", true),
            (verification, "http://sts.{region}.amazonaws.com", true),
            (verification, "https://sts.{region}.amazonaws.com.cn", false),
            (verification, "HTTPS://sts.{region}.amazonaws.com", false),
            (verification, "", true),
        ] {
            let mut source = json!({"environment_id": "aws1",
                verification: "https://sts.{region}.amazonaws.com"});
            source[member] = url.into();
            assert_eq!(
                fault(AWS_TOKEN, &source),
                is_fault.then_some(member),
                "{source}"
            );
        }
    }
}
