//! The process inside: it moves into namespaces of its own, opens their sockets for the process
//! outside, and becomes the program.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, ExitCode},
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt::set_socket_reuseaddr,
};

use super::{
    handover::{self, Subject},
    loopback, machine, mounts,
    namespaces::{self, Refused},
    network::Network,
    view::View,
};
use crate::{cmd::exec::program, output::Output};

/// The exit code where isolation fails, as `env`, `nohup` and `timeout` have it for themselves.
pub(super) const UNABLE: u8 = 125;

/// Becomes the program, in namespaces that show this view and have this network. Its standard input
/// is a socket, by which the process outside sends the program's.
pub(super) fn become_program(
    command: &[OsString],
    view: View<'_>,
    network: &Network,
    out: &Output,
) -> ExitCode {
    let socket = io::stdin();
    let input = match prepare(&socket, view, network, out) {
        Ok(Some(input)) => input,
        // The process outside is gone, or has said what is wrong.
        Ok(None) => return UNABLE.into(),
        Err(refused) => return out.fail_as(UNABLE, &refused.explain()),
    };
    if let Err(error) = rustix::stdio::dup2_stdin(input) {
        return out.fail_as(UNABLE, &format!("cannot pass standard input on: {error}"));
    }
    let (name, arguments) = command.split_first().unzip();
    let name = name.cloned().unwrap_or_default();
    let error = Command::new(&name)
        .args(arguments.unwrap_or_default())
        .exec();
    program::cannot_run(&name, &error, out)
}

/// Prepares all, and returns the standard input of the program once it is served.
fn prepare(
    socket: impl AsFd,
    view: View<'_>,
    network: &Network,
    out: &Output,
) -> Result<Option<OwnedFd>, Refused> {
    let step = |step| move |error| Refused { step, error };
    let Some((Subject::Input, Some(input))) =
        handover::receive(&socket).map_err(step("receive"))?
    else {
        return Ok(None);
    };
    namespaces::enter()?;
    mounts::detach().map_err(step("mount /"))?;
    loopback::bring_up(machine::METADATA).map_err(step("bring up loopback"))?;
    for missing in view.show().map_err(step("mount /etc/hosts"))? {
        out.detail(missing);
    }
    let open = |subject, address| {
        let listener = open(address, subject).map_err(step("listen"))?;
        handover::send(&socket, subject, Some(listener.as_fd())).map_err(step("send"))
    };
    let metadata = |port| SocketAddr::from((machine::METADATA, port));
    open(Subject::Metadata, metadata(80))?;
    if view.https {
        open(Subject::Https, metadata(443))?;
    }
    if view.apis {
        open(Subject::Apis, (machine::APIS, 443).into())?;
    }
    for port in network.ports() {
        open(Subject::Port(port), (Ipv4Addr::LOCALHOST, port).into())?;
        // There may be no IPv6.
        let _ = open(Subject::Port(port), (Ipv6Addr::LOCALHOST, port).into());
    }
    handover::send(&socket, Subject::Done, None).map_err(step("send"))?;
    let done = handover::receive(&socket).map_err(step("receive"))?;
    Ok(done.map(|_| input))
}

/// Binds a socket. It listens once it is served, except for relayed ports.
fn open(address: SocketAddr, subject: Subject) -> io::Result<OwnedFd> {
    if let Subject::Port(_) = subject {
        return TcpListener::bind(address).map(OwnedFd::from);
    }
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}
