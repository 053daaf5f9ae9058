//! Helpers that people and scripts run: they print what a tool reads.

use std::process::ExitCode;

use crate::{
    cmd::helper::{reply::print, source::HelperArgs},
    exit::Failure,
    helper::{export, gradle, index_url, maven, npmrc},
    output::Output,
};

/// Prints lines for .npmrc with the token of npm registries.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Npmrc {
    /// The URLs of the registries, separated by commas: https://HOST/PROJECT/REPOSITORY/
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    registries: Vec<String>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Npmrc {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        print(&npmrc::answer(&self.registries, &hosts, &tokens)?, out)
    }
}

/// Prints the URL of a Python index with the token in it, for PIP_INDEX_URL and UV_INDEX_URL.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct IndexUrl {
    /// The URL of the index: https://HOST/PROJECT/REPOSITORY/simple/
    url: String,
    #[command(flatten)]
    common: HelperArgs,
}

impl IndexUrl {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        print(&index_url::answer(&self.url, &hosts, &tokens)?, out)
    }
}

/// Prints a settings.xml for Maven, with the token as header of servers.
///
/// Maven sends the header to whatever URL a project has under this server id: choose an id of your own.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Maven {
    /// The ids of the servers, separated by commas, as repositories in pom.xml have them
    #[arg(long, value_name = "ID", value_delimiter = ',', required = true)]
    servers: Vec<String>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Maven {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        print(
            &maven::answer(&self.servers, &self.common.tokens(out))?,
            out,
        )
    }
}

/// Prints variables with user and token for a repository of Gradle with PasswordCredentials.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Gradle {
    /// The name of the repository
    #[arg(long, value_name = "NAME")]
    repository: String,
    #[command(flatten)]
    common: HelperArgs,
}

impl Gradle {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        print(
            &gradle::answer(&self.repository, &self.common.tokens(out))?,
            out,
        )
    }
}

/// Prints the variables that Terraform, gcloud and others read a token from, and its expiry.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Export {
    /// How variables are written
    #[arg(long, value_enum, default_value_t)]
    format: export::Form,
    #[command(flatten)]
    common: HelperArgs,
}

impl Export {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        print(&export::answer(self.format, &self.common.tokens(out))?, out)
    }
}
