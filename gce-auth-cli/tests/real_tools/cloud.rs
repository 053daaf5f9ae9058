//! Servers of Google on loopback, for tools that are not changed: a proxy takes their connections
//! to any host to a server with a certificate of a CA of its own.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The hosts that the certificate is for.
const HOSTS: [&str; 9] = [
    "127.0.0.1",
    "source.developers.google.com",
    "storage.googleapis.com",
    "us-docker.pkg.dev",
    "us-go.pkg.dev",
    "us-maven.pkg.dev",
    "us-npm.pkg.dev",
    "us-python.pkg.dev",
    "crates.example",
];

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The host that the client connected to, through the proxy.
    pub(crate) host: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// An answer: status, type, body.
pub(crate) type Answer = (u16, &'static str, Vec<u8>);

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// The servers, until the process ends.
pub(crate) struct Cloud {
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Cloud {
    pub(crate) fn start(
        folder: &Path,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let ca = folder.join("ca.pem");
        let config = Arc::new(certificate(&ca));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
                let (stream, handler) = (stream.unwrap(), Arc::clone(&handler));
                // A client that goes away is none of the test's business.
                thread::spawn(move || connection(stream, config, &seen, &*handler));
            }
        });
        Self {
            address,
            ca,
            requests,
        }
    }

    pub(crate) fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn certificate(ca_file: &Path) -> ServerConfig {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    // OpenSSL takes a certificate that is issued by its own name for self-signed.
    ca.distinguished_name
        .push(DnType::CommonName, "the CA of a test");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    fs::write(ca_file, pem).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(HOSTS.map(str::to_owned)).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap()
}

fn connection(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> io::Result<()> {
    let mut first = [0];
    stream.peek(&mut first)?;
    if first[0] == 0x16 {
        return serve(secured(stream, config)?, "127.0.0.1", seen, handler);
    }
    // Byte by byte, so that nothing of what follows CONNECT is taken away.
    let mut head = Vec::new();
    let mut byte = [0];
    let mut stream = stream;
    if !peeks_connect(&stream)? {
        return serve(stream, "127.0.0.1", seen, handler);
    }
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let host = target.split(':').next().unwrap_or_default().to_owned();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    serve(secured(stream, config)?, &host, seen, handler)
}

fn peeks_connect(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; 8];
    Ok(stream.peek(&mut start)? == start.len() && &start == b"CONNECT ")
}

fn secured(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Serves requests until the client closes.
fn serve(
    stream: impl Read + Write,
    host: &str,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let request = Request {
            host: host.to_owned(),
            path,
            headers,
        };
        let length = request
            .header("content-length")
            .and_then(|text| text.parse().ok());
        io::copy(
            &mut (&mut stream).take(length.unwrap_or(0)),
            &mut io::sink(),
        )?;
        let (status, kind, body) = handler(&request);
        seen.lock().unwrap().push(request);
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             WWW-Authenticate: Basic realm=\"google\"\r\nApi-Version: 1.43\r\n\r\n",
            body.len()
        );
        let stream = stream.get_mut();
        stream.write_all(head.as_bytes())?;
        if method != "HEAD" {
            stream.write_all(&body)?;
        }
        stream.flush()?;
    }
}
