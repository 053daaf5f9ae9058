//! Sockets that were bound elsewhere: the metadata server, and the APIs at their own names.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use client::parse;
use gce_auth_emulator::{API_HOSTS, Emulator};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

fn ask(mut stream: impl Read + Write, host: &str, path: &str) -> client::Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server may end TLS without a word.
    let _ = stream.read_to_end(&mut answer);
    parse(&answer)
}

#[test]
fn every_client_of_a_private_socket_gets_real_tokens() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let emulator = Emulator::builder()
        .token_source(|_, _| Ok(("ya29.real".to_owned(), Duration::from_secs(3600))))
        .private_listener(socket)
        .start()
        .unwrap();
    assert_eq!(emulator.addr(), address);
    let stream = TcpStream::connect(address).unwrap();
    let answer = ask(stream, "metadata.google.internal", TOKEN);
    assert_eq!(answer.status, 200);
    assert_eq!(emulator.apis_root_certificate(), None);
}

#[test]
fn a_private_socket_that_does_not_listen_yet_refuses_at_first() {
    let socket = silent_socket();
    let address = socket.local_addr().unwrap();
    let emulator = Emulator::builder()
        .refuse_for(Duration::from_secs(60))
        .private_listener(socket)
        .start()
        .unwrap();
    assert!(TcpStream::connect(address).is_err());
    emulator.advance(Duration::from_secs(61));
    // It listens as soon as its thread runs.
    let stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) => std::thread::yield_now(),
        }
    };
    assert_eq!(ask(stream, "metadata", TOKEN).status, 200);
}

#[test]
fn the_apis_have_a_certificate_for_each_of_their_names() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let emulator = Emulator::builder()
        .private_apis_listener(socket)
        .start()
        .unwrap();
    let root = emulator.apis_root_certificate().unwrap();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let connect = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        StreamOwned::new(tls, TcpStream::connect(address).unwrap())
    };
    for name in API_HOSTS {
        let answer = ask(connect(name), name, "/oauth2/v3/certs");
        assert_eq!(answer.status, 200, "{name}");
    }
    assert!(connect("storage.googleapis.com").write_all(b"GET").is_err());
}

/// A socket with an address that does not listen.
fn silent_socket() -> TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    TcpListener::from(socket)
}
