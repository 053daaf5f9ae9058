//! `gce-auth exec --isolated`: a program in namespaces of its own, in which the emulator is the
//! metadata server at its real address.
//!
//! Two processes share the work. The one outside runs the emulator. The one inside moves into the
//! namespaces, binds their sockets, sends them out, and becomes the program once they are served.

mod handover;
mod inside;
mod loopback;
mod machine;
mod mounts;
mod namespaces;
mod network;
mod ports;
mod view;

use std::{
    ffi::OsString,
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use gce_auth_emulator::{AdcKind, Emulator, EmulatorBuilder};

use self::{handover::Subject, inside::UNABLE, network::Network, view::View};
use super::{java, program, trust};
use crate::{
    env,
    exit::{Exit, Failure},
    options::start_emulator,
    output::{Level, Output},
    sdk_environment::CREDENTIALS,
    signals::{self, Program, Supervisor},
    temporary::TemporaryDirectory,
};

/// This program, even if its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// Runs a program that knows only the metadata server's real address.
#[derive(Debug, clap::Args)]
#[group(id = "IsolatedArgs")]
#[command(next_help_heading = "With --isolated")]
pub(super) struct IsolatedArgs {
    /// Run the program in user, network and mount namespaces of its own, in which the emulator is
    /// at 169.254.169.254 and metadata.google.internal, and the machine says it is Compute
    /// Engine's
    ///
    /// For programs that cannot be told where the emulator is. Needs no privileges on most
    /// systems. The program keeps its user, files, terminal, signals and exit code. It is no
    /// sandbox: the program may do to files and other processes whatever it may do outside.
    /// With --cloud, IAM, STS and OAuth are at their own names, with a certificate that
    /// SSL_CERT_FILE and its kin lead to, and JAVA_TOOL_OPTIONS, of which each JVM tells on
    /// standard error. The exit code is 125 where the system allows no namespaces.
    #[arg(long, conflicts_with_all = ["real", "agent", "as_proxy"])]
    pub(super) isolated: bool,
    /// What else the program reaches: nothing, or these TCP ports of this machine's loopback
    /// interface. Default: none
    #[arg(long, value_name = "none|host-loopback=PORT,..", value_parser = Network::parse,
          requires = "isolated")]
    network: Option<Network>,
    /// Become the program; the value is the directory of the process outside
    #[arg(long, value_name = "DIR", hide = true, requires = "isolated")]
    inside: Option<PathBuf>,
    /// The metadata server has HTTPS
    #[arg(long, hide = true, requires = "inside")]
    with_https: bool,
    /// The APIs are at their own names
    #[arg(long, hide = true, requires = "inside")]
    with_apis: bool,
}

/// What the emulator of an isolated program is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// HTTPS with client certificates.
    pub(super) https: bool,
    /// The APIs at their own names.
    pub(super) apis: bool,
    /// The kind of a credentials file.
    pub(super) adc: Option<AdcKind>,
}

impl IsolatedArgs {
    /// Becomes the program, if this is the process inside.
    pub(super) fn become_program(&self, command: &[OsString], out: &Output) -> Option<ExitCode> {
        let view = View {
            directory: self.inside.as_deref()?,
            https: self.with_https,
            apis: self.with_apis,
        };
        let network = self.network();
        Some(inside::become_program(command, view, &network, out))
    }

    fn network(&self) -> Network {
        self.network.clone().unwrap_or(Network::None)
    }

    /// Runs the program to its end. Returns its exit code, and the emulator, if it was served.
    pub(super) fn run(
        &self,
        (command, running): (&[OsString], &Program),
        builder: EmulatorBuilder,
        wishes: Wishes,
        out: &Output,
    ) -> Result<(ExitCode, Option<Emulator>), Failure> {
        let directory = TemporaryDirectory::new().map_err(cannot("make a directory"))?;
        let view = View {
            directory: directory.path(),
            https: wishes.https,
            apis: wishes.apis,
        };
        view.write(|| trust::trusted(env::var))
            .map_err(cannot("write the files of an isolated program"))?;
        let (ours, theirs) = handover::pair().map_err(cannot("make sockets"))?;
        let mut inside = self.inside(command, view, wishes.adc, out);
        inside.stdin(theirs);
        let supervisor = Supervisor::new().map_err(cannot("receive signals"))?;
        let child = match inside.spawn() {
            Err(error) if !Path::new(SELF).exists() => {
                let why = format!(
                    "--isolated needs /proc, which is not mounted here ({error}); mount it, or use \
                     --as-proxy"
                );
                return Ok((out.fail_as(UNABLE, &why), None));
            }
            spawned => spawned.map_err(cannot("run gce-auth again"))?,
        };
        // The other end is the child's alone now, so that its end is noticed.
        drop(inside);
        let mut emulator = None;
        if let Some(sockets) = Sockets::receive(&ours).map_err(cannot("receive sockets"))? {
            let made = sockets.serve(builder, view, wishes.adc, out)?;
            emulator = Some(made);
            // It may be gone by now, as its exit code tells.
            let _ = handover::send(&ours, Subject::Done, None);
        }
        drop(ours);
        let status = supervisor.wait(child, running);
        let status = status.map_err(cannot("wait for the program"))?;
        Ok((signals::code(status).into(), emulator))
    }

    /// Returns the command of the process inside. Its environment is the program's.
    fn inside(
        &self,
        command: &[OsString],
        view: View<'_>,
        adc: Option<AdcKind>,
        out: &Output,
    ) -> Command {
        let mut inside = Command::new(SELF);
        inside.arg0("gce-auth").arg("exec");
        match out.level() {
            Level::Quiet => inside.arg("--quiet"),
            Level::Normal => &mut inside,
            Level::Verbose => inside.arg("--verbose"),
        };
        let network = self.network();
        inside.args(["--isolated", "--network", &network.argument()]);
        inside.arg("--inside").arg(view.directory);
        if view.https {
            inside.arg("--with-https");
        }
        if view.apis {
            inside.arg("--with-apis");
            let bundle = view.bundle();
            inside.envs(trust::NAMES.map(|name| (name, &bundle)));
            let options = java::options(env::var(java::OPTIONS), &view.java_bundle());
            inside.env(java::OPTIONS, options);
        }
        inside.arg("--").args(command);
        program::clear(&mut inside);
        // It is where clients look without them.
        for (name, _) in Emulator::env_of(([169, 254, 169, 254], 80).into()) {
            inside.env_remove(name);
        }
        program::keep_from_proxies(&mut inside, &machine::proxy_exceptions(view.apis));
        if network == Network::None {
            program::remove_proxies(&mut inside);
        }
        if adc.is_some() {
            inside.env(CREDENTIALS[0].0, adc_file(view.directory));
            // The file names the emulator, which is none of Google's hosts.
            inside.env("GCE_AUTH_TRUST_HOSTS", "169.254.169.254:80");
        }
        inside
    }
}

/// Where the credentials file is.
fn adc_file(directory: &Path) -> PathBuf {
    directory.join("application_default_credentials.json")
}

/// The sockets of the namespaces.
#[derive(Debug, Default)]
struct Sockets {
    metadata: Option<TcpListener>,
    https: Option<TcpListener>,
    apis: Option<TcpListener>,
    ports: Vec<(u16, TcpListener)>,
}

impl Sockets {
    /// Sends the program's standard input in, and receives the sockets; `None` if the process
    /// inside ended, which has said why.
    fn receive(end: &OwnedFd) -> io::Result<Option<Self>> {
        if handover::send(end, Subject::Input, Some(io::stdin().as_fd())).is_err() {
            return Ok(None);
        }
        let mut sockets = Self::default();
        loop {
            let Some((subject, descriptor)) = handover::receive(end)? else {
                return Ok(None);
            };
            let socket = descriptor.map(TcpListener::from);
            match subject {
                Subject::Metadata => sockets.metadata = socket,
                Subject::Https => sockets.https = socket,
                Subject::Apis => sockets.apis = socket,
                Subject::Port(port) => sockets.ports.extend(socket.map(|it| (port, it))),
                Subject::Input | Subject::Done => return Ok(Some(sockets)),
            }
        }
    }

    /// Serves them all.
    fn serve(
        self,
        mut builder: EmulatorBuilder,
        view: View<'_>,
        adc: Option<AdcKind>,
        out: &Output,
    ) -> Result<Emulator, Failure> {
        if let Some(socket) = self.metadata {
            builder = builder.private_listener(socket);
        }
        if let Some(socket) = self.https {
            builder = builder.private_https_listener(socket);
        }
        if let Some(socket) = self.apis {
            builder = builder.private_apis_listener(socket);
        }
        let emulator = start_emulator(builder)?;
        if view.https {
            let written = emulator.write_certificates(view.certificates());
            written.map_err(cannot("write the certificates"))?;
        }
        if let Some(root) = emulator.apis_root_certificate() {
            view.trust(root).map_err(cannot("write the certificates"))?;
        }
        if let Some(kind) = adc {
            let written = emulator.write_adc(view.directory, kind);
            written.map_err(cannot("write the credentials file"))?;
        }
        for (port, socket) in self.ports {
            ports::relay(socket, port).map_err(cannot("relay a port"))?;
        }
        out.detail(format_args!(
            "an emulator listens on {} of the program's own network",
            emulator.url()
        ));
        Ok(emulator)
    }
}

fn cannot(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
}
