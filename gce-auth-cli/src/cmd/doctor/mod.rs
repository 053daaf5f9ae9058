//! `gce-auth doctor`: the way to a token, step by step, with what was found.

mod agent;
mod chain;
mod environment;
mod helpers;
mod network;
mod report;
mod server;
mod trial;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use gce_auth::{Credentials, DefaultOptions, DefaultSource, MetadataClient};

use crate::{
    cmd::doctor::report::{Finding, Report},
    env,
    exit::Failure,
    options::{AccountArgs, ClientArgs, OutputArgs, Source, load_file, seconds, trusted_host},
    output::Output,
};

/// The time for a name, a connection and a first answer.
const PATIENCE: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Examples:
  gce-auth doctor
  gce-auth doctor --json | jq '.steps[] | select(.result != \"ok\")'

In JSON: ok, and steps, each with step, result (ok, warning, failed or skipped), found, advice and
milliseconds. The exit code is that of the first step that failed, else 0. Tokens are not shown.";

/// Checks step by step what a client needs, and prints what is wrong and what to do.
///
/// Shows which credentials Google's SDKs and this command choose here. Checks a credentials file
/// that comes first and its permissions; else the metadata server: environment, firmware, name,
/// proxies, connection, answer, clock, agent, account, scopes, tokens, universe, and signatures by
/// IAM.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
    /// The URL of the IAM Credentials API, asked for a signature. Default: Google's, if the
    /// metadata server is this machine's own
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    /// The source of the credentials: adc, metadata, or a credentials file. Default: as of `token`
    #[arg(long, value_name = "adc|metadata|FILE")]
    source: Option<PathBuf>,
    /// Trust this server, host or host:port, with the secrets of a credentials file. May be
    /// repeated
    #[arg(long, value_name = "HOST", value_parser = trusted_host)]
    trust_host: Vec<String>,
    #[command(flatten)]
    account: AccountArgs,
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
    /// Give up a step after this many seconds. Default: 3 for the network, about 10 for a token
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let mut report = Report::new(out, self.output.is_json());
        self.examine(&mut report)?;
        report.end()
    }

    fn examine(&self, report: &mut Report<'_>) -> Result<(), Failure> {
        for (name, finding) in environment::variables(env::var) {
            report.add(name, finding)?;
        }
        for (name, finding) in chain::steps(env::var, DefaultSource::gcloud_file().as_deref()) {
            report.add(name, finding)?;
        }
        if let Ok(program) = env::program() {
            for finding in helpers::steps(env::var, &program) {
                report.add("helpers", finding)?;
            }
        }
        let chosen = Source::choose(self.source.as_deref(), self.endpoint.as_deref());
        let file = match chosen {
            Ok(source) => {
                report.add("source", Finding::good(format!("gce-auth uses {source}")))?;
                if let Err(failure) = source.check_account(&self.account) {
                    return report.add("account", Finding::of_failure(&failure));
                }
                if let Err(failure) = source.check_trusted_hosts(&self.trust_host) {
                    return report.add("source", Finding::of_failure(&failure));
                }
                source.file()
            }
            Err(failure) => return report.add("source", Finding::of_failure(&failure)),
        };
        let client = ClientArgs {
            endpoint: self.endpoint.clone(),
            timeout: self.timeout,
        };
        let client = match client.client_without_deadline() {
            Ok(client) => client,
            Err(failure) => return report.add("settings", Finding::of_failure(&failure)),
        };
        if let Some(file) = file {
            if self.source.as_ref() == Some(&file) {
                // The chain names the others.
                if let Some((name, finding)) = chain::permissions(&file) {
                    report.add(name, finding)?;
                }
            }
            let options = DefaultOptions::new().client(client);
            let trusting = |options: DefaultOptions, host| options.trust_host(host);
            let options = self.trust_host.iter().fold(options, trusting);
            return examine_file(report, &options, &file);
        }
        let finding = report.time(|| server::firmware(&client));
        report.add("firmware", finding)?;
        let endpoint = client.endpoint()?;
        report.add("proxies", environment::proxies(env::var, &endpoint))?;
        if self.reachable(report, &endpoint)? {
            self.tokens(report, &client)?;
        }
        Ok(())
    }

    /// Checks the network up to the first answer of the server.
    fn reachable(&self, report: &mut Report<'_>, endpoint: &str) -> Result<bool, Failure> {
        let patience = self.timeout.unwrap_or(PATIENCE);
        let (finding, addresses) = report.time(|| network::resolve(endpoint, patience));
        report.add("address", finding)?;
        let finding = match self.configured_by() {
            None => report.time(|| network::well_known_name(patience)),
            Some(by) => {
                Finding::skipped(format!("not looked up, as {by} names the metadata server"))
            }
        };
        report.add("name", finding)?;
        let (finding, stream) = report.time(|| network::connect(&addresses, patience));
        report.add("connection", finding)?;
        let Some(stream) = stream else {
            return Ok(false);
        };
        let (finding, answer) = report.time(|| network::ask(stream, endpoint, patience));
        report.add("answer", finding)?;
        let Some(answer) = answer else {
            return Ok(false);
        };
        let finding = answer.date.map_or_else(
            || Finding::skipped("the server sends no Date".to_owned()),
            server::clock,
        );
        report.add("clock", finding)?;
        let finding = report.time(|| agent::ask(&addresses, endpoint, patience));
        report.add("agent", finding)?;
        Ok(true)
    }

    fn tokens(&self, report: &mut Report<'_>, client: &MetadataClient) -> Result<(), Failure> {
        let account = &self.account.account;
        let credentials = Credentials::builder()
            .client(client.clone())
            .service_account(account)
            .build()?;
        let (finding, known) = report.time(|| server::account(&credentials));
        report.add("account", finding)?;
        if let Some(known) = known {
            report.add("scopes", server::scopes(known.scopes()))?;
            let finding = report.time(|| server::access_token(&credentials));
            report.add("access token", finding)?;
            let finding = report.time(|| server::id_token(client, account));
            report.add("ID token", finding)?;
            let url = self.iam_endpoint.as_deref();
            let finding = match self.configured_by().filter(|_| url.is_none()) {
                None => report.time(|| server::signature(&credentials, url)),
                Some(by) => Finding::skipped(format!(
                    "not requested, as {by} names the metadata server, whose tokens may not be Google's; \
                     name an IAM API with --iam-endpoint"
                )),
            };
            report.add("signature", finding)?;
        }
        let finding = report.time(|| server::project(client));
        report.add("project", finding)?;
        let finding = report.time(|| server::universe(client));
        report.add("universe", finding)
    }

    /// Returns the setting that names the metadata server, if there is one.
    fn configured_by(&self) -> Option<&'static str> {
        if self.endpoint.is_some() {
            return Some("--endpoint");
        }
        ["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]
            .into_iter()
            .find(|name| env::var(name).is_some_and(|value| !value.is_empty()))
    }
}

/// Checks a credentials file that comes before the metadata server.
fn examine_file(
    report: &mut Report<'_>,
    options: &DefaultOptions,
    file: &Path,
) -> Result<(), Failure> {
    let found = match load_file(file, options) {
        Ok(found) => found,
        Err(error) => return report.add("file", Finding::of(&error)),
    };
    let info = found.credentials.info();
    let whose = match info.principal.as_str() {
        "" => String::new(),
        principal => format!(" of {principal}"),
    };
    report.add(
        "file",
        Finding::good(format!("{}{whose}", info.credential_type)),
    )?;
    let finding = report.time(|| server::access_token(&found.credentials));
    report.add("access token", finding)?;
    let finding = match found.project_id {
        Some(project) => Finding::good(project),
        None => Finding::good("the file names none"),
    };
    report.add("project", finding)?;
    let skipped = "not checked, as the file comes before it; name it with --endpoint to check it";
    report.add("server", Finding::skipped(skipped.to_owned()))
}
