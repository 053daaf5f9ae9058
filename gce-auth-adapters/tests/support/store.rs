//! A Cloud Storage on loopback, as far as clients need it to put, get and sign: it takes valid
//! tokens of the emulator, and URLs signed by the emulator's IAM.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use aws_lc_rs::digest;
use gce_auth::Signer;
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};

use super::{
    Scene,
    api::{Api, Reply, Seen, serve},
    exchange, is_valid,
};

/// Starts the store. Its bucket is named `bucket`.
pub fn start(scene: &Scene) -> Api {
    let emulator = scene.emulator.addr();
    let signer = Signer::builder().credentials(scene.ours.clone());
    let signer = signer.iam_endpoint(scene.emulator.url()).build().unwrap();
    let objects = Mutex::new(HashMap::new());
    Api::start(move |seen, _| {
        let signed = seen.target.contains("X-Goog-Signature=");
        let allowed = match seen.token() {
            Some(token) => is_valid(emulator, token),
            None => signed && is_signed(seen, &signer),
        };
        match allowed {
            true => answer(seen, &mut objects.lock().unwrap()),
            false if signed => Reply::json(403, "{}"),
            false => Reply::json(401, "{}"),
        }
    })
}

fn answer(seen: &Seen, objects: &mut HashMap<String, Vec<u8>>) -> Reply {
    let name = match seen.query().into_iter().find(|(name, _)| *name == "name") {
        Some((_, name)) => name,
        None => seen.path().rsplit('/').next().unwrap(),
    };
    let body = match seen.method.as_str() {
        "PUT" | "POST" => {
            objects.insert(name.to_owned(), seen.body.clone());
            // The JSON API answers with what it knows of the object.
            let size = seen.body.len();
            let known = format!(
                r#"{{"name":"{name}","bucket":"bucket","generation":"1","etag":"1","size":"{size}","updated":"2024-01-01T00:00:00Z"}}"#
            );
            known.into_bytes()
        }
        _ => match objects.get(name) {
            Some(object) => object.clone(),
            None => return Reply::json(404, "{}"),
        },
    };
    let headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        ("etag", "\"1\"".to_owned()),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT".to_owned()),
        ("x-goog-generation", "1".to_owned()),
    ];
    Reply {
        status: 200,
        headers,
        body,
    }
}

/// Whether the URL of this request is signed by the account of the emulator, as "V4 signing
/// process" of Cloud Storage says. The emulator signs the same text the same way each time.
fn is_signed(seen: &Seen, signer: &Signer) -> bool {
    let mut query = seen.query();
    let value = |wanted: &str| {
        query
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| decoded(value))
    };
    let (Some(credential), Some(date), Some(signature)) = (
        value("X-Goog-Credential"),
        value("X-Goog-Date"),
        value("X-Goog-Signature"),
    ) else {
        return false;
    };
    let (_, scope) = credential.split_once('/').unwrap();
    query.retain(|(name, _)| *name != "X-Goog-Signature");
    query.sort_unstable();
    let pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // object_store signs Google's host whatever the base URL is.
    let hosts = ["storage.googleapis.com", seen.header("host").unwrap()];
    hosts.iter().any(|host| {
        let request = format!(
            "{}\n{}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
            seen.method,
            seen.path(),
            pairs.join("&")
        );
        let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{hash}");
        let expected = signer
            .blocking_sign_bytes(text.as_bytes())
            .unwrap()
            .into_bytes();
        hex(&expected).eq_ignore_ascii_case(&signature)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn decoded(value: &str) -> String {
    value.replace("%2F", "/").replace("%40", "@")
}

/// Sends a request without a token to a signed URL; returns the answer.
pub async fn fetch(method: &str, url: &str, body: &str) -> String {
    let (host, target) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let request = format!(
        "{method} /{target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = host.parse().unwrap();
    tokio::task::spawn_blocking(move || exchange(address, request.as_bytes()))
        .await
        .unwrap()
}

/// A proxy that is every HTTPS host itself and asks the emulator, or another server for its host,
/// as these clients know Google by its names alone.
pub struct Proxy {
    pub url: String,
    /// The certificate to trust, PEM.
    pub certificate: String,
}

impl Proxy {
    pub fn start(scene: &Scene) -> Self {
        Self::with(scene, &[])
    }

    /// Starts a proxy that asks these servers for these hosts.
    pub fn with(scene: &Scene, others: &[(&'static str, SocketAddr)]) -> Self {
        let names = ["iamcredentials.googleapis.com"].into_iter();
        let names = names.chain(others.iter().map(|(name, _)| *name));
        let names: Vec<_> = names.map(str::to_owned).collect();
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![own.cert.der().clone()], key.into());
        let config = Arc::new(config.unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let emulator = scene.emulator.addr();
        let others: Arc<[_]> = others.into();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, config) = (stream.unwrap(), Arc::clone(&config));
                let others = Arc::clone(&others);
                let server = move |host: &str| {
                    let other = others.iter().find(|(name, _)| *name == host);
                    other.map_or(emulator, |(_, address)| *address)
                };
                thread::spawn(move || tunnel(stream, config, &server));
            }
        });
        Self {
            url,
            certificate: own.cert.pem(),
        }
    }
}

/// Headers of answers that clients need.
const PASSED_ON: [&str; 4] = ["content-type", "etag", "last-modified", "x-goog-generation"];

fn tunnel(mut stream: TcpStream, config: Arc<ServerConfig>, server: &dyn Fn(&str) -> SocketAddr) {
    // The client waits for the answer before it sends more.
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let connection = ServerConnection::new(config).unwrap();
    let forward = |seen: &Seen, _: usize| {
        let mut request = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            seen.method, seen.target
        );
        for (name, value) in seen
            .headers
            .iter()
            .filter(|(name, _)| *name != "connection")
        {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = format!("{request}\r\n").into_bytes();
        bytes.extend(&seen.body);
        let host = seen.header("host").unwrap_or_default();
        let answer = exchange(server(host), &bytes);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let headers = head.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let known = PASSED_ON
                .iter()
                .find(|known| name.eq_ignore_ascii_case(known))?;
            Some((*known, value.to_owned()))
        });
        Reply {
            status: head[9..12].parse().unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    };
    serve(
        StreamOwned::new(connection, stream),
        &Mutex::default(),
        &forward,
    );
}
