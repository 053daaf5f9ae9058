//! The sockets that callers come in by: bound at the start, and opened and closed by a reload.

#[cfg(unix)]
use std::path::Path;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use gce_auth_server::listen::{AllowedClients, Closer, Listener, Network, TcpPort};
#[cfg(unix)]
use gce_auth_server::listen::{SocketFile, UnixPort};
use tokio::sync::Semaphore;

use crate::{
    builder::{Handed, HandedSocket},
    error::StartError,
    policy::config::{ListenAt, ListenConfig},
};

/// For the source, files of `/proc`, the audit and the runtime.
const OWN_DESCRIPTORS: usize = 1024;
/// The mode of a Unix socket unless the file says another.
#[cfg(unix)]
const MODE: u32 = 0o600;

/// A listener that is bound, as long as it lives.
#[derive(Debug)]
pub(crate) struct Bound {
    /// What the file says of it; `None` for one of the arguments, which stays.
    pub(crate) config: Option<ListenConfig>,
    pub(crate) place: Place,
    closer: Closer,
    /// The same socket, for a listener with other settings at the same place.
    socket: Option<Port>,
    #[cfg(unix)]
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Port {
    Tcp(TcpPort),
    #[cfg(unix)]
    Unix(UnixPort),
}

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.closer.close();
    }
}

/// Binds a TCP port of the arguments. One that other machines can reach needs networks.
pub(crate) fn tcp(
    address: SocketAddr,
    name: &str,
    allow_from: &[Network],
) -> Result<(Bound, Listener), StartError> {
    if !is_loopback(address.ip()) && allow_from.is_empty() {
        return Err(StartError::setting(format_args!(
            "other machines can reach {address}; name the networks of its callers with --allow-from, \
             like 10.8.0.0/14, or listen on 127.0.0.1 or [::1]"
        )));
    }
    let opened = || {
        let port = TcpPort::open(address)?;
        Ok((port.local_addr()?, port.try_clone()?, port))
    };
    let (address, twin, port) = opened().map_err(|error| refused(&address.to_string(), &error))?;
    let listener = Listener::tcp(port)
        .named(name)
        .allow(AllowedClients::of(allow_from.to_vec()));
    let bound = Bound {
        config: None,
        place: Place::Tcp(address),
        closer: listener.closer(),
        socket: Some(Port::Tcp(twin)),
        #[cfg(unix)]
        file: None,
    };
    Ok((bound, listener))
}

/// Binds a Unix socket. Clients can connect at once, and are answered once it is served.
#[cfg(unix)]
pub(crate) fn unix(
    path: PathBuf,
    name: &str,
    mode: Option<u32>,
    group: Option<u32>,
) -> Result<(Bound, Listener), StartError> {
    let shown = path.display().to_string();
    let bind = || -> io::Result<(SocketFile, UnixPort, UnixPort)> {
        // Only its owner may connect until the group is right.
        let first = group.map_or(mode, |_| Some(MODE));
        let (file, port) = SocketFile::bind(path.clone(), first)?;
        if group.is_some() {
            admit(&path, mode, group)?;
        }
        port.open()?;
        Ok((file, port.try_clone()?, port))
    };
    let (file, twin, port) = bind().map_err(|error| refused(&shown, &error))?;
    let listener = Listener::unix(port).named(name);
    let bound = Bound {
        config: None,
        place: Place::Unix(path),
        closer: listener.closer(),
        socket: Some(Port::Unix(twin)),
        file: Some(file),
    };
    Ok((bound, listener))
}

/// Sets which users may connect to a Unix socket.
#[cfg(unix)]
fn admit(path: &Path, mode: Option<u32>, group: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    // Never the old mode for the new group.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    let group = group.unwrap_or_else(|| rustix::process::getegid().as_raw());
    chown(path, None, Some(group))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.unwrap_or(MODE)))
}

/// Binds what the file says.
pub(crate) fn configured(config: &ListenConfig) -> Result<(Bound, Listener), StartError> {
    let (mut bound, listener) = match &config.at {
        ListenAt::Tcp {
            address,
            allow_from,
        } => tcp(*address, &config.name, allow_from),
        #[cfg(unix)]
        ListenAt::Unix { path, mode, group } => unix(path.clone(), &config.name, *mode, *group),
        #[cfg(not(unix))]
        ListenAt::Unix { .. } => Err(StartError::setting("there are no Unix sockets here")),
    }?;
    bound.config = Some(config.clone());
    Ok((bound, listener))
}

impl Bound {
    /// Returns whether it is where a listener of the file is to be.
    pub(crate) fn is_at(&self, config: &ListenConfig) -> bool {
        let own = self.config.as_ref().map(|own| &own.at);
        match (&config.at, own) {
            (ListenAt::Tcp { address, .. }, Some(ListenAt::Tcp { address: own, .. })) => {
                own == address || self.place == Place::Tcp(*address)
            }
            (ListenAt::Unix { path, .. }, Some(ListenAt::Unix { path: own, .. })) => own == path,
            _ => false,
        }
    }

    /// Makes a listener with other settings of the same socket, which no client finds closed
    /// meanwhile. The file of a Unix socket is to be handed over by [`yield_to`](Self::yield_to).
    pub(crate) fn reconfigured(
        &self,
        config: &ListenConfig,
    ) -> Result<(Self, Listener), StartError> {
        let failed = |error: &io::Error| refused(&self.place.to_string(), error);
        let twins = |port: &TcpPort| Ok((port.try_clone()?, port.try_clone()?));
        let (listener, socket) = match (&self.socket, &config.at) {
            (Some(Port::Tcp(port)), ListenAt::Tcp { allow_from, .. }) => {
                let (port, twin) = twins(port).map_err(|error| failed(&error))?;
                let allowed = AllowedClients::of(allow_from.clone());
                (Listener::tcp(port).allow(allowed), Port::Tcp(twin))
            }
            #[cfg(unix)]
            (Some(Port::Unix(port)), ListenAt::Unix { .. }) => {
                let twins = || Ok((port.try_clone()?, port.try_clone()?));
                let (port, twin) = twins().map_err(|error| failed(&error))?;
                (Listener::unix(port), Port::Unix(twin))
            }
            _ => return configured(config),
        };
        let listener = listener.named(&config.name);
        let bound = Self {
            config: Some(config.clone()),
            place: self.place.clone(),
            closer: listener.closer(),
            socket: Some(socket),
            #[cfg(unix)]
            file: None,
        };
        Ok((bound, listener))
    }

    /// Hands the file of a Unix socket over, with the mode and the group that it has there.
    pub(crate) fn yield_to(&mut self, next: &mut Self) -> Result<(), StartError> {
        #[cfg(unix)]
        {
            let at = |bound: &Self| bound.config.as_ref().map(|config| config.at.clone());
            let (old, new) = (at(self), at(next));
            if let Some(ListenAt::Unix { path, mode, group }) = new.as_ref().filter(|_| old != new)
            {
                admit(path, *mode, *group)
                    .map_err(|error| refused(&path.display().to_string(), &error))?;
            }
            next.file = self.file.take();
        }
        Ok(())
    }
}

/// Takes a socket that was bound elsewhere.
pub(crate) fn handed(
    handed: Handed,
    allow_from: &[Network],
) -> Result<(Bound, Listener), StartError> {
    let name = handed.name;
    let (place, listener) = match handed.socket {
        HandedSocket::Tcp(socket) => {
            let address = socket.local_addr().map_err(StartError::system)?;
            if !is_loopback(address.ip()) && allow_from.is_empty() {
                return Err(StartError::setting(format_args!(
                    "other machines can reach the socket at {address} that was handed over; name \
                     the networks of its callers with --allow-from"
                )));
            }
            let port = TcpPort::from_listener(socket).map_err(StartError::system)?;
            let allowed = AllowedClients::of(allow_from.to_vec());
            (Place::Tcp(address), Listener::tcp(port).allow(allowed))
        }
        #[cfg(unix)]
        HandedSocket::Unix(socket) => {
            let address = socket.local_addr().map_err(StartError::system)?;
            let path = address.as_pathname().map(PathBuf::from).unwrap_or_default();
            let port = UnixPort::from_listener(socket).map_err(StartError::system)?;
            (Place::Unix(path), Listener::unix(port))
        }
    };
    let listener = listener.named(&name);
    let bound = Bound {
        config: None,
        place,
        closer: listener.closer(),
        socket: None,
        #[cfg(unix)]
        file: None,
    };
    Ok((bound, listener))
}

pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn refused(place: &str, error: &io::Error) -> StartError {
    StartError::system(format_args!("cannot listen on {place}: {error}"))
}

/// Lets so many connections be open that descriptors are left to ask the kernel who calls, and the
/// source: a caller that can't be looked up would be refused. With `raise`, raises the limit of
/// this process as far as it may; a program that it starts would inherit that.
pub(crate) fn permits(raise: bool) -> Arc<Semaphore> {
    let descriptors = descriptors(raise);
    let own = OWN_DESCRIPTORS.min(descriptors / 2);
    Arc::new(Semaphore::new(
        (descriptors - own).min(Semaphore::MAX_PERMITS),
    ))
}

#[cfg(unix)]
fn descriptors(raise: bool) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let most = if raise && setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    most.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

#[cfg(not(unix))]
fn descriptors(_: bool) -> usize {
    usize::MAX
}
