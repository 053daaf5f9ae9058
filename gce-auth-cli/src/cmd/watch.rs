//! `gce-auth watch`.

use std::time::Duration;

use gce_auth::{MetadataChange, Watch};
use serde_json::{Value, json};

use crate::{
    clock::Timer,
    exit::{Exit, Failure},
    options::{ClientArgs, OutputArgs, metadata_path, seconds},
    output::Output,
    text,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth watch instance/maintenance-event
  gce-auth watch instance/attributes/ --recursive --format json
  gce-auth watch instance/attributes/ready --count 2 --timeout 300     now, and after a change
  gce-auth watch instance/attributes/key --last-etag 411261ca6c9e4837 --once

JSON has value, and etag for --last-etag, on one line. Text writes a line break in a value as \\n and
a backslash as \\\\. Without a value, the watch ends with code 6; with --missing-ok it prints an empty
line, null in JSON, and goes on. It goes on through outages of the server.";

/// Prints a metadata value on one line, and again after each change.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The path below computeMetadata/v1/, like instance/maintenance-event
    path: String,
    /// Watch the directory and everything below it
    #[arg(short, long)]
    recursive: bool,
    /// End after this many lines
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after one line, the same as --count 1
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// The version that is known already; print nothing until it changes
    #[arg(long, value_name = "ETAG")]
    last_etag: Option<String>,
    /// Go on without a value
    #[arg(long)]
    missing_ok: bool,
    #[command(flatten)]
    output: OutputArgs,
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
    /// End with code 4 after this many seconds. Default: never
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let path = metadata_path(&self.path)?;
        let client = ClientArgs {
            endpoint: self.endpoint.clone(),
            timeout: None,
        }
        .client_without_deadline()?;
        out.detail(format_args!("watching {path} at {}", client.endpoint()?));
        let mut watch = client.watch(path);
        if self.recursive {
            watch = watch.recursive(true);
        }
        if let Some(etag) = &self.last_etag {
            watch = watch.last_etag(etag);
        }
        out.end_with_reader();
        let last = if self.once { Some(1) } else { self.count };
        let timer = Timer::start();
        let mut printed = 0;
        while last.is_none_or(|last| printed < last) {
            let change = self.next(&mut watch, timer)?;
            if change.value().is_none() && !self.missing_ok {
                let why = format!(
                    "{path} does not exist or was deleted; add --missing-ok to wait for it"
                );
                return Err(Failure::new(Exit::NotFound, why));
            }
            self.print(&change, out)?;
            printed += 1;
        }
        Ok(())
    }

    fn next(&self, watch: &mut Watch, timer: Timer) -> Result<MetadataChange, Failure> {
        let Some(limit) = self.timeout else {
            return Ok(watch.blocking_next()?);
        };
        let left = limit.saturating_sub(timer.elapsed());
        watch.blocking_next_within(left)?.ok_or_else(|| {
            let limit = text::lasting(limit);
            Failure::new(Exit::Timeout, format!("no change within {limit}"))
        })
    }

    fn print(&self, change: &MetadataChange, out: &Output) -> Result<(), Failure> {
        if !self.output.is_json() {
            let line = change.text().map_or_else(String::new, one_line);
            return out.pieces(&[&line, "\n"]);
        }
        let value = change.value().map_or(Value::Null, |value| {
            let parsed = value.is_json().then(|| serde_json::from_str(value.text()));
            parsed
                .and_then(Result::ok)
                .unwrap_or_else(|| value.text().into())
        });
        let line = json!({"value": value, "etag": change.etag()});
        out.pieces(&[&line.to_string(), "\n"])
    }
}

/// Writes a value on one line, so that it can be told from the next.
fn one_line(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.replace('\\', r"\\")
        .replace('\n', r"\n")
        .replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(one_line("plain"), "plain");
        assert_eq!(one_line("a\nb\\n\n"), r"a\nb\\n");
    }
}
