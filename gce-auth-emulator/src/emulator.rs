//! An emulator that runs.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

#[cfg(unix)]
use gce_auth_server::listen::SocketFile;
use tokio::sync::oneshot;

use crate::{
    builder::EmulatorBuilder,
    clock::Instant,
    error::SetError,
    events::{EventError, EventSchedule, EventStatus, MachineEvent},
    faults::{Fault, FaultRule},
    private_file,
    recorded_request::RecordedRequest,
    state::State,
};

/// A metadata server on a port of this machine, with the Google APIs that belong to it on the same
/// port.
///
/// It serves on a thread of its own from [`EmulatorBuilder::start`] until it is dropped; then its
/// port and its connections are closed. Any number can run at once. Those of one process share one
/// signing key, which is made when it is first needed.
///
/// ```
/// use gce_auth_emulator::Emulator;
///
/// let emulator = Emulator::builder().project_id("my-project").start()?;
/// assert!(emulator.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(emulator.request_count("project/project-id"), 0);
/// # Ok::<(), gce_auth_emulator::StartError>(())
/// ```
pub struct Emulator {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    pub(crate) https: Option<Https>,
    pub(crate) apis_root: Option<String>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) thread: Option<JoinHandle<()>>,
    #[cfg(unix)]
    #[expect(dead_code, reason = "its end removes the file")]
    pub(crate) socket: Option<SocketFile>,
}

/// The HTTPS endpoint and what a client needs for it.
pub(crate) struct Https {
    pub(crate) address: SocketAddr,
    pub(crate) root: String,
    pub(crate) client: String,
}

impl Emulator {
    /// Settings to start from: a Compute Engine VM with one service account, on a free port of
    /// `127.0.0.1`.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Returns the address it listens on, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://` and the address, without a slash at the end. The live page is at
    /// `/emulator/` below it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Returns the environment variables that lead clients here: `GCE_METADATA_HOST` for most of
    /// Google's libraries, `GCE_METADATA_ROOT` for gcloud, `GCE_METADATA_IP` for the detection
    /// of Python's and for Node's, and `METADATA_SERVER_DETECTION` so that Node's does not
    /// probe. Where it listens on all addresses, they name the loopback one.
    ///
    /// ```
    /// # let emulator = gce_auth_emulator::Emulator::builder().start()?;
    /// let mut child = std::process::Command::new("gcloud");
    /// child.envs(emulator.env());
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        Self::env_of(self.address)
    }

    /// Returns the same variables for an emulator that listens at this address, in another process
    /// or later.
    ///
    /// ```
    /// # use gce_auth_emulator::Emulator;
    /// let variables = Emulator::env_of(([0, 0, 0, 0], 8080).into());
    /// assert_eq!(variables[0], ("GCE_METADATA_HOST".into(), "127.0.0.1:8080".into()));
    /// ```
    #[must_use]
    pub fn env_of(address: SocketAddr) -> Vec<(String, String)> {
        let host = reachable(address).to_string();
        vec![
            ("GCE_METADATA_HOST".into(), host.clone()),
            ("GCE_METADATA_ROOT".into(), host.clone()),
            ("GCE_METADATA_IP".into(), host),
            ("METADATA_SERVER_DETECTION".into(), "assume-present".into()),
        ]
    }

    /// Returns the bearer token of control requests from other machines, if
    /// [`EmulatorBuilder::control_from`] allows them. A browser opens the page as
    /// `/emulator/#TOKEN`.
    #[must_use]
    pub fn control_token(&self) -> Option<&str> {
        let control = self.state.access.control.as_ref();
        control.map(|control| control.token.as_str())
    }

    /// Returns where it listens for HTTPS, if it was started with [`EmulatorBuilder::https`] or as
    /// [`Profile::Shielded`](crate::Profile::Shielded).
    #[must_use]
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(|https| https.address)
    }

    /// Returns the certificate in PEM that signed those of the HTTPS endpoint and of its client:
    /// `root.crt` of the guest agent.
    #[must_use]
    pub fn root_certificate(&self) -> Option<&str> {
        self.https.as_ref().map(|https| https.root.as_str())
    }

    /// Returns the client's certificate and private key in PEM, in this order: `client.key` of the
    /// guest agent. The certificate is good for a week.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&str> {
        self.https.as_ref().map(|https| https.client.as_str())
    }

    /// Returns the certificate in PEM that signed that of the Google APIs under their own names, if
    /// the emulator was started with [`EmulatorBuilder::private_apis_listener`].
    #[must_use]
    pub fn apis_root_certificate(&self) -> Option<&str> {
        self.apis_root.as_deref()
    }

    /// Writes `root.crt` and `client.key` into a directory, as the guest agent writes them into
    /// `/run/google-mds-mtls`. The key is readable by its owner alone. Without an HTTPS endpoint
    /// nothing is written.
    ///
    /// # Errors
    ///
    /// When the directory does not exist or cannot be written.
    pub fn write_certificates(&self, directory: impl AsRef<Path>) -> io::Result<()> {
        let Some(https) = &self.https else {
            return Ok(());
        };
        let directory = directory.as_ref();
        fs::write(directory.join("root.crt"), &https.root)?;
        private_file::replace(&directory.join("client.key"), https.client.as_bytes())
    }

    /// Changes a value, and wakes the requests that wait for it.
    ///
    /// The path is that of the metadata server, from `/computeMetadata/v1/` on or from the root,
    /// for example `instance/attributes/my-key` or `instance/maintenance-event`. The value gets the
    /// type that the place has: a number stays a number, a list is given as a JSON array or one
    /// item on a line, a directory as a JSON object. What did not exist becomes a string.
    ///
    /// # Errors
    ///
    /// When the text does not fit the type, or the path leads below a value.
    pub fn set(&self, path: &str, value: &str) -> Result<(), SetError> {
        self.state.document.set(path, value)
    }

    /// Puts any JSON at a path, whatever was there.
    ///
    /// # Errors
    ///
    /// When the text is no JSON, or the path leads below a value.
    pub fn set_json(&self, path: &str, json: &str) -> Result<(), SetError> {
        self.state.document.set_json(path, json)
    }

    /// Takes a value or a directory away; asking for it is 404 from then on.
    ///
    /// # Errors
    ///
    /// When there is no such path.
    pub fn remove(&self, path: &str) -> Result<(), SetError> {
        self.state.document.remove(path)
    }

    /// Returns the last 10,000 requests, the oldest first; fewer if their texts are longer than 16
    /// MiB together. They hold no tokens.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.requests()
    }

    /// Returns how many of these asked for exactly this path: from the root if it begins with a
    /// slash, else below `/computeMetadata/v1/`.
    #[must_use]
    pub fn request_count(&self, path: &str) -> usize {
        self.state.journal().count(path)
    }

    /// Returns how many requests with `wait_for_change=true` are waiting now. One whose client has
    /// left does not count.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.document.waiting()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.state.journal().clear();
    }

    /// Makes the next `times` requests fail whose path begins so: from the root if `path_prefix`
    /// begins with a slash, else below `/computeMetadata/v1/`. `usize::MAX` means all from now on.
    /// Of several faults for a path the oldest comes first.
    ///
    /// ```
    /// # use gce_auth_emulator::{Emulator, Fault};
    /// # let emulator = Emulator::builder().start()?;
    /// let busy = Fault::Status { code: 503, retry_after: Some(1) };
    /// emulator.fail_next("instance/service-accounts/default/token", 2, busy);
    /// emulator.fail_next("/", usize::MAX, Fault::Hang);
    /// emulator.heal();
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    pub fn fail_next(&self, path_prefix: &str, times: usize, fault: Fault) {
        self.add_fault(FaultRule::new(fault).path(path_prefix).times(times));
    }

    /// Makes all requests fail whose path begins so, until this much time has passed on the
    /// emulator's clock: a cold start, as in the first seconds of a pod, or a host event.
    pub fn fail_for(&self, path_prefix: &str, time: Duration, fault: Fault) {
        self.add_fault(FaultRule::new(fault).path(path_prefix).lasting(time));
    }

    /// Makes requests fail whose path begins so beyond `allowed` in each span of time: a rate
    /// limit. Guest attributes, for example, allow 10 in a minute.
    pub fn limit_rate(&self, path_prefix: &str, allowed: usize, per: Duration, fault: Fault) {
        self.add_fault(FaultRule::new(fault).path(path_prefix).beyond(allowed, per));
    }

    /// Makes requests fail with a probability from 0 to 1 whose path begins so. The same seed makes
    /// the same requests of a sequence fail.
    pub fn fail_sometimes(&self, path_prefix: &str, probability: f64, seed: u64, fault: Fault) {
        let rule = FaultRule::new(fault).path(path_prefix);
        self.add_fault(rule.chance(probability, seed));
    }

    /// Adds a fault for the requests that its rule names, behind those there are. The number that
    /// it gives is good for [`remove_fault`](Self::remove_fault).
    #[expect(clippy::must_use_candidate, reason = "most faults stay")]
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.state.add_fault(rule)
    }

    /// Takes one fault away. False if it was over already.
    #[expect(clippy::must_use_candidate, reason = "it is gone either way")]
    pub fn remove_fault(&self, id: u64) -> bool {
        self.state.rules().remove(id)
    }

    /// Takes all faults away. Requests that hang already stay so.
    pub fn heal(&self) {
        self.state.rules().clear();
    }

    /// Has something happen to the machine, now; returns its number.
    ///
    /// # Errors
    ///
    /// When a thousand events are under way.
    pub fn play(&self, event: impl Into<MachineEvent>) -> Result<u64, EventError> {
        self.state.schedule(EventSchedule::new(event))
    }

    /// Has something happen to the machine, when the schedule says; returns its number.
    ///
    /// # Errors
    ///
    /// When its client is no network, when it would be played never or without an end, or when a
    /// thousand events are under way.
    pub fn schedule(&self, schedule: EventSchedule) -> Result<u64, EventError> {
        self.state.schedule(schedule)
    }

    /// Returns the events that are to come, under way and over, the oldest first.
    #[must_use]
    pub fn machine_events(&self) -> Vec<EventStatus> {
        self.state.catch_up();
        self.state.machine_events()
    }

    /// Cancels an event, and takes back what it did, unless it was changed since: a machine that
    /// ended is there again. False if there is none of this number.
    #[expect(clippy::must_use_candidate, reason = "it is gone either way")]
    pub fn cancel_event(&self, id: u64) -> bool {
        self.state.cancel_event(id)
    }

    /// Empties the server's cache of access tokens, so that the next answer is a new token. Those
    /// handed out stay good.
    pub fn rotate_token(&self) {
        self.state.issuer().rotate();
    }

    /// Makes every access token issued so far invalid for the APIs of this emulator.
    pub fn revoke_tokens(&self) {
        self.state.issuer().revoke();
    }

    /// Sets how long access tokens are good for that are made from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.state.issuer().set_lifetime(lifetime);
    }

    /// Puts everything back to how it was at the start: the document, the clock, tokens, faults,
    /// events and the journal. What a plan has begins anew; connections are not refused again.
    pub fn reset(&self) {
        self.state.reset();
    }

    /// Moves the emulator's clock ahead: tokens age, the `Date` header and the times in ID tokens
    /// follow, and events are played whose time has come.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
        self.state.catch_up();
    }

    /// Sets the emulator's clock, ahead or back. The machine's own stays as it is.
    pub fn set_time(&self, to: SystemTime) {
        self.state.clock.set(Instant::from_system(to));
    }

    /// Stops the emulator's clock, or lets it run on from where it stands.
    pub fn freeze_clock(&self, frozen: bool) {
        self.state.clock.freeze(frozen);
    }
}

/// The address by which programs of this machine reach what listens at this one: `0.0.0.0` is a
/// place to listen, none to connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
