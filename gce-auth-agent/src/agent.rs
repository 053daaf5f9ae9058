//! From settings to an agent that serves, and to its end.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use gce_auth_server::{
    listen::{Listener, TcpPort, known_user},
    serve_with_shutdown,
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    admin::AdminService,
    audit::Audit,
    builder::AgentBuilder,
    control::{Control, narrowed},
    error::StartError,
    listeners::{self, Bound, Place},
    policy::{Config, ListenConfig, Policy, SourceKind},
    service::AgentService,
    source::Source,
    state::{Parts, State},
};

/// Requests under way at the end have this long.
const DRAIN: Duration = Duration::from_secs(5);
/// So many connections to the admin listener are open at once.
const ADMIN_CONNECTIONS: usize = 64;
/// How often the tokens are looked after.
const TICK: Duration = Duration::from_secs(1);
/// So many ticks later tokens that are in use are renewed, where that is due.
const RENEWAL_TICKS: u64 = 5;
/// So many ticks later a token that no caller asked for since is renewed no more.
const USE_TICKS: u64 = 600;

/// An agent that serves. Dropped, it ends at once.
#[derive(Debug)]
pub struct Agent {
    control: Control,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    handle: Handle,
    /// Until the end.
    runtime: Option<Runtime>,
    admin: Option<SocketAddr>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Threads that wait for a source are not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl AgentBuilder {
    /// Binds all sockets, and serves.
    ///
    /// # Errors
    ///
    /// [`StartError::Setting`] for arguments or a file that make no sense, and for a source that is
    /// the agent itself; [`StartError::System`] for an address in use, and what else the system
    /// refuses.
    pub fn start(mut self) -> Result<Agent, StartError> {
        let own_uid = own_uid();
        let config = match &self.config_file {
            Some(file) => Some(Config::read(file, own_uid).map_err(StartError::setting)?),
            None => None,
        };
        let policy = match &config {
            Some(config) => config.policy.clone(),
            None => Policy::own_user(own_uid),
        };
        let policy = narrowed(policy, &self.limits, self.parent).map_err(StartError::setting)?;
        // The agent of one program has a port of its own, and none that others know.
        let configured = config.as_ref().filter(|_| self.parent.is_none());
        let configured = configured.map_or(&[][..], |config| &config.listen);
        let (bound, listeners) = self.bind(configured)?;
        if bound.is_empty() {
            return Err(StartError::setting(
                "there is nothing to listen on; name a port with --listen, a socket with --unix, or \
                 a [[listen]] in the file",
            ));
        }
        let admin = self.admin.map(bind_admin).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("agent")
            .enable_all()
            .build()
            .map_err(StartError::system)?;
        let source = self.source(config.as_ref(), &runtime)?;
        check_not_itself(&source, &bound)?;
        let audit = match self.audit.take() {
            Some(target) => {
                let audit = Audit::start(target.clone(), Arc::clone(&self.log));
                Some(audit.map_err(|error| {
                    StartError::system(format_args!("cannot write the audit to {target}: {error}"))
                })?)
            }
            None => None,
        };
        let is_named = (self.source.is_some(), self.upstream.is_some());
        let state = Arc::new(State::new(Parts {
            policy,
            config_file: self.config_file,
            source,
            no_cache: self.no_cache,
            audit,
            log: self.log,
        }));
        let (opened, more) = tokio::sync::mpsc::unbounded_channel();
        let control = Control {
            state,
            bound: Arc::new(Mutex::new(bound)),
            source: config.map_or_else(Default::default, |it| (it.source, it.upstream)),
            is_named,
            limits: self.limits,
            parent: self.parent,
            own_uid,
            opened,
        };
        control.show_listening();
        if known_user(own_uid).is_none() {
            control.state.log(
                "this process's user namespace does not map its own user, so the users of callers \
                 are unknown and get nothing; map it, as `unshare --map-current-user` does",
            );
        }
        if let Some(adc) = control.state.source.as_adc() {
            control.state.log(&format!("the source is {}", adc.found));
        }
        let mut agent = Agent {
            control,
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
            admin: admin.as_ref().map(|(address, _)| *address),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        };
        agent.spawn(listeners, admin.map(|(_, listener)| listener), more);
        Ok(agent)
    }

    fn bind(
        &mut self,
        configured: &[ListenConfig],
    ) -> Result<(Vec<Bound>, Vec<Listener>), StartError> {
        let mut all = Vec::new();
        for address in &self.listen {
            all.push(listeners::tcp(*address, "", &self.allow_from)?);
        }
        #[cfg(unix)]
        for path in &self.unix {
            all.push(listeners::unix(path.clone(), "", None, None)?);
        }
        for config in configured {
            all.push(listeners::configured(config)?);
        }
        for handed in self.handed.drain(..) {
            all.push(listeners::handed(handed, &self.allow_from)?);
        }
        Ok(all.into_iter().unzip())
    }

    fn source(&self, config: Option<&Config>, runtime: &Runtime) -> Result<Source, StartError> {
        let kind = self.source.or_else(|| config?.source).unwrap_or_default();
        let iam = self.iam_endpoint.clone();
        let made = match kind {
            SourceKind::Adc => Source::adc(iam, runtime.handle()),
            SourceKind::Metadata => {
                let upstream = self.upstream.as_deref();
                let upstream = upstream.or_else(|| config?.upstream.as_deref());
                Source::metadata(upstream, iam, runtime.handle())
            }
        };
        made.map_err(StartError::setting)
    }
}

/// The user of this process, which `own-user` means.
fn own_uid() -> u32 {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    return u32::MAX;
}

fn bind_admin(address: SocketAddr) -> Result<(SocketAddr, Listener), StartError> {
    if !listeners::is_loopback(address.ip()) {
        return Err(StartError::setting(format_args!(
            "the admin listener is for this machine alone, and other machines can reach {address}; \
             use 127.0.0.1 or [::1]"
        )));
    }
    let opened = TcpPort::open(address).and_then(|port| Ok((port.local_addr()?, port)));
    let (address, port) = opened
        .map_err(|error| StartError::system(format_args!("cannot listen on {address}: {error}")))?;
    Ok((address, Listener::tcp(port)))
}

/// Refuses a source that is the agent, which would ask itself without an end.
fn check_not_itself(source: &Source, bound: &[Bound]) -> Result<(), StartError> {
    use std::net::ToSocketAddrs as _;
    let Some(endpoint) = source.endpoint() else {
        return Ok(());
    };
    let with_port = if endpoint.parse::<SocketAddr>().is_ok() || has_port(&endpoint) {
        endpoint.clone()
    } else {
        format!("{endpoint}:80")
    };
    // A name that is not known now is asked for again with each request.
    let addresses = with_port.to_socket_addrs().into_iter().flatten();
    for address in addresses {
        let ip = address.ip().to_canonical();
        let is_it = |place: &Place| match place {
            Place::Tcp(own) => {
                let own_ip = own.ip().to_canonical();
                own.port() == address.port()
                    && (own_ip == ip || (own_ip.is_unspecified() && ip.is_loopback()))
            }
            Place::Unix(_) => false,
        };
        if bound.iter().any(|bound| is_it(&bound.place)) {
            return Err(StartError::setting(format_args!(
                "the source {endpoint} is this agent itself; name the machine's own metadata server \
                 with --upstream 169.254.169.254"
            )));
        }
    }
    Ok(())
}

fn has_port(endpoint: &str) -> bool {
    let after = endpoint.rsplit(']').next().unwrap_or(endpoint);
    after.contains(':') && endpoint.matches(':').count() == 1 || after.starts_with(':')
}

impl Agent {
    fn spawn(
        &mut self,
        listeners: Vec<Listener>,
        admin: Option<Listener>,
        mut more: tokio::sync::mpsc::UnboundedReceiver<Listener>,
    ) {
        let state = Arc::clone(&self.control.state);
        let handle = self.handle.clone();
        let stopped = |stop: &watch::Sender<bool>| {
            let mut stop = stop.subscribe();
            async move {
                let _ = stop.wait_for(|stop| *stop).await;
                DRAIN
            }
        };
        let permits = listeners::permits(self.control.parent.is_none());
        let serve = {
            let (state, stop) = (Arc::clone(&state), self.stop.clone());
            move |listeners: Vec<Listener>| {
                let service = Arc::new(AgentService(Arc::clone(&state)));
                let permitted = |listener: Listener| listener.permits(Arc::clone(&permits));
                let listeners = listeners.into_iter().map(permitted).collect();
                let (state, stopped) = (Arc::clone(&state), stopped(&stop));
                async move {
                    let served = serve_with_shutdown(listeners, service, Arc::new(()), stopped);
                    if let Err(error) = served.await {
                        state.log(&format!("cannot listen: {error}"));
                    }
                }
            }
        };
        self.tasks.spawn_on(serve(listeners), &handle);
        // Listeners of a reload are served apart.
        let mut stop = self.stop.subscribe();
        let reopened = async move {
            let mut serving = JoinSet::new();
            loop {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    opened = more.recv() => match opened {
                        Some(listener) => drop(serving.spawn(serve(vec![listener]))),
                        None => break,
                    },
                }
            }
            while serving.join_next().await.is_some() {}
        };
        self.tasks.spawn_on(reopened, &handle);
        if let Some(admin) = admin {
            let service = Arc::new(AdminService(self.control.clone()));
            let stopped = stopped(&self.stop);
            let admin = admin.permits(Arc::new(Semaphore::new(ADMIN_CONNECTIONS)));
            let serve = serve_with_shutdown(vec![admin], service, Arc::new(()), stopped);
            self.tasks
                .spawn_on(async move { drop(serve.await) }, &handle);
        }
        drop(self.handle.spawn(look_after(state)));
    }

    /// Returns the TCP addresses that it listens on, with their real ports.
    #[must_use]
    pub fn tcp(&self) -> Vec<SocketAddr> {
        let all = self.control.places().into_iter();
        let tcp = |place| match place {
            Place::Tcp(address) => Some(address),
            Place::Unix(_) => None,
        };
        all.filter_map(tcp).collect()
    }

    /// Returns the files of the Unix sockets that it listens on.
    #[must_use]
    pub fn unix(&self) -> Vec<PathBuf> {
        let all = self.control.places().into_iter();
        let unix = |place| match place {
            Place::Unix(path) => Some(path),
            Place::Tcp(_) => None,
        };
        all.filter_map(unix).collect()
    }

    /// Returns the source: the builder's, else the file's, else the metadata server.
    #[must_use]
    pub fn source(&self) -> SourceKind {
        match self.control.state.source.as_adc() {
            Some(_) => SourceKind::Adc,
            None => SourceKind::Metadata,
        }
    }

    /// Returns the address of the admin listener.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Reads the file again. Its rules decide from the next request on, and its listeners are
    /// opened and closed; tokens and open connections stay. A bad file changes nothing, and is
    /// logged.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in one line.
    pub fn reload(&self) -> Result<(), String> {
        let _runtime = self.handle.enter();
        self.control.reload()
    }

    /// Calls `f` every `period`, as long as the agent can do anything.
    pub fn every(&self, period: Duration, f: impl Fn() + Send + 'static) {
        drop(self.handle.spawn(async move {
            loop {
                f();
                tokio::time::sleep(period).await;
            }
        }));
    }

    /// Drops all tokens.
    pub fn flush(&self) {
        let _runtime = self.handle.enter();
        self.control.flush();
    }

    /// Ends: accepts no new connection, ends long polls with what they have, and gives the
    /// requests under way 5 s. Then gives the lines of the audit 5 s to be written.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        self.control.state.values.polls.stop();
        let tasks = std::mem::take(&mut self.tasks);
        self.handle.block_on(async {
            let mut tasks = tasks;
            while tasks.join_next().await.is_some() {}
        });
        // The state is held elsewhere, too: its drop comes too late for a process that ends now.
        if let Some(audit) = &self.control.state.audit {
            audit.finish();
        }
    }
}

/// Keeps the token of the default account, and those in use, fresh.
async fn look_after(state: Arc<State>) {
    let mut ticks: u64 = 0;
    let fresh = Arc::clone(&state.tokens);
    tokio::spawn(async move {
        loop {
            fresh.keep_fresh().await;
            tokio::time::sleep(TICK).await;
        }
    });
    loop {
        tokio::time::sleep(TICK).await;
        ticks += 1;
        if ticks.is_multiple_of(RENEWAL_TICKS) {
            state.tokens.renew();
        }
        if ticks.is_multiple_of(USE_TICKS) {
            state.tokens.mark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditTarget, tests::line};

    #[test]
    fn an_agent_that_was_stopped_has_written_its_audit() {
        let path = std::env::temp_dir().join(format!("gce-auth-stopped-{}", std::process::id()));
        let agent = AgentBuilder {
            listen: vec![([127, 0, 0, 1], 0).into()],
            upstream: Some("127.0.0.1:1".to_owned()),
            audit: Some(AuditTarget::File(path.clone())),
            ..AgentBuilder::default()
        };
        let agent = agent.start().unwrap();
        let state = Arc::clone(&agent.control.state);
        let audit = state.audit.as_ref().unwrap();
        audit.add(&line("/last"));
        agent.stop();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(written.contains("/last"), "{written}");
        assert_eq!(audit.lost(), 0);
        audit.add(&line("/late"));
        assert_eq!(audit.lost(), 1, "it is not written, and counts");
    }
}
