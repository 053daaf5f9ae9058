//! Helpers that people and scripts run: they print what a tool reads.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    cmd::helper::{reply::print, source::HelperArgs},
    env,
    exit::Failure,
    helper::{export, gradle, hosts::Hosts, index_url, maven, npmrc},
    install::{
        block,
        edit::{After, Edit, refused},
        file::{ConfigFile, Mode},
        places,
    },
    output::Output,
};

/// The name of npm's block, and of its file.
const NPMRC: &str = "npmrc";

/// Prints lines for .npmrc with the token of npm registries, or writes them.
///
/// npm asks no helper: write a new token before the old one expires.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    group = clap::ArgGroup::new("edited").args(["write", "undo"]).multiple(true)
)]
pub(crate) struct Npmrc {
    /// The URLs of the registries, separated by commas: https://HOST/PROJECT/REPOSITORY/
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        required_unless_present = "undo"
    )]
    registries: Vec<String>,
    /// Write them to the user's .npmrc, which gets the mode 0600, and print what changes
    #[arg(long)]
    write: bool,
    /// Remove from the user's .npmrc what was written
    #[arg(long, conflicts_with_all = ["write", "registries"])]
    undo: bool,
    /// The file, instead of the user's .npmrc
    #[arg(long, value_name = "FILE", requires = "edited")]
    file: Option<PathBuf>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Npmrc {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        if self.undo {
            return self.edit(out, |text| match text {
                Some(text) => block::take(text, NPMRC, ';'),
                None => Ok(Edit::none()),
            });
        }
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        if !self.write {
            return print(&npmrc::answer(&self.registries, &hosts, &tokens)?, out);
        }
        self.edit(out, |text| {
            let text = text.map(str::to_owned);
            self.check_foreign(text.as_deref().unwrap_or_default(), &hosts)?;
            let lines = npmrc::answer(&self.registries, &hosts, &tokens)?;
            block::put(text.as_deref(), NPMRC, ';', &lines.text)
        })
    }

    fn edit(
        &self,
        out: &Output,
        edit: impl FnOnce(Option<&str>) -> Result<Edit, Failure>,
    ) -> Result<ExitCode, Failure> {
        let path = self.file.clone().or_else(|| places::file(NPMRC, env::var));
        let path = path.ok_or_else(|| refused("HOME is not set; name the file with --file"))?;
        let file = ConfigFile::read(&path)?;
        let edit = edit(file.text()?).map_err(|failure| {
            let why = format!("{}: {failure}", path.display());
            Failure::new(failure.exit(), why)
        })?;
        if edit.after != After::Same {
            out.value(&path.display().to_string())?;
            edit.changes.iter().try_for_each(|line| out.value(line))?;
        }
        // What is undone leaves no token.
        match (self.undo, &edit.after) {
            (true, after) => file.replace(after, Mode::Kept)?,
            (false, After::Same) => file.make_private()?,
            (false, after) => file.replace(after, Mode::Private)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// npm takes the last of several lines, so that another token would stay in use.
    fn check_foreign(&self, text: &str, hosts: &Hosts) -> Result<(), Failure> {
        let own = block::take(text, NPMRC, ';')?;
        let rest = match &own.after {
            After::Same => text,
            After::Text(rest) => rest,
            After::Gone => "",
        };
        for registry in &self.registries {
            let key = npmrc::key(registry, hosts)?;
            let is_set = |line: &str| {
                let name = line.split('=').next().unwrap_or_default();
                name.trim() == key
            };
            if let Some(at) = rest.lines().position(is_set) {
                let number = at + 1;
                return Err(refused(format!(
                    "line {number} without the block of gce-auth has another token for {key}; \
                     remove that line first"
                )));
            }
        }
        Ok(())
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
/// Maven sends the header to whatever URL a project has under this server id: choose an id of your
/// own.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Maven {
    /// The ids of the servers, separated by commas, as repositories in pom.xml have them
    #[arg(long, value_name = "ID", value_delimiter = ',', required = true)]
    servers: Vec<String>,
    /// Write it to this file, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Maven {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let answer = || maven::answer(&self.servers, &self.common.tokens(out));
        let Some(path) = &self.output else {
            return print(&answer()?, out);
        };
        let file = ConfigFile::read(path)?;
        if !file.text()?.is_none_or(maven::is_own) {
            return Err(refused(format!(
                "{} is a settings file of your own; name another file",
                path.display()
            )));
        }
        file.write_private(&answer()?.text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints variables for a repository of Gradle with PasswordCredentials or HttpHeaderCredentials.
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
