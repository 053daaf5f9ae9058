//! `gce-auth sign-url`.

use std::time::Duration;

use clap::ValueEnum;
use gce_auth::StorageUrl;
use http::Method;
use serde_json::json;

use crate::{cmd::sign::Signing, config::seconds, exit::Failure, out::Out, text};

const EXAMPLES: &str = "\
Examples:
  gce-auth sign-url gs://bucket/report.pdf
  gce-auth sign-url gs://bucket/upload --method PUT --header 'content-type: image/png' --expires 600
  gce-auth sign-url gs://bucket/upload --method PUT --format curl | curl -K - -T FILE

Whoever has the URL may use it until it expires, as far as the account itself may.";

/// Prints a URL with which anybody can do one thing in Cloud Storage, for a while.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The object, or the bucket to list
    #[arg(value_name = "gs://BUCKET/OBJECT", value_parser = place)]
    place: Place,
    /// What may be done: GET, HEAD, PUT, DELETE, or POST to begin a resumable upload
    #[arg(long, default_value_t = Method::GET)]
    method: Method,
    /// For how long, at most seven days
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "900")]
    expires: Duration,
    /// A header that the request must carry. May be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// A query parameter, like generation=1. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    query: Vec<(String, String)>,
    /// Where Cloud Storage is, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    storage_endpoint: Option<String>,
    /// How the URL is printed
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    #[command(flatten)]
    signer: Signing,
}

/// The form of a URL on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The URL alone
    #[default]
    Text,
    /// A JSON object: url, method, headers, expires_in
    Json,
    /// A configuration for `curl -K -`: URL, method and headers
    Curl,
}

/// What a `gs://` URL names.
#[derive(Clone, Debug)]
struct Place {
    bucket: String,
    object: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<(), Failure> {
        let Place { bucket, object } = &self.place;
        let mut wish = match object {
            Some(object) => StorageUrl::object(bucket, object),
            None => StorageUrl::bucket(bucket),
        }
        .method(self.method.clone())
        .expires_in(self.expires);
        for (name, value) in &self.header {
            wish = wish.header(name, value);
        }
        for (name, value) in &self.query {
            wish = wish.query(name, value);
        }
        if let Some(url) = &self.storage_endpoint {
            wish = wish.endpoint(url);
        }
        let url = self.signer.signer(out)?.blocking_sign_url(&wish)?;
        let method = self.method.as_str();
        match self.format {
            Form::Text => out.pieces(&[url.secret(), "\n"]),
            Form::Json => {
                let headers = self.header.iter();
                let headers: Vec<_> = headers
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                out.json(&json!({
                    "url": url.secret(),
                    "method": method,
                    "headers": headers,
                    "expires_in": self.expires.as_secs(),
                }))
            }
            Form::Curl => {
                out.pieces(&["url = \"", url.secret(), "\"\n"])?;
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

fn place(text: &str) -> Result<Place, String> {
    let refused = || "write gs://BUCKET/OBJECT, or gs://BUCKET".to_owned();
    let rest = text.strip_prefix("gs://").ok_or_else(refused)?;
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refused());
    }
    Ok(Place {
        bucket: bucket.to_owned(),
        object: (!object.is_empty()).then(|| object.to_owned()),
    })
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
