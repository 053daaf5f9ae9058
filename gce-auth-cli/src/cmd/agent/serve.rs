//! Runs the agent.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use gce_auth_agent::{
    Agent, AgentBuilder, AuditTarget, Handed, HandedSocket, Network,
    policy::{Limits, SourceKind},
};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use serde_json::json;

use crate::{
    env,
    exit::{Exit, Failure},
    options::{agent_source, token_lifetime},
    output::Output,
    signals::{Commands, Signalled},
};

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Listen on this address, like 127.0.0.1:8174; port 0 is any free port. One that other
    /// machines can reach needs --allow-from. May be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Listen on this Unix socket, of mode 0600; the file is removed at the end. May be repeated
    #[arg(long, value_name = "PATH")]
    unix: Vec<PathBuf>,
    /// The rules: who may have what
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where tokens come from: the metadata server of this machine, or Application Default
    /// Credentials
    #[arg(long, value_name = "metadata|adc", value_parser = agent_source)]
    source: Option<SourceKind>,
    /// The address of the metadata server; default: GCE_METADATA_HOST, else 169.254.169.254
    #[arg(long, value_name = "HOST[:PORT]")]
    upstream: Option<String>,
    /// The URL of the IAM Credentials API, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    iam_endpoint: Option<String>,
    /// Give tokens of this service account instead, by impersonation, where the rule names no
    /// other
    #[arg(long = "as", value_name = "EMAIL")]
    act_as: Option<String>,
    /// How long the tokens of --as live at most, like 15m
    #[arg(long, value_name = "D", requires = "act_as", value_parser = token_lifetime)]
    max_lifetime: Option<Duration>,
    /// Serve health, metrics and a page here, for this machine alone
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Write one line of JSON for each request to this file, or - for standard output
    #[arg(long, value_name = "FILE|-")]
    audit: Option<PathBuf>,
    /// Ask the source each time
    #[arg(long)]
    no_cache: bool,
    /// Print one line of JSON once it serves: listen, unix, admin, pid
    #[arg(long)]
    ready_json: bool,
    /// The networks that may connect to a --listen that other machines can reach, separated by
    /// commas
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = Network::parse)]
    allow_from: Vec<Network>,
}

impl ServeArgs {
    pub(crate) fn run(&self, out: &Output) -> Result<(), Failure> {
        let mut commands = Commands::new().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot receive signals: {error}"))
        })?;
        let agent = self.builder(*out)?.start()?;
        self.say_ready(&agent, out)?;
        notify(&[NotifyState::Ready]);
        if let Some(period) = sd_notify::watchdog_enabled() {
            agent.every(period / 3, || notify(&[NotifyState::Watchdog]));
        }
        loop {
            match commands.next() {
                Signalled::Reload => {
                    let now = NotifyState::monotonic_usec_now().ok();
                    let mut states = vec![NotifyState::Reloading];
                    states.extend(now);
                    notify(&states);
                    // What is wrong with the file was logged.
                    let _ = agent.reload();
                    notify(&[NotifyState::Ready]);
                }
                Signalled::Flush => agent.flush(),
                Signalled::End => break,
            }
        }
        notify(&[NotifyState::Stopping]);
        agent.stop();
        Ok(())
    }

    fn builder(&self, out: Output) -> Result<AgentBuilder, Failure> {
        Ok(AgentBuilder {
            config_file: self.config.clone(),
            listen: self.listen.clone(),
            allow_from: self.allow_from.clone(),
            unix: self.unix.clone(),
            handed: handed()?,
            source: self.source,
            upstream: self.upstream.clone(),
            iam_endpoint: self.iam_endpoint.clone(),
            limits: Limits {
                act_as: self.act_as.as_deref().map(Arc::from),
                max_lifetime: self.max_lifetime,
                ..Limits::default()
            },
            admin: self.admin,
            audit: self.audit.as_ref().map(|path| {
                if path.as_os_str() == "-" {
                    AuditTarget::Stdout
                } else {
                    AuditTarget::File(path.clone())
                }
            }),
            no_cache: self.no_cache,
            log: Arc::new(move |text| out.note(text)),
            ..AgentBuilder::default()
        })
    }

    fn say_ready(&self, agent: &Agent, out: &Output) -> Result<(), Failure> {
        let tcp: Vec<_> = agent.tcp().iter().map(ToString::to_string).collect();
        let unix: Vec<_> = agent
            .unix()
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        if self.ready_json {
            let ready = json!({
                "listen": tcp,
                "unix": unix,
                "admin": agent.admin().map(|address| address.to_string()),
                "pid": std::process::id(),
            });
            return out.value(&ready.to_string());
        }
        let places: Vec<_> = tcp.into_iter().chain(unix).collect();
        out.note(format_args!("the agent listens on {}", places.join(", ")));
        if let Some(address) = agent.admin() {
            out.note(format_args!(
                "health, metrics and a page: http://{address}/"
            ));
        }
        Ok(())
    }
}

/// Returns the sockets that systemd hands over, with the names of `LISTEN_FDNAMES`.
fn handed() -> Result<Vec<Handed>, Failure> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    let refused = |error| Failure::new(Exit::Usage, format!("a socket of LISTEN_FDS: {error}"));
    let mut handed = Vec::new();
    for at in 0..sockets.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let socket = if let Ok(Some(socket)) = sockets.take_unix_listener(at) {
            HandedSocket::Unix(socket)
        } else if let Some(socket) = sockets.take_tcp_listener(at).map_err(refused)? {
            HandedSocket::Tcp(socket)
        } else {
            continue;
        };
        handed.push(Handed { name, socket });
    }
    Ok(handed)
}

/// Tells systemd, if it listens. An agent without it works as well.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
