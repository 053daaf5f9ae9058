//! Helpers that a tool runs.

use std::{
    ffi::OsString,
    io::{self, BufRead, Read},
    process::ExitCode,
};

use clap::FromArgMatches;

use crate::{
    cmd::helper::{reply::print, source::HelperArgs},
    env,
    exit::{Exit, Failure},
    helper::{
        bazel, cargo, docker, executable, git, goauth,
        keyring::{self, Answer},
        kubectl, kubelet,
        names::FLAGS,
        token::Reply,
    },
    input,
    next_program::run_next,
    options::{Verbosity, redacted},
    output::Output,
};

/// Answers Docker as docker-credential-gce-auth: registry in, user and token out.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Docker {
    /// get, store, erase, list or version
    action: String,
    #[command(flatten)]
    common: HelperArgs,
}

impl Docker {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let input = match self.action.as_str() {
            "get" => input::request(),
            _ => Ok(Vec::new()),
        };
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        let reply = match &input {
            Ok(input) => docker::answer(&self.action, input, &hosts, &tokens),
            Err(failure) => docker::failed(failure),
        };
        print(&reply, out)
    }
}

/// Answers kubectl as an exec credential plugin, in the version of KUBERNETES_EXEC_INFO.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Kubectl {
    #[command(flatten)]
    common: HelperArgs,
}

impl Kubectl {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let info = env::var("KUBERNETES_EXEC_INFO").filter(|info| !info.is_empty());
        print(
            &kubectl::answer(info.as_deref(), &self.common.tokens(out))?,
            out,
        )
    }
}

/// Answers the kubelet as an image credential provider.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Kubelet {
    #[command(flatten)]
    common: HelperArgs,
}

impl Kubelet {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        print(&kubelet::answer(&input::request()?, &hosts, &tokens)?, out)
    }
}

/// Answers Git as git-credential-gce-auth, for Google's Git servers.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Git {
    /// get; store and erase do nothing
    action: String,
    #[command(flatten)]
    common: HelperArgs,
}

impl Git {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        let input = match self.action.as_str() {
            "get" => input::request()?,
            _ => Vec::new(),
        };
        print(&git::answer(&self.action, &input, &hosts, &tokens)?, out)
    }
}

/// Answers Cargo as a credential provider, for registries of --allow-host and on Cloud Run.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Cargo {
    /// What Cargo calls a provider with
    #[arg(long, hide = true)]
    cargo_plugin: bool,
    #[command(flatten)]
    options: CargoOptions,
}

/// The options of the provider, which Cargo sends with each request.
#[derive(Clone, Debug, clap::Args)]
struct CargoOptions {
    /// Give an ID token for this audience instead of an access token
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Cargo {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        out.exact(cargo::HELLO)?;
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = (&mut stdin)
                .take(input::LONGEST_REQUEST)
                .read_until(b'\n', &mut line);
            let read = read.map_err(|error| {
                let why = format!("cannot read standard input: {error}");
                Failure::new(Exit::Failed, why)
            })?;
            if read == 0 {
                return Ok(ExitCode::SUCCESS);
            }
            let is_whole = line.ends_with(b"\n") || read < input::LONGEST_REQUEST as usize;
            let reply = match is_whole {
                true => self.answer(&line, out),
                false => cargo::failed(&Failure::new(Exit::Usage, "the request is too long")),
            };
            out.pieces(&[&reply.text])?;
            if !is_whole {
                return Ok(Exit::Usage.into());
            }
        }
    }

    fn answer(&self, line: &[u8], out: &Output) -> Reply {
        let request = match cargo::Request::read(line) {
            Ok(request) => request,
            Err(reply) => return reply,
        };
        let options = match self.options_of(&request) {
            Ok(options) => options,
            Err(failure) => return cargo::failed(&failure),
        };
        let hosts = options.common.hosts();
        let audience = options.audience.as_deref();
        request.answer(audience, &hosts, &options.common.tokens(out))
    }

    /// Returns the options of Cargo's configuration, if it has some, behind those of the variable
    /// for all helpers.
    fn options_of(&self, request: &cargo::Request) -> Result<CargoOptions, Failure> {
        let arguments = request.arguments();
        if arguments.is_empty() {
            return Ok(self.options.clone());
        }
        let flags = env::var(FLAGS).unwrap_or_default();
        let arguments = flags.split_whitespace().chain(arguments);
        let command = clap::Command::new("cargo")
            .no_binary_name(true)
            .args_override_self(true)
            .disable_help_flag(true);
        // The variable may have these, too.
        let command = <Verbosity as clap::Args>::augment_args(command);
        <CargoOptions as clap::Args>::augment_args(command)
            .try_get_matches_from(arguments)
            .and_then(|matches| CargoOptions::from_arg_matches(&matches))
            .map_err(|error| {
                let why = redacted(error).to_string();
                let why = why.lines().next().unwrap_or_default();
                let why = why.strip_prefix("error: ").unwrap_or(why);
                Failure::new(Exit::Usage, format!("credential-provider: {why}"))
            })
    }
}

/// Answers pip, uv and pixi as keyring, for Artifact Registry; passes other calls to the next
/// keyring on PATH.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Keyring {
    #[command(flatten)]
    common: HelperArgs,
    /// The arguments of keyring
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Keyring {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let arguments: Option<Vec<_>> = self.arguments.iter().map(|it| it.to_str()).collect();
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        let answer = match arguments {
            Some(arguments) => keyring::answer(&arguments, &hosts, &tokens)?,
            None => Answer::PassOn,
        };
        match answer {
            Answer::Reply(reply) => print(&reply, out),
            Answer::PassOn => run_next("keyring", &self.arguments),
        }
    }
}

/// Answers Bazel as a credential helper: URL in, headers out.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Bazel {
    /// get
    action: String,
    #[command(flatten)]
    common: HelperArgs,
}

impl Bazel {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        let input = input::request()?;
        print(&bazel::answer(&self.action, &input, &hosts, &tokens)?, out)
    }
}

/// Answers Go as a command of GOAUTH: URLs and headers out.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Goauth {
    /// The URL of a request that was refused
    url: Option<String>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Goauth {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let (hosts, tokens) = (self.common.hosts(), self.common.tokens(out));
        print(&goauth::answer(self.url.as_deref(), &hosts, &tokens)?, out)
    }
}

/// Answers a Google SDK as the executable of an external account: an ID token out.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Executable {
    /// The audience of the token. Default: GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE, the provider
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    #[command(flatten)]
    common: HelperArgs,
}

impl Executable {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let provider = env::var("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE");
        let token_type = env::var("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE");
        let asked = executable::Asked {
            audience: provider.as_deref(),
            token_type: token_type.as_deref(),
        };
        let tokens = self.common.tokens(out);
        print(
            &executable::answer(self.audience.as_deref(), asked, &tokens),
            out,
        )
    }
}
