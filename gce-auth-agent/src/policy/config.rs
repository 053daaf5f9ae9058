//! The configuration file, read and checked.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use gce_auth_server::listen::Network;

use super::{
    Default, Policy,
    file::{File, Id, Listen},
    position::Source,
    rules::Reader,
    system::{Machine, System},
};

/// A configuration file that was read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where values and tokens come from. Default: the metadata server.
    pub source: Option<SourceKind>,
    /// The address of the metadata server, `HOST[:PORT]`.
    pub upstream: Option<String>,
    /// The listeners.
    pub listen: Vec<ListenConfig>,
    /// The rules.
    pub policy: Policy,
}

/// Where values and tokens come from.
#[derive(Clone, Copy, Debug, std::default::Default, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// The metadata server of the machine.
    #[default]
    Metadata,
    /// Application Default Credentials.
    Adc,
}

impl SourceKind {
    /// Returns the name of the kind, as the file and commands take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Adc => "adc",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = SOURCES.into_iter().find(|(known, _)| *known == name);
        found
            .map(|(_, kind)| kind)
            .ok_or_else(|| "use metadata or adc".to_owned())
    }
}

/// A `[[listen]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Its name; empty without one.
    pub name: String,
    /// Where it listens.
    pub at: ListenAt,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAt {
    /// A TCP port. One that is not loopback has networks in `allow_from`.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Which addresses may connect. Empty: this machine.
        allow_from: Vec<Network>,
    },
    /// A Unix socket.
    Unix {
        /// Its file.
        path: PathBuf,
        /// The mode of the file. Default: 0600.
        mode: Option<u32>,
        /// The id of the group of the file.
        group: Option<u32>,
    },
}

/// What is wrong with a file: `FILE:LINE:COLUMN: what is wrong; what is allowed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file. `own_uid` is the user that `own-user` means.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], of one line.
    pub fn read(file: &Path, own_uid: u32) -> Result<Self, ConfigError> {
        let text = Machine
            .file(file)
            .map_err(|error| ConfigError(format!("{}: cannot read: {error}", file.display())))?;
        Self::parse(&text, file, own_uid, &Machine)
    }

    /// Reads the text of a file. Users, groups and other files that it names are looked up in
    /// `system`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(
        text: &str,
        file: &Path,
        own_uid: u32,
        system: &dyn System,
    ) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let read: File = source.parse()?;
        let reader = Reader { source, system };
        let kind = reader.choice("source", read.source.as_ref(), &SOURCES)?;
        let default = reader.choice("default", read.default.as_ref(), &DEFAULTS)?;
        let upstream = read.upstream.as_ref().map(|text| reader.upstream(text));
        let mut listen: Vec<ListenConfig> = Vec::new();
        for it in &read.listen {
            let next = reader.listener(it.span().start, it.get_ref())?;
            if !next.name.is_empty() && listen.iter().any(|other| other.name == next.name) {
                let why = format!(
                    "two listeners are named {:?}; give each its own name",
                    next.name
                );
                return Err(source.error(it.span().start, &why));
            }
            listen.push(next);
        }
        let rules = reader.rules(read.rule)?;
        Ok(Self {
            source: kind,
            upstream: upstream.transpose()?,
            listen,
            policy: Policy::new(rules, default.unwrap_or_default(), own_uid),
        })
    }
}

const SOURCES: [(&str, SourceKind); 2] = [
    (SourceKind::Metadata.name(), SourceKind::Metadata),
    (SourceKind::Adc.name(), SourceKind::Adc),
];

const DEFAULTS: [(&str, Default); 3] = [
    ("deny", Default::Deny),
    ("own-user", Default::OwnUser),
    ("allow", Default::Allow),
];

impl Reader<'_> {
    fn listener(&self, at: usize, it: &Listen) -> Result<ListenConfig, ConfigError> {
        let name = it.name.as_ref().map(|name| name.get_ref().clone());
        let at = match (&it.tcp, &it.unix) {
            (Some(tcp), None) => {
                let unix_only = [
                    it.mode.as_ref().map(|it| (it.span(), "mode")),
                    it.group.as_ref().map(|it| (it.span(), "group")),
                ];
                if let Some((span, key)) = unix_only.into_iter().flatten().next() {
                    let why = format!("`{key}` is for Unix sockets, and this listener has `tcp`");
                    return Err(self.source.error(span.start, &why));
                }
                self.tcp(tcp, it)?
            }
            (None, Some(path)) => {
                if let Some(first) = it.allow_from.as_ref().and_then(|all| all.first()) {
                    let why = "`allow-from` is for TCP, and this listener has `unix`; \
                               set `mode` and `group`";
                    return Err(self.source.error(first.span().start, why));
                }
                if path.get_ref().is_empty() {
                    let why = "`unix` is empty; name a file, such as \"/run/gce-auth.sock\"";
                    return Err(self.source.error(path.span().start, why));
                }
                let mode = it.mode.as_ref().map(|mode| self.mode(mode));
                let group = it.group.as_ref().map(|group| self.id(group, "group"));
                ListenAt::Unix {
                    path: path.get_ref().into(),
                    mode: mode.transpose()?,
                    group: group.transpose()?,
                }
            }
            (Some(_), Some(unix)) => {
                let why = "a listener has `tcp` or `unix`, not both; write two [[listen]]";
                return Err(self.source.error(unix.span().start, why));
            }
            (None, None) => {
                let why = "[[listen]] has neither `tcp` nor `unix`; add one of them";
                return Err(self.source.error(at, why));
            }
        };
        Ok(ListenConfig {
            name: name.unwrap_or_default(),
            at,
        })
    }

    fn tcp(&self, tcp: &toml::Spanned<String>, it: &Listen) -> Result<ListenAt, ConfigError> {
        let address: SocketAddr = tcp.get_ref().parse().map_err(|_| {
            let why = format!(
                "`tcp` {:?} is no address with a port; write one like \"127.0.0.1:8174\" or \
                 \"[::1]:8174\"",
                tcp.get_ref()
            );
            self.source.error(tcp.span().start, &why)
        })?;
        let networks = it.allow_from.iter().flatten();
        let allow_from = networks
            .map(|text| self.network(text, "allow-from"))
            .collect::<Result<Vec<_>, _>>()?;
        if !address.ip().to_canonical().is_loopback() && allow_from.is_empty() {
            let why = format!(
                "`tcp` {address} is not loopback, so `allow-from` must name the networks that \
                 may connect, such as [\"10.8.0.0/14\"]"
            );
            return Err(self.source.error(tcp.span().start, &why));
        }
        Ok(ListenAt::Tcp {
            address,
            allow_from,
        })
    }

    fn mode(&self, text: &toml::Spanned<String>) -> Result<u32, ConfigError> {
        let digits = text.get_ref();
        let octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|mode| octal && *mode <= 0o777)
            .ok_or_else(|| {
                let why = format!("`mode` {digits:?} is no mode; write octal digits like \"0660\"");
                self.source.error(text.span().start, &why)
            })
    }

    pub(super) fn id(&self, id: &toml::Spanned<Id>, key: &str) -> Result<u32, ConfigError> {
        let (found, what, name) = match (id.get_ref(), key) {
            (Id::Number(number), _) => return Ok(*number),
            (Id::Name(name), "uid") => (self.system.user(name), "user", name),
            (Id::Name(name), _) => (self.system.group(name), "group", name),
        };
        found.ok_or_else(|| {
            let why = format!(
                "`{key}`: there is no {what} {name:?} on this machine; add it, or write its number"
            );
            self.source.error(id.span().start, &why)
        })
    }

    pub(super) fn network(
        &self,
        text: &toml::Spanned<String>,
        key: &str,
    ) -> Result<Network, ConfigError> {
        Network::parse(text.get_ref()).map_err(|why| {
            let why = format!("`{key}` {:?}: {why}", text.get_ref());
            self.source.error(text.span().start, &why)
        })
    }

    fn upstream(&self, text: &toml::Spanned<String>) -> Result<String, ConfigError> {
        let host = text.get_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(fits) {
            let why = format!(
                "`upstream` {host:?} is no HOST[:PORT]; write one like \"169.254.169.254\""
            );
            return Err(self.source.error(text.span().start, &why));
        }
        Ok(host.clone())
    }
}
