//! HTTPS to the metadata server with the certificates that the guest agent
//! leaves on the disk.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use gce_auth::{Credentials, Error, MetadataClient, RetryPolicy, transport::HttpTransport};
use gce_auth_emulator::Emulator;
use support::{
    process::{TASK, child, heard, says},
    told,
};

const NOBODY: &str = "127.0.0.1:1";

fn emulator() -> Emulator {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Emulator::builder()
        .project_id("secured")
        .https(any)
        .start()
        .unwrap()
}

/// A folder with the certificates of `emulator`, or with none.
fn folder(name: &str, emulator: Option<&Emulator>) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("mtls-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    if let Some(emulator) = emulator {
        emulator.write_certificates(&folder).unwrap();
    }
    folder
}

/// Forwards connections to `server`, and counts them.
fn counting(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming() {
            counted.fetch_add(1, SeqCst);
            let client = client.unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut to));
            let (mut from, mut to) = (server, client);
            thread::spawn(move || io::copy(&mut from, &mut to));
        }
    });
    (address, count)
}

/// What a child says in this mode: of HTTPS at `https`, of HTTP at `http`.
fn run(task: &str, mode: &str, folder: &Path, https: &str, http: &str) -> Vec<String> {
    let task = format!("{task} {https} {http} {}", folder.display());
    let mut command = child(&[], "in_a_process_of_its_own", &task);
    command.env("GCE_METADATA_MTLS_MODE", mode);
    heard(command, Duration::from_secs(60))
}

fn tell<T: std::fmt::Display>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(value) => value.to_string(),
        Err(error) => format!("{} {error}", error.kind().name()),
    }
}

#[test]
#[ignore = "the part of a child process"]
fn in_a_process_of_its_own() {
    let Some(task) = told(TASK) else { return };
    let words: Vec<&str> = task.splitn(4, ' ').collect();
    let [task, https, http, folder] = words[..] else {
        unreachable!("{task}")
    };
    let transport = HttpTransport::new()
        .resolve("169.254.169.254:443", https)
        .unwrap()
        .resolve("169.254.169.254:80", http)
        .unwrap();
    let client = MetadataClient::builder()
        .transport(Arc::new(transport))
        .retry(RetryPolicy::new().attempts(1))
        .dmi_product_name_file("/nonexistent")
        .endpoint("169.254.169.254")
        .mtls_dir(folder)
        .build()
        .unwrap();
    println!("{}", says(&tell(client.blocking_project_id())));
    match task {
        "ask" => {}
        "ask-more" => {
            let credentials = Credentials::builder()
                .client(client.clone())
                .build()
                .unwrap();
            assert!(
                credentials
                    .blocking_token()
                    .unwrap()
                    .secret()
                    .starts_with("ya29.")
            );
            let mut watch = client.watch("instance/tags");
            assert!(watch.blocking_next().unwrap().value().is_some());
            let soon = Duration::from_millis(100);
            assert_eq!(watch.blocking_next_within(soon).unwrap(), None);
            drop(watch);
            assert_eq!(client.blocking_project_id().unwrap(), "secured");
        }
        "ask-again" => {
            let renewed = Path::new(folder).join("renewed");
            for name in ["root.crt", "client.key"] {
                fs::copy(renewed.join(name), Path::new(folder).join(name)).unwrap();
            }
            println!("{}", says(&tell(client.blocking_project_id())));
        }
        "ask-thrice" => {
            for _ in 0..3 {
                client.blocking_get("instance/id").unwrap();
            }
        }
        "ask-with-another" => {
            // The same certificate, in another file.
            let file = Path::new(folder).join("client.key");
            let renewed = format!("{}\n# renewed\n", fs::read_to_string(&file).unwrap());
            let written = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, renewed).unwrap();
            let file = fs::File::options().write(true).open(&file).unwrap();
            file.set_modified(written + Duration::from_secs(10))
                .unwrap();
            client.blocking_get("instance/id").unwrap();
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn with_certificates_everything_goes_over_https() {
    let emulator = emulator();
    let https = emulator.https_addr().unwrap().to_string();
    let folder = folder("all", Some(&emulator));
    for mode in ["strict", "default", "STRICT"] {
        assert_eq!(
            run("ask-more", mode, &folder, &https, NOBODY),
            ["secured"],
            "{mode}"
        );
    }
}

#[test]
fn strict_without_certificates_asks_nobody_and_default_asks_plainly() {
    let emulator = emulator();
    let https = emulator.https_addr().unwrap().to_string();
    let http = emulator.addr().to_string();
    let folder = folder("none", None);
    let refused = run("ask", "strict", &folder, &https, &http).remove(0);
    assert!(
        refused.starts_with("Tls ") && refused.contains("GCE_METADATA_MTLS_MODE"),
        "{refused}"
    );
    assert_eq!(emulator.requests(), []);
    for mode in ["default", "none"] {
        assert_eq!(
            run("ask", mode, &folder, &https, &http),
            ["secured"],
            "{mode}"
        );
    }
}

#[test]
fn default_falls_back_and_strict_does_not() {
    let (emulator, stranger) = (emulator(), emulator());
    let http = emulator.addr().to_string();
    let https = emulator.https_addr().unwrap().to_string();
    // Nobody is there; and whoever is there has not been vouched for.
    let of_others = folder("others", Some(&stranger));
    let own = folder("own", Some(&emulator));
    for (folder, https) in [(&own, NOBODY), (&of_others, &*https)] {
        assert_eq!(run("ask", "default", folder, https, &http), ["secured"]);
        let refused = run("ask", "strict", folder, https, &http).remove(0);
        assert!(
            refused.starts_with("Tls ") || refused.starts_with("Unavailable "),
            "{refused}"
        );
    }
}

#[test]
fn renewed_certificates_are_read_again() {
    let (emulator, stranger) = (emulator(), emulator());
    let https = emulator.https_addr().unwrap().to_string();
    let folder = folder("renewed", Some(&stranger));
    fs::create_dir_all(folder.join("renewed")).unwrap();
    emulator.write_certificates(folder.join("renewed")).unwrap();
    let said = run("ask-again", "strict", &folder, &https, NOBODY);
    assert!(said[0].starts_with("Tls "), "{}", said[0]);
    assert_eq!(said[1..], ["secured"]);
}

#[test]
fn connections_are_reused_by_requests_with_the_same_certificate_alone() {
    let emulator = emulator();
    for (task, connections) in [("ask-thrice", 1), ("ask-with-another", 2)] {
        let folder = folder(task, Some(&emulator));
        let (https, count) = counting(emulator.https_addr().unwrap());
        let said = run(task, "strict", &folder, &https.to_string(), NOBODY);
        assert_eq!(said, ["secured"], "{task}");
        assert_eq!(count.load(SeqCst), connections, "{task}");
    }
}
