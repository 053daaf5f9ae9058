//! All arguments: what stands before the command, and the list of commands.

use std::process::{ExitCode, Termination};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::styling::{AnsiColor, Styles},
};

use crate::{
    cmd, env, exit,
    exit::Failure,
    helper::names,
    options::{Verbosity, redacted, settings},
    output::{Level, Output},
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const ABOUT: &str = "\
Identity for programs on Google Cloud, from the machine's metadata server or a credentials file.

Prints values on standard output, everything else on standard error. Asks the metadata server at
--endpoint, else at GCE_METADATA_HOST, else at GCE_METADATA_ROOT, else at 169.254.169.254. Writes
only files that you ask for.";

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
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

/// Declares the commands: how each is called, and the file in `cmd/` that has its arguments and
/// runs it. A third entry is an argument of its `run`.
macro_rules! commands {
    ($($(#[$only:meta])? $name:literal: $variant:ident($module:ident $(, $extra:expr)?),)+) => {
        /// What `gce-auth` can do.
        #[derive(Debug, Subcommand)]
        enum Command {
            $($(#[$only])? #[command(name = $name)] $variant(cmd::$module::Args),)+
        }

        impl Command {
            /// Describes one command.
            fn describe(name: &str) -> Option<clap::Command> {
                match name {
                    $($(#[$only])? $name => {
                        let command = clap::Command::new($name);
                        Some(<cmd::$module::Args as clap::Args>::augment_args(command))
                    })+
                    _ => None,
                }
            }

            fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
                match self {
                    $($(#[$only])? Self::$variant(args) => {
                        args.run(out $(, $extra)?).map(Termination::report)
                    })+
                }
            }
        }
    };
}

commands! {
    "token": Token(token),
    "id-token": IdToken(id_token),
    "headers": Headers(headers),
    "sign": Sign(sign),
    "sign-url": SignUrl(sign_url),
    "verify": Verify(verify),
    "get": Get(get),
    "watch": Watch(watch),
    "guest": Guest(guest),
    "info": Info(info),
    "detect": Detect(detect),
    "wait": Wait(wait),
    "doctor": Doctor(doctor),
    "emulate": Emulate(emulate),
    #[cfg(unix)] "agent": Agent(agent),
    "exec": Exec(exec),
    "demo": Demo(demo),
    "helper": Helper(helper),
    "completions": Completions(completions, Args::command()),
    "man": Man(man, Args::command()),
}

impl Args {
    /// Reads the arguments; ends the process if they are wrong.
    ///
    /// Describes only the command that the first argument names: to describe all takes longer than
    /// to get a token.
    pub(crate) fn read() -> Self {
        let arguments = names::arguments(env::arguments(), env::var(names::FLAGS));
        let configured = cmd::emulate::with_config(arguments).and_then(cmd::exec::with_config);
        let arguments = configured.unwrap_or_else(|failure| {
            let kind = clap::error::ErrorKind::InvalidValue;
            clap::Error::raw(kind, format!("{failure}\n")).exit()
        });
        let word = |index: usize| arguments.get(index).and_then(|word| word.to_str());
        let helper = word(2).filter(|_| word(1) == Some("helper"));
        let known = match helper.and_then(one_helper) {
            Some(command) => Some(command),
            None => word(1).and_then(Command::describe),
        };
        let known = match known {
            Some(command) => root().subcommand(command),
            None => Self::command(),
        };
        let known = match cmd::exec::without_emulator(&arguments) {
            true => known.mut_subcommand("exec", settings::without_variables),
            false => known,
        };
        let mut matches = known
            .try_get_matches_from(arguments)
            .unwrap_or_else(|error| redacted(error).exit());
        Self::from_arg_matches_mut(&mut matches)
            .unwrap_or_else(|error| error.format(&mut Self::command()).exit())
    }

    /// Returns how much to say on standard error.
    pub(crate) fn level(&self) -> Level {
        self.verbosity.level()
    }

    /// Runs the command. Its exit code is 0, what a program ended with, or an answer of no.
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        self.command.run(out)
    }
}

/// Describes `gce-auth helper` with one helper.
fn one_helper(name: &str) -> Option<clap::Command> {
    let helper = cmd::helper::describe(name)?;
    let command = clap::Command::new("helper").subcommand_required(true);
    Some(command.subcommand(helper))
}

/// Describes `gce-auth` without its commands.
fn root() -> clap::Command {
    let root = clap::Command::new("gce-auth")
        .styles(STYLES)
        .max_term_width(100)
        .subcommand_required(true);
    <Verbosity as clap::Args>::augment_args(root)
}

#[cfg(test)]
mod tests {
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
            let mut one = root().subcommand(Command::describe(&name).expect(&name));
            one.build();
            let help = |whole: &mut clap::Command| {
                let command = whole.find_subcommand_mut(&name).expect(&name);
                command.render_long_help().to_string()
            };
            assert_eq!(help(&mut one), help(&mut all), "{name}");
        }
    }

    #[test]
    fn each_helper_alone_is_as_among_all() {
        let mut all = Args::command();
        all.build();
        let all = all.find_subcommand_mut("helper").expect("helper");
        let names: Vec<_> = all
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .filter(|name| name != "help")
            .collect();
        assert!(names.len() > 13);
        for name in names {
            let mut one = root().subcommand(one_helper(&name).expect(&name));
            one.build();
            let one = one.find_subcommand_mut("helper").expect("helper");
            let help = |whole: &mut clap::Command| {
                let command = whole.find_subcommand_mut(&name).expect(&name);
                command.render_long_help().to_string()
            };
            assert_eq!(help(one), help(all), "{name}");
        }
    }
}
