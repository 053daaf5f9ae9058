//! `gce-auth doctor`: the way to a token, step by step, with what was found.

mod environment;
mod network;
mod report;
mod server;

use std::{process::ExitCode, time::Duration};

use gce_auth::{Credentials, MetadataClient};

use crate::{
    cmd::doctor::report::{Finding, Report},
    config::{Reach, WhichAccount},
    env,
    exit::Failure,
    out::Out,
};

pub(crate) use self::environment::default_credentials;

/// How long a name, a connection and a first answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Examples:
  gce-auth doctor
  gce-auth doctor --json | jq '.steps[] | select(.result != \"ok\")'

The exit code is that of the first step that failed, 0 if none did. No token is shown.";

/// Goes the way of a client step by step, and says what is wrong and what to do.
///
/// Environment, firmware, name, proxies, connection, answer, clock, account, scopes, tokens, universe,
/// and signatures by IAM.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// As a JSON object
    #[arg(long)]
    json: bool,
    /// Where to ask for a signature, instead of Google where the server is the machine's own
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    #[command(flatten)]
    account: WhichAccount,
    #[command(flatten)]
    reach: Reach,
}

impl Args {
    pub(crate) fn run(&self, out: &Out) -> Result<ExitCode, Failure> {
        let mut report = Report::new(out, self.json);
        self.examine(&mut report)?;
        report.end()
    }

    fn examine(&self, report: &mut Report<'_>) -> Result<(), Failure> {
        for (name, finding) in environment::variables(env::var) {
            report.add(name, finding)?;
        }
        report.add("key files", environment::key_files(env::var))?;
        let client = match self.reach.client() {
            Ok(client) => client,
            Err(failure) => return report.add("settings", Finding::of_failure(&failure)),
        };
        report.add("firmware", server::firmware(&client))?;
        let endpoint = client.endpoint()?;
        report.add("proxies", environment::proxies(env::var, &endpoint))?;
        if !self.reachable(report, &endpoint)? {
            return Ok(());
        }
        self.tokens(report, &client)
    }

    /// The network up to the server's first answer.
    fn reachable(&self, report: &mut Report<'_>, endpoint: &str) -> Result<bool, Failure> {
        let patience = self.reach.timeout.unwrap_or(PATIENCE);
        let (finding, addresses) = report.time(|| network::resolve(endpoint, patience));
        report.add("address", finding)?;
        if !self.is_configured() {
            let finding = report.time(|| network::well_known_name(patience));
            report.add("name", finding)?;
        }
        let (finding, stream) = report.time(|| network::connect(&addresses, patience));
        report.add("connection", finding)?;
        let Some(stream) = stream else {
            return Ok(false);
        };
        let (finding, answer) = report.time(|| network::ask(stream, endpoint, patience));
        report.add("answer", finding)?;
        if let Some(date) = answer.and_then(|answer| answer.date) {
            report.add("clock", server::clock(date))?;
        }
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
            report.add("scopes", server::scopes(&known.scopes))?;
            let finding = report.time(|| server::access_token(&credentials));
            report.add("access token", finding)?;
            let finding = report.time(|| server::id_token(client, account));
            report.add("ID token", finding)?;
            if self.iam_endpoint.is_some() || !self.is_configured() {
                let url = self.iam_endpoint.as_deref();
                let finding = report.time(|| server::signature(&credentials, url));
                report.add("signature", finding)?;
            }
        }
        let finding = report.time(|| server::project(client));
        report.add("project", finding)?;
        let finding = report.time(|| server::universe(client));
        report.add("universe", finding)
    }

    /// Whether somebody said where the server is.
    fn is_configured(&self) -> bool {
        let named = |name| env::var(name).is_some();
        self.reach.endpoint.is_some() || named("GCE_METADATA_HOST") || named("GCE_METADATA_ROOT")
    }
}
