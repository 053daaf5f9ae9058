//! The other ways in: HTTPS with client certificates, and a Unix socket.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    path::PathBuf,
    sync::Arc,
};

use client::{Answer, connect, get, parse};
use gce_auth_emulator::{Emulator, Profile};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

const REQUEST: &[u8] =
    b"GET /computeMetadata/v1/instance HTTP/1.1\r\nHost: metadata.google.internal\r\n\
    Metadata-Flavor: Google\r\nConnection: close\r\n\r\n";

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn secure() -> Emulator {
    Emulator::builder()
        .https("127.0.0.1:0".parse().unwrap())
        .start()
        .unwrap()
}

/// Asks over TLS; `None` if the server did not want to speak.
fn ask(emulator: &Emulator, name: &str, client: Option<&str>) -> Option<Answer> {
    let mut roots = RootCertStore::empty();
    let root = emulator.root_certificate().unwrap();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        Some(pem) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(tls, connect(emulator.https_addr().unwrap()));
    stream.write_all(REQUEST).ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then(|| parse(&answer))
}

#[test]
fn https_serves_who_shows_the_certificate() {
    let emulator = secure();
    let pem = emulator.client_certificate().unwrap();
    for name in ["metadata.google.internal", "169.254.169.254", "127.0.0.1"] {
        let answer = ask(&emulator, name, Some(pem)).unwrap();
        assert_eq!(answer.status, 301, "{name}");
        assert_eq!(
            answer.header("Location"),
            Some("https://metadata.google.internal/computeMetadata/v1/instance/")
        );
    }
    assert!(ask(&emulator, "localhost", None).is_none());
    let stranger = secure();
    let foreign = stranger.client_certificate().unwrap();
    assert!(ask(&emulator, "localhost", Some(foreign)).is_none());
    assert_eq!(get(emulator.addr(), "instance/id").status, 200);
}

#[test]
fn the_certificates_are_written_as_the_guest_agent_writes_them() {
    let directory = Directory::new("certificates");
    let emulator = secure();
    emulator.write_certificates(&directory.0).unwrap();
    let read = |name: &str| std::fs::read_to_string(directory.0.join(name)).unwrap();
    assert_eq!(read("root.crt"), emulator.root_certificate().unwrap());
    assert_eq!(read("client.key"), emulator.client_certificate().unwrap());
    assert!(read("client.key").starts_with("-----BEGIN CERTIFICATE-----"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(directory.0.join("client.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(
        emulator
            .write_certificates(directory.0.join("missing"))
            .is_err()
    );
    assert!(!format!("{emulator:?}").contains("PRIVATE"));
}

#[test]
fn a_shielded_machine_has_its_certificate_in_the_tree_and_in_files() {
    let directory = Directory::new("shielded");
    std::fs::write(directory.0.join("client.key"), "old").unwrap();
    let emulator = Emulator::builder()
        .profile(Profile::Shielded)
        .certificates_directory(&directory.0)
        .start()
        .unwrap();
    let pem = std::fs::read_to_string(directory.0.join("client.key")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(directory.0.join("client.key")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    let answer = ask(&emulator, "metadata.google.internal", Some(&pem)).unwrap();
    assert_eq!(answer.status, 301);

    let path = "instance/credentials/mds-client-certificate";
    let sealed = get(emulator.addr(), path).json();
    assert!(sealed["encrypted_credentials"].is_string());
    assert!(sealed["key_import_blob"]["duplicate"].is_string());
    let listing = get(emulator.addr(), "instance/credentials/");
    assert_eq!(listing.text(), "mds-client-certificate\n");
    let all = get(emulator.addr(), "?recursive=true");
    assert!(!all.text().contains("redentials"), "{}", all.text());

    let missing = Emulator::builder()
        .profile(Profile::Shielded)
        .certificates_directory(directory.0.join("missing"))
        .start();
    assert!(missing.unwrap_err().to_string().contains("certificates"));
    let plain = Emulator::builder().start().unwrap();
    assert_eq!(get(plain.addr(), path).status, 404);
    assert_eq!(plain.https_addr(), None);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_the_same_tree_and_leaves_no_file() {
    use std::os::unix::net::UnixStream;
    let directory = Directory::new("socket");
    let path = directory.0.join("metadata.sock");
    let emulator = Emulator::builder().unix_socket(&path).start().unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).status, 301);
    assert_eq!(emulator.request_count("/computeMetadata/v1/instance"), 1);

    let taken = Emulator::builder().unix_socket(&path).start().unwrap_err();
    assert!(taken.is_address());
    drop(emulator);
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_for_its_owner_and_replaces_only_the_dead() {
    use std::{
        fs,
        os::unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
        time::Duration,
    };
    let directory = Directory::new("sockets");
    let path = directory.0.join("metadata.sock");
    let start = || Emulator::builder().unix_socket(&path).start();
    let answers = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(REQUEST).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse(&answer).status
    };
    // Killed, it leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = start().unwrap();
    assert_eq!(answers(), 301);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(start().unwrap_err().is_address());

    // Another that lives, emulator or not.
    drop(first);
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
    let stranger = UnixListener::bind(&path).unwrap();
    let why = start().unwrap_err();
    assert!(
        why.is_address() && why.to_string().contains("a server lives there"),
        "{why}"
    );
    drop(stranger);
    fs::remove_file(&path).unwrap();
    let cold = Emulator::builder()
        .refuse_for(Duration::from_secs(3600))
        .unix_socket(&path);
    let cold = cold.start().unwrap();
    assert!(UnixStream::connect(&path).is_err());
    assert!(start().unwrap_err().is_address());
    drop(cold);

    // A file that is no socket is not removed.
    fs::write(&path, "mine").unwrap();
    assert!(start().unwrap_err().is_address());
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::remove_file(&path).unwrap();

    // Where all files were removed, the next server's file stays when this one ends.
    let before = start().unwrap();
    fs::remove_file(&path).unwrap();
    fs::remove_file(directory.0.join("metadata.sock.lock")).unwrap();
    let after = start().unwrap();
    drop(before);
    assert_eq!(answers(), 301);
    assert!(start().unwrap_err().is_address());
    drop(after);
    assert!(!path.exists());
}
