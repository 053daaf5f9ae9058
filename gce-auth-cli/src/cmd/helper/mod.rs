//! `gce-auth helper`: the credential helpers of other tools.

mod install;
mod printed;
mod protocols;
mod reply;
mod source;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{exit::Failure, output::Output};

const EXAMPLES: &str = "\
Examples:
  gce-auth helper install docker               docker pulls from Google's registries
  eval \"$(gce-auth helper export)\"             Terraform and gcloud use the token
  UV_INDEX_URL=$(gce-auth helper index-url https://us-python.pkg.dev/PROJECT/REPOSITORY/simple/)
  GOAUTH='gce-auth helper goauth' go get example.com/module

A link with one of these names is a helper, too: docker-credential-gce-auth, gce-auth-kubectl,
gce-auth-kubelet, git-credential-gce-auth, cargo-credential-gce-auth, bazel-credential-gce-auth,
keyring. GCE_AUTH_HELPER_FLAGS has options for all helpers, separated by spaces, as most tools pass
none.";

/// Gives credentials to other tools, by the protocol of each.
///
/// Tokens go to Google's own servers for the tool, over https, and to hosts of --allow-host.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    helper: Helper,
}

/// Declares the helpers: how each is called, and its arguments.
macro_rules! helpers {
    ($($name:literal: $variant:ident($module:ident::$args:ident),)+) => {
        #[derive(Debug, Subcommand)]
        enum Helper {
            $(#[command(name = $name)] $variant($module::$args),)+
        }

        /// Describes one helper, as all of them take longer than a token.
        pub(crate) fn describe(name: &str) -> Option<clap::Command> {
            match name {
                $($name => {
                    let command = clap::Command::new($name);
                    Some(<$module::$args as clap::Args>::augment_args(command))
                })+
                _ => None,
            }
        }

        impl Helper {
            fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
                match self {
                    $(Self::$variant(args) => args.run(out),)+
                }
            }
        }
    };
}

helpers! {
    "install": Install(install::Install),
    "docker": Docker(protocols::Docker),
    "kubectl": Kubectl(protocols::Kubectl),
    "kubelet": Kubelet(protocols::Kubelet),
    "git": Git(protocols::Git),
    "cargo": Cargo(protocols::Cargo),
    "keyring": Keyring(protocols::Keyring),
    "bazel": Bazel(protocols::Bazel),
    "goauth": Goauth(protocols::Goauth),
    "executable": Executable(protocols::Executable),
    "npmrc": Npmrc(printed::Npmrc),
    "index-url": IndexUrl(printed::IndexUrl),
    "maven": Maven(printed::Maven),
    "gradle": Gradle(printed::Gradle),
    "export": Export(printed::Export),
}

impl Args {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        self.helper.run(out)
    }
}
