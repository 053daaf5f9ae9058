//! `gce-auth sign-url`.

mod location;

use std::time::Duration;

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use gce_auth::StorageUrl;
use http::Method;
use serde_json::json;

use crate::{
    cmd::sign_url::location::Location,
    exit::Failure,
    options::{SignerArgs, seconds},
    output::Output,
    text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth sign-url gs://bucket/report.pdf
  gce-auth sign-url gs://bucket/upload --method PUT --header 'content-type: image/png' --expires 600
  gce-auth sign-url gs://bucket/upload --method PUT --format curl | curl -K - -T FILE

Every holder of the URL may use it until it expires, within the permissions of the account. IAM
signs with keys that rotate: a URL may stop working 12 hours after it was made.";

/// The methods of signed URLs ("Signed URLs", Cloud Storage).
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "DELETE", "POST"];

/// The time for which IAM promises that a key verifies what it signed.
const KEYS_LAST: Duration = Duration::from_secs(12 * 3600);

/// Prints a URL that allows its holders one operation in Cloud Storage until it expires.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The object, or the bucket to list
    #[arg(value_name = "gs://BUCKET/OBJECT", value_parser = Location::parse)]
    location: Location,
    /// The method of the request; POST begins a resumable upload
    #[arg(
        long,
        default_value = "GET",
        value_parser = PossibleValuesParser::new(METHODS).try_map(|name| name.parse::<Method>()),
    )]
    method: Method,
    /// The time until the URL expires, at most seven days
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "900")]
    expires: Duration,
    /// A header that the request must carry. May be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A query parameter, like generation=1. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    query: Vec<(String, String)>,
    /// The URL of Cloud Storage, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    storage_endpoint: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: UrlFormat,
    #[command(flatten)]
    signer: SignerArgs,
}

/// The output format of a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum UrlFormat {
    /// The URL alone
    #[default]
    Text,
    /// A JSON object: url, method, headers, expires_in
    Json,
    /// A configuration for `curl -K -`: URL, method and headers
    Curl,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let Location { bucket, object } = &self.location;
        let mut request = match object {
            Some(object) => StorageUrl::object(bucket, object),
            None => StorageUrl::bucket(bucket),
        }
        .method(self.method.clone())
        .lifetime(self.expires);
        for (name, value) in &self.header {
            request = request.header(name, value);
        }
        for (name, value) in &self.query {
            request = request.query(name, value);
        }
        if let Some(url) = &self.storage_endpoint {
            request = request.endpoint(url);
        }
        let url = self.signer.signer(out)?.blocking_sign_url(&request)?;
        if self.expires > KEYS_LAST {
            out.note(format_args!(
                "IAM rotates its keys: this URL may stop working after 12 hours, before it expires \
                 in {}; make a new one in time, or sign with a key file",
                text::lasting(self.expires)
            ));
        }
        self.print(url.secret(), out)
    }

    fn print(&self, url: &str, out: &Output) -> Result<(), Failure> {
        let method = self.method.as_str();
        match self.format {
            UrlFormat::Text => out.pieces(&[url, "\n"]),
            UrlFormat::Json => {
                let headers = self.header.iter();
                let headers: Vec<_> = headers
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                out.json(&json!({
                    "url": url,
                    "method": method,
                    "headers": headers,
                    "expires_in": self.expires.as_secs(),
                }))
            }
            UrlFormat::Curl => {
                out.pieces(&["url = \"", url, "\"\n"])?;
                if self.method == Method::HEAD {
                    out.exact("head\n")?;
                } else {
                    out.pieces(&["request = \"", method, "\"\n"])?;
                }
                self.header.iter().try_for_each(|(name, value)| {
                    let line = text::curl_word(&format!("{name}: {value}"));
                    out.pieces(&["header = ", &line, "\n"])
                })
            }
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "write a name and a value, like content-type: text/plain".to_owned())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write a name and a value, like generation=1".to_owned())
}
