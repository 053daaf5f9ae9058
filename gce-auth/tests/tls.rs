//! HTTPS: whom this system trusts is asked, and nobody else.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use gce_auth::{Credentials, Signer};
use gce_auth_emulator::Emulator;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use support::{
    emulator,
    process::{TASK, child, heard, says},
};

const LIMIT: Duration = Duration::from_secs(60);

/// An IAM API over TLS, at a port of the loopback, and its certificate in PEM.
struct Api {
    port: u16,
    certificate: String,
}

impl Api {
    fn start() -> Self {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let stream = StreamOwned::new(connection, stream.unwrap());
                thread::spawn(move || answer(BufReader::new(stream)));
            }
        });
        Self {
            port,
            certificate: cert.pem(),
        }
    }
}

/// Answers every request of one connection with the number that it has on it.
fn answer<S: Read + Write>(mut stream: BufReader<S>) -> Option<()> {
    for number in 1u8.. {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).ok()?;
        let body = format!(r#"{{"keyId":"key-{number}","signedBlob":"AQID"}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let connection = stream.get_mut();
        connection.write_all((head + &body).as_bytes()).ok()?;
        connection.flush().ok()?;
    }
    None
}

/// What a child says that signs twice at `host` and trusts what is in `file`.
fn signs(emulator: &Emulator, api: &Api, host: &str, file: &PathBuf) -> Vec<String> {
    signs_as("in_a_process_of_its_own", emulator, api, host, file)
}

fn signs_as(
    child_test: &str,
    emulator: &Emulator,
    api: &Api,
    host: &str,
    file: &PathBuf,
) -> Vec<String> {
    let url = format!("https://{host}:{}", api.port);
    let mut command = child(&[], child_test, &url);
    command
        .env("SSL_CERT_FILE", file)
        .env_remove("SSL_CERT_DIR");
    command.envs(emulator.env());
    heard(command, LIMIT)
}

fn written(name: &str, pem: &str) -> PathBuf {
    let name = format!("{name}-{}.pem", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, pem).unwrap();
    file
}

#[test]
#[ignore = "run by the tests below, in an environment of its own"]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is how a child is told what to do"
)]
fn in_a_process_of_its_own() {
    let url = std::env::var(TASK).unwrap();
    let credentials = Credentials::builder().build().unwrap();
    let builder = Signer::builder().credentials(credentials);
    let signer = builder.iam_endpoint(url).build().unwrap();
    for _ in 0..2 {
        let said = match signer.blocking_sign_bytes(b"bytes") {
            Ok(signature) => signature.key_id().to_owned(),
            Err(error) => format!("{:?} after {}: {error}", error.kind(), error.attempts()),
        };
        println!("{}", says(&said));
    }
}

/// Another crate of the program has made a provider the default of the process,
/// with which no connection can be made.
#[test]
#[ignore = "run by a test below, in an environment of its own"]
fn beside_a_default_that_can_do_nothing() {
    let mut none = aws_lc_rs::default_provider();
    none.cipher_suites.clear();
    none.kx_groups.clear();
    none.install_default().unwrap();
    in_a_process_of_its_own();
}

#[test]
fn the_default_provider_of_the_process_is_not_used() {
    let (emulator, api) = (emulator(), Api::start());
    let file = written("no-default", &api.certificate);
    let child = "beside_a_default_that_can_do_nothing";
    let said = signs_as(child, &emulator, &api, "localhost", &file);
    assert_eq!(said, ["key-1", "key-2"]);
}

#[test]
fn whom_this_system_trusts_is_asked_on_one_connection() {
    let (emulator, api) = (emulator(), Api::start());
    let file = written("trusted", &api.certificate);
    let said = signs(&emulator, &api, "localhost", &file);
    assert_eq!(said, ["key-1", "key-2"]);
}

#[test]
fn whom_it_does_not_trust_is_not() {
    let (emulator, api) = (emulator(), Api::start());
    let trusted = written("own", &api.certificate);
    let other = written("other", &Api::start().certificate);
    let nothing = written("nothing", "");
    for (host, file, why) in [
        ("localhost", &other, "certificate"),
        ("127.0.0.1", &trusted, "certificate"),
        ("localhost", &nothing, "no certificates to trust"),
    ] {
        for said in signs(&emulator, &api, host, file) {
            assert!(said.starts_with("Tls after 1: "), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }
}
