//! From settings to an emulator that serves.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

#[cfg(unix)]
use gce_auth_server::listen::SocketFile;
use gce_auth_server::listen::{AllowedClients, Listener, Network, TcpPort};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::oneshot};

use crate::{
    access::{self, Access, RemoteControl},
    builder::EmulatorBuilder,
    clock::Clock,
    dispatch::Dispatcher,
    emulator::{Emulator, Https},
    error::StartError,
    events::{EventSchedule, scheduler::Scheduler},
    faults::plan::Plan,
    identity::{
        account_keys::AccountKeys, api_certificate::ApiCertificate, certificates::Mtls,
        keys::SigningKey, mds_certificate, token_issuer::TokenIssuer,
    },
    observers::Event,
    policy::settings::CloudConfig,
    private_listeners::{self, PRIVATE},
    profiles::Profile,
    state::{Parts, State},
    upstream::Upstream,
    watch::Watcher,
};

/// How long an access token is good for, unless something else is set.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3599);
/// For sources of tokens that block: so many accounts are asked at once. Idle threads end.
const BLOCKING_THREADS: usize = 64;

impl EmulatorBuilder {
    /// Listens, and serves on a thread with a runtime of its own. Returns as soon as a client can
    /// connect; with a cold start, before.
    ///
    /// # Errors
    ///
    /// When the address is taken, when a path that was set cannot be, or when the document, the
    /// plan or a network is none.
    pub fn start(mut self) -> Result<Emulator, StartError> {
        let upstream = match &self.upstream {
            Some(url) => {
                Some(Upstream::parse(url).map_err(|why| StartError::upstream(url.clone(), why))?)
            }
            None => None,
        };
        let allowed = AllowedClients::of(networks(&self.networks)?);
        let access = self.access()?;
        self.document_source.bare = upstream.is_some();
        let watcher = Watcher::new(self.document_source.files());
        let mut document = self.document_source.make()?;
        let shielded = self.document_source.profile == Profile::Shielded;
        let secure = self.private.https.is_some();
        let https = self
            .https
            .or_else(|| (shielded || secure).then(|| SocketAddr::new(self.address.ip(), 0)))
            .map(|at| certificates(&document).map(|made| (at, made)))
            .transpose()?;
        if let Some((_, made)) = https.as_ref().filter(|_| shielded) {
            let sealed = mds_certificate::seal(&made.client)
                .map_err(|error| StartError::certificates(error.into()))?;
            self.document_source.certificate = Some(sealed);
            document = self.document_source.make()?;
        }
        let plan = self.whole_plan()?;
        check_events(&plan.events)?;
        let cold = plan.refuse.is_some();
        let issuer = TokenIssuer::new(plan.lifetime.unwrap_or(TOKEN_LIFETIME), plan.renewal);
        let mut cloud = CloudConfig::default();
        for source in &self.cloud_sources {
            cloud = cloud.and(source.read(CloudConfig::parse).map_err(StartError::cloud)?);
        }
        let settings = cloud.and(self.cloud).compile().map_err(StartError::cloud)?;
        let account_keys = AccountKeys::new(self.keys_directory.clone());
        let key = match &self.keys_directory {
            Some(directory) => Some(SigningKey::kept_in(directory).map_err(StartError::key)?),
            None => None,
        };
        let state = Arc::new(State::new(Parts {
            document,
            document_source: self.document_source,
            observers: self.observers,
            issuer,
            settings,
            source: self.token_source,
            upstream,
            key,
            account_keys,
            plan,
            access,
        }));

        let bind = |address: SocketAddr| {
            let port = if cold {
                TcpPort::closed(address)
            } else {
                TcpPort::open(address)
            };
            port.and_then(|port| port.local_addr().map(|address| (port, address)))
                .map_err(|error| StartError::listen(address, error))
        };
        let take = |socket: &Arc<TcpListener>| {
            let taken = private_listeners::take(socket, cold);
            taken.map(|(port, address)| (Listener::tcp(port).named(PRIVATE), address))
        };
        let listen = |private: Option<&Arc<TcpListener>>, address| {
            let open =
                || bind(address).map(|(port, at)| (Listener::tcp(port).allow(allowed.clone()), at));
            private.map_or_else(open, take)
        };
        let (listener, address) = listen(self.private.metadata.as_ref(), self.address)?;
        let mut listeners = vec![listener];
        let mut secure = None;
        if let Some((at, made)) = https {
            let (listener, bound) = listen(self.private.https.as_ref(), at)?;
            listeners.push(listener.tls(made.server));
            secure = Some(Https {
                address: bound,
                root: made.root,
                client: made.client,
            });
        }
        let mut apis_root = None;
        if let Some(socket) = &self.private.apis {
            let made = ApiCertificate::make().map_err(StartError::certificates)?;
            let (listener, _) = take(socket)?;
            listeners.push(listener.tls(made.server));
            apis_root = Some(made.root);
        }
        #[cfg(unix)]
        let socket = match self.unix_socket {
            Some(path) => {
                let shown = path.display().to_string();
                let (file, port) = SocketFile::bind(path, None)
                    .and_then(|(file, port)| {
                        if !cold {
                            port.open()?;
                        }
                        Ok((file, port))
                    })
                    .map_err(|error| StartError::listen(shown, error))?;
                listeners.push(Listener::unix(port));
                Some(file)
            }
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .map_err(StartError::thread)?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("metadata-emulator".into())
            .spawn(move || run(runtime, listeners, served, watcher, stopped))
            .map_err(StartError::thread)?;
        let emulator = Emulator {
            address,
            state,
            https: secure,
            apis_root,
            stop: Some(stop),
            thread: Some(thread),
            #[cfg(unix)]
            socket,
        };
        if let Some(directory) = &self.certificates_directory {
            emulator
                .write_certificates(directory)
                .map_err(|error| StartError::certificates(error.into()))?;
        }
        Ok(emulator)
    }
}

impl EmulatorBuilder {
    /// The plans from texts and files, and what code says over them.
    fn whole_plan(&self) -> Result<Plan, StartError> {
        let mut written = Plan::default();
        for source in &self.plans {
            written = written.and(source.read(Plan::parse).map_err(StartError::plan)?);
        }
        let own = Plan {
            rules: self.faults.clone(),
            events: self.events.clone(),
            refuse: self.refuse,
            lifetime: self.token_lifetime,
            renewal: self.token_renewal,
        };
        Ok(written.under(own))
    }

    fn access(&self) -> Result<Access, StartError> {
        let mut hosts = access::default_hosts();
        for name in &self.hosts {
            hosts = hosts
                .with_pattern(name)
                .ok_or_else(|| StartError::host(name.clone()))?;
        }
        let networks = networks(&self.control_networks)?;
        let control = if networks.is_empty() {
            None
        } else {
            let remote = RemoteControl::new(networks);
            Some(remote.ok_or_else(|| StartError::thread(io::Error::other("no randomness")))?)
        };
        let is_real = self.token_source.is_some() || self.upstream.is_some();
        let users = is_real.then(|| {
            let mut users = own_users();
            users.extend(&self.uids);
            users.dedup();
            users
        });
        Ok(Access {
            hosts,
            control,
            users,
        })
    }
}

/// Whether all events can be played.
fn check_events(events: &[EventSchedule]) -> Result<(), StartError> {
    let (mut scheduler, now) = (Scheduler::default(), Clock::default().now());
    for schedule in events {
        let added = scheduler.add(schedule.clone(), now);
        added.map_err(|error| StartError::plan(error.to_string()))?;
    }
    Ok(())
}

/// The user of this process, and root.
fn own_users() -> Vec<u32> {
    #[cfg(unix)]
    let own = rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    let own = 0;
    vec![own, 0]
}

fn networks(texts: &[String]) -> Result<Vec<Network>, StartError> {
    let parse =
        |text: &String| Network::parse(text).map_err(|why| StartError::network(text.clone(), why));
    texts.iter().map(parse).collect()
}

/// Serves on this thread until `stop` is sent or dropped; then every connection is closed.
fn run(
    runtime: Runtime,
    listeners: Vec<Listener>,
    state: Arc<State>,
    watcher: Watcher,
    stop: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let followed = Arc::clone(&state);
        tokio::spawn(async move { watcher.run(&followed).await });
        tokio::spawn(prepare_key(Arc::clone(&state)));
        let played = Arc::clone(&state);
        tokio::spawn(async move { played.play().await });
        let serving = async {
            if let Some(then) = state.warm {
                state.clock.sleep_until(then).await;
            }
            let dispatcher = Arc::new(Dispatcher(Arc::clone(&state)));
            gce_auth_server::serve(listeners, dispatcher, Arc::clone(&state)).await
        };
        tokio::select! {
            _ = stop => {}
            error = serving => state.tell(&Event::Failed { why: error.to_string() }),
        }
    });
    runtime.shutdown_background();
}

/// Makes the signing key once nothing was asked for a while after the first request, so that no ID
/// token has to wait for it and no program that needs none.
async fn prepare_key(state: Arc<State>) {
    const IDLE: Duration = Duration::from_millis(250);
    state.asked.notified().await;
    let mut seen = None;
    loop {
        tokio::time::sleep(IDLE).await;
        let last = state.journal().last_id();
        if seen == Some(last) {
            break;
        }
        seen = Some(last);
    }
    state.key().await;
}

/// The certificates for a machine.
fn certificates(document: &Value) -> Result<Mtls, StartError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let text = |key: &str| document["instance"][key].as_str().unwrap_or("localhost");
    let now = Clock::default().now();
    let days = (now.minus(DAY).day(), now.plus(7 * DAY).day());
    Mtls::make(text("name"), text("hostname"), days).map_err(StartError::certificates)
}
