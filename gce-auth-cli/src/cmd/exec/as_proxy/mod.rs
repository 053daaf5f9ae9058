//! `gce-auth exec --as-proxy`: the emulator as the HTTP proxy of a program, for systems without
//! namespaces. It forwards to the metadata server and, if wished, to the APIs beside it alone.

mod head;

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use gce_auth_emulator::{API_HOSTS, Emulator, EmulatorBuilder};

use self::head::Asked;
use super::{relay, trust};
use crate::{
    env,
    exit::{Exit, Failure},
    options::start_emulator,
    temporary::TemporaryDirectory,
};

/// The names and addresses of the metadata server.
const METADATA: [&str; 5] = [
    "169.254.169.254",
    "metadata.google.internal",
    "metadata",
    "metadata.goog",
    "[fd20:ce::254]",
];

/// The variables that name a proxy.
const VARIABLES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_HEAD: usize = 64 * 1024;

/// An emulator behind a proxy of its own.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) emulator: Emulator,
    proxy: SocketAddr,
    /// The certificates to trust, as long as the program runs.
    trusted: Option<TemporaryDirectory>,
}

/// The sockets that the proxy leads to.
#[derive(Clone, Copy, Debug)]
struct Targets {
    metadata: SocketAddr,
    https: Option<SocketAddr>,
    apis: Option<SocketAddr>,
}

/// Starts the emulator and its proxy. With `apis`, the APIs are at their own names.
pub(super) fn start(builder: EmulatorBuilder, apis: bool) -> Result<Proxied, Failure> {
    let listen = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let listen = || listen().map_err(cannot("listen on 127.0.0.1"));
    let (builder, apis) = if apis {
        let (listener, address) = listen()?;
        (builder.private_apis_listener(listener), Some(address))
    } else {
        (builder, None)
    };
    let emulator = start_emulator(builder)?;
    let trusted = emulator.apis_root_certificate().map(|root| {
        let directory = TemporaryDirectory::new()?;
        let all = trust::trusted(env::var) + "\n" + root;
        fs::write(bundle(&directory), all)?;
        Ok(directory)
    });
    let trusted = trusted.transpose().map_err(cannot("write certificates"))?;
    let targets = Targets {
        metadata: emulator.addr(),
        https: emulator.https_addr(),
        apis,
    };
    let (listener, proxy) = listen()?;
    let serve = move |client: &TcpStream| {
        // A client that left, or never asked.
        let _ = serve(client, targets);
    };
    relay::accept(listener, serve, |_| {}).map_err(cannot("start the proxy"))?;
    Ok(Proxied {
        emulator,
        proxy,
        trusted,
    })
}

impl Proxied {
    /// Returns the variables of the program. An empty list of exceptions is none.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let proxy = format!("http://{}", self.proxy);
        let mut variables = self.emulator.env();
        let mut set = |name: &str, value: &str| variables.push((name.into(), value.into()));
        VARIABLES.iter().for_each(|name| set(name, &proxy));
        ["no_proxy", "NO_PROXY"]
            .iter()
            .for_each(|name| set(name, ""));
        if let Some(directory) = &self.trusted {
            let file = bundle(directory);
            let file = file.to_string_lossy();
            trust::NAMES.iter().for_each(|name| set(name, &file));
        }
        variables
    }
}

fn bundle(directory: &TemporaryDirectory) -> PathBuf {
    Path::join(directory.path(), "ca-bundle.pem")
}

/// Answers one request, or carries one tunnel.
fn serve(mut client: &TcpStream, targets: Targets) -> io::Result<()> {
    client.set_read_timeout(Some(HEAD_TIMEOUT))?;
    let mut bytes = Vec::new();
    let length = loop {
        if let Some(length) = head::length(&bytes) {
            break length;
        }
        let mut more = [0; 8192];
        let read = client.read(&mut more)?;
        if read == 0 || bytes.len() > MOST_HEAD {
            return Ok(());
        }
        bytes.extend_from_slice(&more[..read]);
    };
    client.set_read_timeout(None)?;
    let (head, body) = bytes.split_at(length);
    let asked = head::read(head);
    match &asked {
        Some(Asked::Tunnel(host, port)) => {
            let Some(target) = targets.find(host, *port) else {
                return refuse(client, &format!("{host}:{port}"));
            };
            let mut server = TcpStream::connect(target)?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            server.write_all(body)?;
            relay::both_ways(client, &server);
        }
        Some(Asked::Forward(host, port, forwarded)) => {
            let Some(target) = targets.find(host, *port) else {
                return refuse(client, &format!("{host}:{port}"));
            };
            let mut server = TcpStream::connect(target)?;
            server.write_all(forwarded)?;
            server.write_all(body)?;
            relay::until_the_server_ends(client, &server);
        }
        None => refuse(client, "what is no URL of http")?,
    }
    Ok(())
}

impl Targets {
    fn find(self, host: &str, port: u16) -> Option<SocketAddr> {
        if host
            .parse()
            .is_ok_and(|ip| SocketAddr::new(ip, port) == self.metadata)
        {
            return Some(self.metadata);
        }
        match port {
            80 if METADATA.contains(&host) => Some(self.metadata),
            443 if METADATA.contains(&host) => self.https,
            443 if API_HOSTS.contains(&host) => self.apis,
            _ => None,
        }
    }
}

fn refuse(mut client: &TcpStream, target: &str) -> io::Result<()> {
    let why = format!(
        "gce-auth exec --as-proxy forwards to the metadata server and, with --cloud, to IAM, STS and \
         OAuth, not to {target}\n"
    );
    let length = why.len();
    let answer = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{why}"
    );
    client.write_all(answer.as_bytes())
}

fn cannot(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_emulator_is_a_target() {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let targets = Targets {
            metadata: at(1),
            https: None,
            apis: Some(at(3)),
        };
        for (host, port, found) in [
            ("metadata.google.internal", 80, Some(at(1))),
            ("169.254.169.254", 80, Some(at(1))),
            ("127.0.0.1", 1, Some(at(1))),
            ("sts.googleapis.com", 443, Some(at(3))),
            ("metadata.google.internal", 443, None),
            ("metadata.google.internal", 8080, None),
            ("sts.googleapis.com", 80, None),
            ("storage.googleapis.com", 443, None),
            ("127.0.0.1", 22, None),
            ("example.com", 80, None),
        ] {
            assert_eq!(targets.find(host, port), found, "{host}:{port}");
        }
    }
}
