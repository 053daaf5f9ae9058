//! From settings to an emulator that serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::builder::EmulatorBuilder;
use super::clock::Clock;
use super::error::StartError;
use super::keys::SigningKey;
use super::mint::Mint;
use super::plan::Plan;
use super::profiles::Profile;
use super::recipe::Layer;
use super::sealed;
use super::state::{Parts, State};
use super::watch::Watcher;
use super::{Emulator, Https};
#[cfg(unix)]
use crate::doors::SocketFile;
use crate::doors::{Doors, Port};
use crate::http;
use crate::network::{Guests, Network};
use crate::tls::Mtls;
use crate::upstream::Upstream;

impl EmulatorBuilder {
    /// Listens, and serves on a thread with a runtime of its own. Returns as soon as a client can connect; with a cold start, before.
    ///
    /// # Errors
    ///
    /// When the address is taken, when a path that was set cannot be, or when the document, the plan or a network is none.
    pub fn start(mut self) -> Result<Emulator, StartError> {
        let upstream = match &self.upstream {
            Some(url) => {
                Some(Upstream::parse(url).map_err(|why| StartError::upstream(url.clone(), why))?)
            }
            None => None,
        };
        let mut networks = Vec::with_capacity(self.networks.len());
        for text in &self.networks {
            let network =
                Network::parse(text).map_err(|why| StartError::network(text.clone(), why))?;
            networks.push(network);
        }
        let guests = Guests::of(networks);
        self.recipe.bare = upstream.is_some();
        let watcher = Watcher::new(self.recipe.files());
        let mut document = self.recipe.make()?;
        let shielded = self.recipe.profile == Profile::Shielded;
        let https = self
            .https
            .or_else(|| shielded.then(|| SocketAddr::new(self.address.ip(), 0)))
            .map(|at| certificates(&document).map(|made| (at, made)))
            .transpose()?;
        if let Some((_, made)) = https.as_ref().filter(|_| shielded) {
            let sealed = sealed::seal(&made.client)
                .map_err(|error| StartError::certificates(error.into()))?;
            let layer = Layer::Value(sealed::PLACE.into(), sealed);
            self.recipe.layers.insert(0, layer);
            document = self.recipe.make()?;
        }
        let mut plan = Plan {
            rules: self.faults.clone(),
            refuse: self.refuse,
            ..Plan::default()
        };
        for source in &self.plans {
            plan = plan.and(source.read(Plan::parse).map_err(StartError::plan)?);
        }
        let cold = plan.refuse.is_some();
        let mint = Mint::new(
            plan.lifetime.unwrap_or(self.token_lifetime),
            plan.renewal.or(self.token_renewal),
        );
        let key = match &self.keys_directory {
            Some(directory) => Some(SigningKey::kept_in(directory).map_err(StartError::key)?),
            None => None,
        };
        let state = Arc::new(State::new(Parts {
            document,
            recipe: self.recipe,
            observers: self.observers,
            watcher,
            mint,
            source: self.token_source,
            upstream,
            key,
            plan,
        }));

        let listen = |error| StartError::listen(self.address, error);
        let (tcp, address) = Port::bind(self.address, cold).map_err(listen)?;
        let mut tls = None;
        let mut secure = None;
        if let Some((at, made)) = https {
            let (port, bound) =
                Port::bind(at, cold).map_err(|error| StartError::listen(at, error))?;
            tls = Some((port, made.server));
            secure = Some(Https {
                address: bound,
                root: made.root,
                client: made.client,
            });
        }
        #[cfg(unix)]
        let (socket, unix) = match self.unix_socket {
            Some(path) => {
                let shown = path.display().to_string();
                let (file, listener) = SocketFile::bind(path, cold)
                    .map_err(|error| StartError::listen(shown, error))?;
                (Some(file), Some(listener))
            }
            None => (None, None),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(2)
            .build()
            .map_err(StartError::thread)?;
        let doors = Doors {
            tcp,
            tls,
            #[cfg(unix)]
            unix,
            guests,
        };
        let (stop, stopped) = oneshot::channel();
        let backend = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("metadata-emulator".into())
            .spawn(move || http::serve(runtime, doors, backend, stopped))
            .map_err(StartError::thread)?;
        let emulator = Emulator {
            address,
            state,
            https: secure,
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

/// The certificates for a machine.
fn certificates(document: &Value) -> Result<Mtls, StartError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let text = |key: &str| document["instance"][key].as_str().unwrap_or("localhost");
    let now = Clock::default().now();
    let days = (now.minus(DAY).day(), now.plus(7 * DAY).day());
    Mtls::make(text("name"), text("hostname"), days).map_err(StartError::certificates)
}
