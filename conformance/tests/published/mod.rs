//! The keys that forged tokens are signed with, published as an issuer does: a JWK set and
//! certificates, over HTTP.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::json;

use super::forge;

/// A server of keys, until it is dropped.
#[derive(Debug)]
pub(crate) struct Published {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Published {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let over = Arc::new(AtomicBool::new(false));
        let (jwks, certificates) = (forge::jwks(), certificates());
        let ended = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away in between asks again.
                let _ = answer(&stream, &jwks, &certificates);
            }
        });
        Self {
            address,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn jwks_url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    pub(crate) fn certs_url(&self) -> String {
        format!("http://{}/certs", self.address)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: &TcpStream, jwks: &str, certificates: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match first.split(' ').nth(1) {
        Some("/jwks") => ("200 OK", jwks),
        Some("/certs") => ("200 OK", certificates),
        _ => ("404 Not Found", "{}"),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: public, max-age=3600\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The two keys that can be in a certificate, each in one that it signed itself.
fn certificates() -> String {
    let [rsa, ec] = forge::pkcs8();
    let pem = |der: Vec<u8>, algorithm| {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), algorithm);
        let key = key.expect("the key is one of this algorithm");
        let certificate = CertificateParams::default().self_signed(&key);
        certificate.expect("a key signs").pem()
    };
    json!({
        "rsa": pem(rsa, &PKCS_RSA_SHA256),
        "ec": pem(ec, &PKCS_ECDSA_P256_SHA256),
    })
    .to_string()
}
