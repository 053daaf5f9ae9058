//! Google's own libraries in five languages with each kind of credentials file that the emulator
//! writes: from the file to a token that the emulator knows, of the identity and with the claims
//! that this library's has with the same file.
//!
//! What a library takes from its built-in addresses, whatever the file says, runs in a namespace
//! where Google's names lead to the emulator. Each client runs once more under `gce-auth exec
//! --agent`, whose source the emulator is.

mod foreign;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gce_auth::{
    DefaultOptions, MetadataClient,
    transport::{HttpTransport, Limits, Transport as _},
};
use gce_auth_conformance::interop::{self, Client, Judge, Transcript, machine};
use gce_auth_emulator::{AdcKind, Emulator, User};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;

const TARGET: &str = "target@interop-project.iam.gserviceaccount.com";
const USER: &str = "ada@example.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const ALL: &str = "authorized_user service_account impersonated external_account";
/// Google's names that a library knows without a file.
const NAMES: [&str; 5] = [
    "oauth2.googleapis.com",
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "www.googleapis.com",
];

#[test]
fn python_takes_every_file_where_google_s_names_lead_here() {
    let client = interop::python(foreign::target(), "files.py");
    by_names("Python, files", client, "google-auth");
}

#[test]
fn node_takes_every_file_where_google_s_names_lead_here() {
    let client = interop::node(foreign::target(), "files.js");
    by_names("Node, files", client, "google-auth-library");
}

#[test]
fn go_takes_every_file_where_google_s_names_lead_here() {
    let client = interop::go(foreign::target());
    by_names("Go, files", client, "cloud.google.com/go/auth");
}

const JAVA: &str = "com.google.auth:google-auth-library-oauth2-http";

#[test]
fn java_takes_the_files_whose_addresses_it_honours() {
    let client = interop::java(foreign::target());
    let kinds = "authorized_user service_account impersonated";
    as_they_are("Java, files", client, JAVA, kinds);
}

/// Java takes no token endpoint without TLS: the file names that of Google.
#[test]
fn java_takes_a_workload_s_file_where_google_s_names_lead_here() {
    let Some(client) = interop::ready_or_skip(interop::java(foreign::target())) else {
        return;
    };
    let name = "Java, STS by its name";
    let trust = folder(name).join("trust.p12");
    let prepare = |folder: &Path| {
        let file = folder.join("external_account.json");
        let text = fs::read_to_string(&file).expect("the file was written");
        let mut document: Value = serde_json::from_str(&text).expect("it is JSON");
        document["token_url"] = "https://sts.googleapis.com/v1/token".into();
        fs::write(file, document.to_string()).expect("the folder was made");
        let _ = fs::remove_file(&trust);
        let made = Command::new("keytool")
            .args([
                "-importcert",
                "-noprompt",
                "-storepass",
                "changeit",
                "-alias",
                "a",
            ])
            .arg("-file")
            .arg(folder.join("authority.pem"))
            .arg("-keystore")
            .arg(&trust)
            .output()
            .expect("a JDK has keytool");
        assert!(made.status.success(), "{made:?}");
    };
    let options = format!(
        "-Djavax.net.ssl.trustStore={} -Djavax.net.ssl.trustStorePassword=changeit",
        trust.display()
    );
    let trusting = [("JAVA_TOOL_OPTIONS", options)];
    in_namespace(name, client, JAVA, "external_account", prepare, &trusting);
}

#[test]
fn rust_takes_every_file() {
    let client = interop::rust(foreign::target());
    as_they_are("Rust, files", client, "google-cloud-auth", ALL);
}

/// Runs a client with files alone.
fn as_they_are(
    language: &'static str,
    client: Result<Client, interop::Unavailable>,
    library: &'static str,
    kinds: &'static str,
) {
    let Some(client) = interop::ready_or_skip(client) else {
        return;
    };
    let folder = folder(language);
    let emulator = emulator(&folder);
    for client in foreign::without_and_with_agent(client) {
        let seen = foreign::run(&client, &emulator, &variables(&folder, kinds));
        judge(language, library, kinds, &emulator, &seen);
    }
}

/// Runs a client with every file, in a namespace.
fn by_names(
    language: &'static str,
    client: Result<Client, interop::Unavailable>,
    library: &'static str,
) {
    if let Some(client) = interop::ready_or_skip(client) {
        in_namespace(language, client, library, ALL, |_| {}, &[]);
    }
}

/// Runs a client in a namespace, where it trusts the test's authority.
fn in_namespace(
    language: &'static str,
    client: Client,
    library: &'static str,
    kinds: &'static str,
    prepare: impl FnOnce(&Path),
    more: &[(&'static str, String)],
) {
    let Some(runner) = interop::ready_or_skip(interop::namespace()) else {
        return;
    };
    let folder = folder(language);
    let emulator = emulator(&folder);
    let authority = certificates(&folder);
    prepare(&folder);
    let port = emulator.addr().port().to_string();
    let path = |name: &str| folder.join(name).into_os_string();
    let arguments = vec![
        "-B".into(),
        runner.into(),
        path("socket"),
        port.into(),
        path("server.pem"),
        path("server.key"),
    ];
    let mut variables = variables(&folder, kinds);
    for name in ["REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        variables.push((name, authority.to_string_lossy().into_owned()));
    }
    variables.extend_from_slice(more);
    for client in foreign::without_and_with_agent(client) {
        let client = client.under("python3", arguments.clone());
        let seen = foreign::run(&client, &emulator, &variables);
        judge(language, library, kinds, &emulator, &seen);
    }
}

/// What the emulator says of a token of this library, with the file of a kind.
fn ours(emulator: &Emulator, kind: &str) -> Value {
    let kind = AdcKind::ALL
        .into_iter()
        .find(|known| known.to_string() == kind)
        .expect("the kind is known");
    let file = emulator.adc(kind).expect("there is an account");
    let address = emulator.addr().to_string();
    let client = MetadataClient::builder().endpoint(&address).build();
    let options = DefaultOptions::new()
        .client(client.expect("it is an address"))
        .scopes([SCOPE])
        .trust_host(address);
    let found = options.load_json(&file).expect("the file is good");
    let token = found.credentials.blocking_token().expect("a token comes");
    let url = format!(
        "{}/tokeninfo?access_token={}",
        emulator.url(),
        token.secret()
    );
    let request = Request::get(url).body(Vec::new()).expect("it is a URL");
    let answer = HttpTransport::new().send(request, &Limits::new());
    serde_json::from_slice(answer.expect("it answers").body()).expect("it is JSON")
}

/// Who a token is of: what a client has shown of it. Scopes are not among it: for a user, only
/// Python and Rust send them, as this library does.
const IDENTITY: [&str; 6] = ["email", "email_verified", "sub", "principal", "aud", "azp"];

fn judge(
    language: &'static str,
    library: &'static str,
    kinds: &'static str,
    emulator: &Emulator,
    seen: &Transcript,
) {
    let mut judge = Judge::new(language, seen);
    judge.library(library);
    for kind in kinds.split(' ') {
        let info = &seen.step(kind)["info"];
        let ours = ours(emulator, kind);
        let shown: Vec<_> = IDENTITY
            .into_iter()
            .filter(|name| !info[name].is_null())
            .collect();
        assert!(!shown.is_empty(), "{language}: {kind}: {info}");
        for name in shown {
            assert_eq!(info[name], ours[name], "{language}: {kind}: {name}");
        }
        let email = match kind {
            "authorized_user" => Some(USER),
            "service_account" => Some(machine::EMAIL),
            "impersonated" => Some(TARGET),
            _ => None,
        };
        judge.holds(
            "access token",
            seen.step(kind)["token"]["length"].as_u64() > Some(40),
            || format!("{kind}: {}", seen.step(kind)),
        );
        let principal = info["principal"].as_str().unwrap_or_default();
        judge.finds(kind, &info["email"], email).holds(
            kind,
            principal.starts_with("principal://iam.googleapis.com/") == email.is_none(),
            || info.to_string(),
        );
    }
    judge.verdict();
}

fn emulator(folder: &Path) -> Emulator {
    let emulator = foreign::emulator()
        .set("universe/universe-domain", "googleapis.com")
        .user(User::new(USER, "client", "secret", "1//ada"))
        .service_account(TARGET)
        .unix_socket(folder.join("socket"))
        .start()
        .expect("an emulator starts");
    for kind in AdcKind::ALL {
        let text = emulator.adc(kind).expect("there is an account");
        fs::write(folder.join(format!("{kind}.json")), text).expect("the folder was made");
    }
    emulator
}

fn variables(folder: &Path, kinds: &'static str) -> Vec<(&'static str, String)> {
    vec![
        ("ADC_FOLDER", folder.to_string_lossy().into_owned()),
        ("ADC_KINDS", kinds.to_owned()),
    ]
}

fn folder(language: &'static str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(language.replace([',', ' '], "-"));
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Writes a certificate for Google's names with its key, and returns the file with its authority.
fn certificates(folder: &Path) -> PathBuf {
    let key = || KeyPair::generate().expect("a key is made");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Of the same name as its issuer, the server's certificate would pass for self-signed.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority is made");
    let server = key();
    let certificate = CertificateParams::new(NAMES.map(str::to_owned))
        .and_then(|params| params.signed_by(&server, &authority))
        .expect("a certificate is made");
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("server.pem", certificate.pem()),
        ("server.key", server.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).expect("the folder was made");
    }
    folder.join("authority.pem")
}
