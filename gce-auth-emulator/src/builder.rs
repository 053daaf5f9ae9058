//! What an emulator is made from.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::{
    document::document_source::DocumentSource,
    events::EventSchedule,
    faults::rules::FaultRule,
    identity::accounts::Account,
    observers::{Event, Observers},
    policy::settings::CloudConfig,
    private_listeners::PrivateListeners,
    profiles::Profile,
    text_source::TextSource,
    token_source::{SharedSource, TokenSource},
};

/// Settings of an [`Emulator`](crate::Emulator), made by
/// [`Emulator::builder`](crate::Emulator::builder).
///
/// Some settings can also stand in a text or a file: a [`document`](Self::document), an
/// [`overlay`](Self::overlay), a [`plan`](Self::plan), or [`cloud`](Self::cloud) settings. Where a
/// method of this builder sets the same, such as [`project_id`](Self::project_id),
/// [`account`](Self::account), [`set`](Self::set), [`token_lifetime`](Self::token_lifetime) or
/// [`strict`](Self::strict), the method has priority, in whatever order they are called and
/// also when a file changes. Of several texts and files of one kind the later has priority. Lists,
/// such as faults, add up.
#[derive(Clone, Debug)]
#[must_use]
pub struct EmulatorBuilder {
    pub(crate) address: SocketAddr,
    pub(crate) networks: Vec<String>,
    pub(crate) control_networks: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) uids: Vec<u32>,
    pub(crate) document_source: DocumentSource,
    pub(crate) observers: Observers,
    pub(crate) token_lifetime: Option<Duration>,
    pub(crate) token_renewal: Option<Duration>,
    pub(crate) token_source: Option<SharedSource>,
    pub(crate) cloud: CloudConfig,
    pub(crate) cloud_sources: Vec<TextSource>,
    pub(crate) faults: Vec<FaultRule>,
    pub(crate) events: Vec<EventSchedule>,
    pub(crate) plans: Vec<TextSource>,
    pub(crate) refuse: Option<Duration>,
    pub(crate) upstream: Option<String>,
    pub(crate) keys_directory: Option<PathBuf>,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) private: PrivateListeners,
    pub(crate) certificates_directory: Option<PathBuf>,
    #[cfg(unix)]
    pub(crate) unix_socket: Option<PathBuf>,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            networks: Vec::new(),
            control_networks: Vec::new(),
            hosts: Vec::new(),
            uids: Vec::new(),
            document_source: DocumentSource::default(),
            observers: Observers::default(),
            token_lifetime: None,
            token_renewal: None,
            token_source: None,
            cloud: CloudConfig::default(),
            cloud_sources: Vec::new(),
            faults: Vec::new(),
            events: Vec::new(),
            plans: Vec::new(),
            refuse: None,
            upstream: None,
            keys_directory: None,
            https: None,
            private: PrivateListeners::default(),
            certificates_directory: None,
            #[cfg(unix)]
            unix_socket: None,
        }
    }
}

impl EmulatorBuilder {
    /// Sets where to listen. Default: a free port of `127.0.0.1`; port 0 means a free port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Answers only those who connect from this network, in CIDR notation like `10.0.0.0/8` or
    /// `fd00::/8`, or from this address. May be called for several. This machine itself is always
    /// answered; other connections are closed at once, and [`on_event`](Self::on_event) tells of
    /// them.
    ///
    /// Without it each client that reaches the [`address`](Self::address) is answered, and so gets
    /// tokens. Control requests are for this machine alone, whatever is allowed here, unless
    /// [`control_from`](Self::control_from) says more.
    pub fn allow_from(mut self, network: impl Into<String>) -> Self {
        self.networks.push(network.into());
        self
    }

    /// Lets clients of this network, in CIDR notation, or of this address use control requests and
    /// the page, too, if they show the bearer token that
    /// [`Emulator::control_token`](crate::Emulator::control_token) returns. May be called for
    /// several. Default: this machine alone, without a token.
    pub fn control_from(mut self, network: impl Into<String>) -> Self {
        self.control_networks.push(network.into());
        self
    }

    /// Answers requests whose `Host` header has this name; `*.example.com` stands for all names
    /// below `example.com`. May be called for several.
    ///
    /// Without it the emulator answers to the metadata server's own names, the names of the APIs
    /// beside it, addresses, names without a dot and names below `internal`. Other names get 403: a
    /// web page that leads a name of its own to this machine (DNS rebinding) could read tokens
    /// otherwise.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Serves this user of the machine, too, where tokens are real: from a
    /// [source](Self::token_source) or from an [`upstream`](Self::upstream). May be called for
    /// several.
    ///
    /// Without it such an emulator serves its own user and root over loopback, and 403 to others.
    /// Only Linux tells who connects over loopback; on other systems all are served.
    pub fn allow_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// Sets which kind of machine to pose as. Default: [`Profile::Gce`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.document_source.profile = profile;
        self
    }

    /// Sets the project. Default: `emulator-project`.
    pub fn project_id(mut self, id: impl Into<String>) -> Self {
        self.document_source.project_id = Some(id.into());
        self
    }

    /// Sets the project's number, which also stands in the names of its zones and networks.
    /// Default: 204954049439, or that of the document.
    pub fn numeric_project_id(mut self, number: u64) -> Self {
        self.document_source.numeric_project_id = Some(number);
        self
    }

    /// Adds a service account. The first one added takes the place of the profile's, and is the
    /// machine's `default`.
    pub fn account(mut self, account: Account) -> Self {
        self.document_source.accounts.push(account);
        self
    }

    /// Serves this document instead of the profile's: what a real machine prints for
    /// `curl -H 'Metadata-Flavor: Google' 'http://metadata/computeMetadata/v1/?recursive=true'`, or
    /// the same below `{"computeMetadata": {"v1": ..}}`. The profile still decides how scopes and
    /// identity tokens behave.
    ///
    /// Project and accounts that were set in code replace those of the document. The text is read
    /// when the emulator starts.
    pub fn document(mut self, json: impl Into<String>) -> Self {
        self.document_source.document = Some(TextSource::Text(json.into()));
        self
    }

    /// Serves the document in this file, as [`document`](Self::document) does, and follows it:
    /// within half a second after it changed, the document is made anew, with all overlays, and
    /// requests that wait for a change are answered. What was set while the emulator ran, and guest
    /// attributes that programs wrote, stay; what was removed stays so until the file says it anew.
    ///
    /// A file that was replaced, and one behind a link that was turned, as in a mounted Kubernetes
    /// ConfigMap, are followed too. A file that is no good changes nothing;
    /// [`on_event`](Self::on_event) tells why.
    pub fn document_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.document_source.document = Some(TextSource::File(path.into()));
        self
    }

    /// Puts a value over the document and all overlays, as
    /// [`Emulator::set`](crate::Emulator::set) does. Of several for one path the last counts.
    pub fn set(mut self, path: impl Into<String>, value: impl Into<String>) -> Self {
        let value = (path.into(), value.into());
        self.document_source.values.push(value);
        self
    }

    /// Puts values over the profile's document, given as TOML: a table for each directory. A path
    /// may stand in a key.
    ///
    /// ```
    /// use gce_auth_emulator::Emulator;
    ///
    /// let emulator = Emulator::builder()
    ///     .overlay(r#"
    ///         "project/attributes/ssh-keys" = "me:ssh-ed25519 AAAA"
    ///         [instance]
    ///         machine-type = "projects/1/machineTypes/n2-standard-8"
    ///         [instance.attributes]
    ///         startup-script = "true"
    ///     "#)
    ///     .start()?;
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    ///
    /// Overlays are applied in the order in which they were called, then what [`set`](Self::set)
    /// says.
    pub fn overlay(mut self, toml: impl Into<String>) -> Self {
        let table = TextSource::Text(toml.into());
        self.document_source.overlays.push(table);
        self
    }

    /// Puts the values of a TOML file over the profile's document, as [`overlay`](Self::overlay)
    /// does. The file is followed as that of [`document_file`](Self::document_file) is.
    pub fn overlay_file(mut self, path: impl Into<PathBuf>) -> Self {
        let table = TextSource::File(path.into());
        self.document_source.overlays.push(table);
        self
    }

    /// Calls a function for each [`Event`], for example to log them. It is called on the threads
    /// that serve, so it should be quick. All functions given are called.
    ///
    /// ```
    /// use gce_auth_emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().on_event(|event| println!("{event}")).start()?;
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    pub fn on_event(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observers.add(observer);
        self
    }

    /// Sets how long access tokens are good for. Default: 3599 s.
    ///
    /// Clients that refresh minutes before the end, as Google's do, refresh on every call when this
    /// is short.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = Some(lifetime);
        self
    }

    /// Sets how long before its end the server's cached token is replaced by a new one.
    ///
    /// The real server keeps a token until five minutes before its end, so that a client which asks
    /// earlier gets the same token with less time left. By default a twelfth of the lifetime: these
    /// five minutes for an hour. [`Duration::MAX`] keeps none: each request gets a new one.
    pub fn token_renewal(mut self, before_expiry: Duration) -> Self {
        self.token_renewal = Some(before_expiry);
        self
    }

    /// Takes the access tokens of the metadata server from a function instead of making them, for
    /// programs that need real ones: from a command, a key file, or another metadata server.
    ///
    /// It gets an account's email and the scopes. It gives the token and how long it is good for,
    /// or the reason why there is none, which becomes the text of a 500. It may block.
    ///
    /// Tokens are cached as the emulator's own are: see [`token_renewal`](Self::token_renewal). A
    /// token that is good is handed out until its end if the source fails or takes long. All who
    /// wait for the same account and scopes share one lookup; a slow account delays no other. Such
    /// an emulator serves its own user and root alone over loopback: see
    /// [`allow_uid`](Self::allow_uid).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gce_auth_emulator::Emulator;
    ///
    /// let emulator = Emulator::builder()
    ///     .token_source(|_email, _scopes| Ok(("ya29.real".to_owned(), Duration::from_secs(3600))))
    ///     .start()?;
    /// # Ok::<(), gce_auth_emulator::StartError>(())
    /// ```
    pub fn token_source(
        self,
        fetch: impl Fn(&str, &[String]) -> Result<(String, Duration), String> + Send + Sync + 'static,
    ) -> Self {
        self.async_token_source(fetch)
    }

    /// Takes access tokens from a [`TokenSource`], as [`token_source`](Self::token_source) takes
    /// them from a function.
    pub fn async_token_source(mut self, source: impl TokenSource) -> Self {
        self.token_source = Some(SharedSource(Arc::new(source)));
        self
    }

    /// Passes on to another metadata server, such as `http://169.254.169.254`, what is not set
    /// here: values, tokens and guest attributes. Requests to it are plain HTTP, without
    /// `X-Forwarded-For`.
    ///
    /// There is no profile's document then. Values set here lie over that server's, in directories
    /// and their recursive form too, and `wait_for_change` wakes for a change on either side.
    /// Accounts added here have tokens of this emulator. Faults, control requests and the journal
    /// work as ever. If the other server can't be asked, the answer is 502 with the reason as text;
    /// so it is when a request went through four emulators.
    pub fn upstream(mut self, url: impl Into<String>) -> Self {
        self.upstream = Some(url.into());
        self
    }

    /// Keeps the signing key in a directory, so that tokens stay verifiable when the emulator is
    /// started again. The file `signing-key.pem` is made if there is none, readable by its owner
    /// alone; the directory has to exist.
    ///
    /// Without it, all emulators of a process share one key that is gone when the process ends.
    pub fn keys_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.keys_directory = Some(directory.into());
        self
    }

    /// Listens for HTTPS too, as on a shielded VM, at an address of its own. A client has to show
    /// the certificate that [`Emulator::client_certificate`](crate::Emulator::client_certificate)
    /// gives, made at the start. [`Profile::Shielded`] does so by itself, on a free port.
    pub fn https(mut self, address: SocketAddr) -> Self {
        self.https = Some(address);
        self
    }

    /// Writes `root.crt` and `client.key` into a directory at the start, as
    /// [`Emulator::write_certificates`](crate::Emulator::write_certificates) does.
    pub fn certificates_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.certificates_directory = Some(directory.into());
        self
    }

    /// Listens on a Unix socket too, which its owner alone may use (mode 0600). The file is removed
    /// when the emulator is dropped; that of an emulator that was killed is replaced, that of one
    /// that lives is not. Beside it lies a file with `.lock` behind its name.
    #[cfg(unix)]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }
}
