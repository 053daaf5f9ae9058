//! The settings of an agent.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use gce_auth_server::listen::Network;

use crate::{
    audit::AuditTarget,
    policy::{Limits, SourceKind},
};

/// A socket that was bound elsewhere, as systemd does for a service.
#[derive(Debug)]
pub struct Handed {
    /// Its name, which rules may use; empty without one.
    pub name: String,
    /// The socket.
    pub socket: HandedSocket,
}

/// A socket that was bound elsewhere.
#[derive(Debug)]
pub enum HandedSocket {
    /// A TCP listener.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// The settings of an agent.
///
/// What stands here has priority over the same key of the [file](Self::config_file), also after a
/// reload, as in the emulator's builder. Listeners of both are opened. Rules stand in the file
/// alone, and hold beside [`limits`](Self::limits).
pub struct AgentBuilder {
    /// The configuration file. A reload reads it again.
    pub config_file: Option<PathBuf>,
    /// TCP ports to listen on, besides those of the file.
    pub listen: Vec<SocketAddr>,
    /// Which addresses may connect to ports of `listen` that are not loopback.
    pub allow_from: Vec<Network>,
    /// Unix sockets to listen on, besides those of the file. Their mode is 0600.
    pub unix: Vec<PathBuf>,
    /// Sockets that were bound elsewhere.
    pub handed: Vec<Handed>,
    /// The source. Default: the file's, else the metadata server.
    pub source: Option<SourceKind>,
    /// The address of the metadata server, `HOST[:PORT]`. Default: the file's, else that of the
    /// environment, else 169.254.169.254.
    pub upstream: Option<String>,
    /// The IAM API, for rules with `as`. Default: Google's.
    pub iam_endpoint: Option<String>,
    /// Limits for all callers, beside those of their rules: of scopes and lifetimes both hold. A
    /// rule with another boundary is an error. A rule that names an account to act as has priority
    /// over that of `limits`: it is of one caller, and changes with a reload.
    pub limits: Limits,
    /// The address of the admin listener, on a loopback interface.
    pub admin: Option<SocketAddr>,
    /// Where the audit goes.
    pub audit: Option<AuditTarget>,
    /// Asks the source each time.
    pub no_cache: bool,
    /// The process that starts the program of `exec --agent`: others than descendants of the
    /// process are unknown callers.
    pub parent: Option<u32>,
    /// Takes what the operator should know, in lines.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for AgentBuilder {
    fn default() -> Self {
        Self {
            config_file: None,
            listen: Vec::new(),
            allow_from: Vec::new(),
            unix: Vec::new(),
            handed: Vec::new(),
            source: None,
            upstream: None,
            iam_endpoint: None,
            limits: Limits::default(),
            admin: None,
            audit: None,
            no_cache: false,
            parent: None,
            log: Arc::new(|_| {}),
        }
    }
}

impl std::fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("config_file", &self.config_file)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
