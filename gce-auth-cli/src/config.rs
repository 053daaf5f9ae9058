//! From arguments to settings: what the commands have in common.

use std::time::Duration;

use clap::{
    Args as _, CommandFactory, FromArgMatches, Parser, ValueEnum,
    builder::styling::{AnsiColor, Styles},
};
use gce_auth::{MetadataClient, RetryPolicy, transport::Limits};

use crate::{
    cmd::{self, Command},
    deadline, env, exit,
    exit::Failure,
    out::Out,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const ABOUT: &str = "\
Identity for programs on Google Cloud, from the metadata server of the machine.

Values go to standard output, everything else to standard error. The metadata server is the one of
--endpoint, else of GCE_METADATA_HOST, else of GCE_METADATA_ROOT, else 169.254.169.254. Nothing is
written to disk.";

const EXAMPLES: &str = "\
Examples:
  gce-auth demo                                everything once, with an emulator
  gce-auth token                               an access token
  gce-auth id-token --audience https://x.app   an ID token for a service
  gce-auth get instance/zone                   any metadata value";

/// Identity for programs on Google Cloud, from the metadata server.
#[derive(Debug, Parser)]
#[command(
    name = "gce-auth",
    version,
    long_about = ABOUT,
    styles = STYLES,
    max_term_width = 100,
    after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE),
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) manner: Manner,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the arguments; ends the process where they make no sense.
    ///
    /// If the first of them names a command, that one alone is described: to describe all takes
    /// longer than to get a token.
    pub(crate) fn read() -> Self {
        let arguments = env::arguments();
        let name = arguments.get(1).and_then(|name| name.to_str());
        let known = match name.and_then(cmd::alone) {
            Some(command) => root().subcommand(command),
            None => Self::command(),
        };
        let mut matches = known.get_matches_from(arguments);
        Self::from_arg_matches_mut(&mut matches)
            .unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }
}

/// The command without commands.
fn root() -> clap::Command {
    let root = clap::Command::new("gce-auth")
        .styles(STYLES)
        .max_term_width(100)
        .subcommand_required(true);
    Manner::augment_args(root)
}

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Manner {
    /// Say nothing on standard error, misuse aside; the exit code tells
    #[arg(
        short,
        long,
        global = true,
        display_order = 900,
        conflicts_with = "verbose"
    )]
    pub(crate) quiet: bool,
    /// Say on standard error what is done; never a token
    #[arg(short, long, global = true, display_order = 900)]
    pub(crate) verbose: bool,
}

/// How the metadata server is reached.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Reach {
    /// The metadata server to ask, instead of GCE_METADATA_HOST or 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) endpoint: Option<String>,
    /// Give up after this many seconds, instead of about 10
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

impl Reach {
    /// A client of that server; the whole command gives up in time.
    pub(crate) fn client(&self, out: &Out) -> Result<MetadataClient, Failure> {
        if let Some(timeout) = self.timeout {
            deadline::set(timeout, *out);
        }
        self.patient_client()
    }

    /// A client of that server, of which each operation gives up in time.
    pub(crate) fn patient_client(&self) -> Result<MetadataClient, Failure> {
        let mut builder = MetadataClient::builder();
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.retry(RetryPolicy::new().budget(timeout));
            let limits = Limits::new();
            if timeout < limits.attempt {
                builder = builder.limits(within(limits, timeout));
            }
        }
        Ok(builder.build()?)
    }
}

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Shape {
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// The forms of what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    #[default]
    Text,
    /// A JSON object
    Json,
}

impl Shape {
    pub(crate) fn is_json(self) -> bool {
        self.json || self.format == Form::Json
    }
}

/// The account that the metadata server takes for the machine's own.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// Which of the machine's service accounts is meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WhichAccount {
    /// The service account, by its email address or an alias
    #[arg(long, value_name = "ACCOUNT", default_value = DEFAULT_ACCOUNT)]
    pub(crate) account: String,
}

/// Detection makes a single attempt, which no budget bounds.
fn within(mut limits: Limits, longest: Duration) -> Limits {
    limits.attempt = longest;
    limits.first_byte = longest;
    limits.connect = limits.connect.min(longest);
    limits
}

/// Reads a number of seconds above zero, like `3` or `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let refused = || "give seconds, like 3 or 0.5: above zero, and at most a week".to_owned();
    let seconds: f64 = text.parse().map_err(|_| refused())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(7 * 86_400) {
        return Err(refused());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Args::command().debug_assert();
    }

    #[test]
    fn each_command_alone_is_as_among_all() {
        let mut all = Args::command();
        all.build();
        let names: Vec<_> = all
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .filter(|name| name != "help")
            .collect();
        assert!(names.len() > 15);
        for name in names {
            let mut one = root().subcommand(cmd::alone(&name).expect(&name));
            one.build();
            let help = |whole: &mut clap::Command| {
                let command = whole.find_subcommand_mut(&name).expect(&name);
                command.render_long_help().to_string()
            };
            assert_eq!(help(&mut one), help(&mut all), "{name}");
        }
    }

    #[test]
    fn seconds_are_above_zero() {
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "0", "-1", "soon", "inf", "NaN", "1e300", "0.0001"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
