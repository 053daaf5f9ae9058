//! Credentials files against the emulator's OAuth, STS and IAM, over sockets.

#![cfg(feature = "adc")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_executor::block_on;
use gce_auth::{
    AccessBoundaryRule, CredentialAccessBoundary, Credentials, CredentialsKind, DefaultOptions,
    DefaultSource, ErrorKind, MetadataClient, Signer, blocking_default_credentials,
    blocking_fetch_id_token_credentials,
};
use gce_auth_emulator::{AdcKind, Emulator};
use support::{
    process::{TASK, child, heard, says},
    told,
};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const AUDIENCE: &str = "https://service.example";

fn options(emulator: &Emulator) -> DefaultOptions {
    let address = emulator.addr().to_string();
    let client = MetadataClient::builder()
        .endpoint(&address)
        .build()
        .unwrap();
    DefaultOptions::new()
        .client(client)
        .scopes([SCOPE])
        .trust_host(address)
}

fn load(emulator: &Emulator, kind: AdcKind) -> Credentials {
    let document = emulator.adc(kind).unwrap();
    let options = options(emulator);
    options.load_json(&document).unwrap().credentials
}

/// The sources of every file that the emulator writes, and what they are.
const KINDS: [(AdcKind, CredentialsKind); 4] = [
    (AdcKind::AuthorizedUser, CredentialsKind::AuthorizedUser),
    (AdcKind::ServiceAccount, CredentialsKind::ServiceAccount),
    (
        AdcKind::Impersonated,
        CredentialsKind::ImpersonatedServiceAccount,
    ),
    (AdcKind::ExternalAccount, CredentialsKind::ExternalAccount),
];

#[test]
fn every_file_of_the_emulator_gives_tokens_blocking_and_async() {
    let emulator = Emulator::builder().start().unwrap();
    for (kind, ours) in KINDS {
        let credentials = load(&emulator, kind);
        assert_eq!(credentials.kind(), ours);
        let token = credentials.blocking_token().unwrap();
        assert!(token.secret().starts_with("ya29."), "{kind:?}");
        assert!(token.expires_at().is_some());
        let again = block_on(credentials.token()).unwrap();
        assert_eq!(again.secret(), token.secret(), "{kind:?}");
        assert!(credentials.invalidate(&token));
        let next = block_on(credentials.token()).unwrap();
        assert_ne!(next.secret(), "", "{kind:?}");
    }
}

#[test]
fn a_host_that_nobody_trusts_is_sent_nothing() {
    let emulator = Emulator::builder().start().unwrap();
    for kind in [AdcKind::ServiceAccount, AdcKind::ExternalAccount] {
        let document = emulator.adc(kind).unwrap();
        let error = Credentials::from_json(&document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("trust_host"), "{error}");
    }
    assert_eq!(emulator.requests(), []);
}

#[test]
fn a_key_file_signs_and_has_id_tokens() {
    let emulator = Emulator::builder().start().unwrap();
    let credentials = load(&emulator, AdcKind::ServiceAccount);
    let signature = Signer::new(credentials.clone())
        .blocking_sign_bytes(b"bytes")
        .unwrap();
    assert_eq!(signature.bytes().len(), 256);
    let identity = credentials.id_token(AUDIENCE).unwrap();
    let token = identity.blocking_token().unwrap();
    let claims = token.claims();
    assert_eq!(claims.audience(), Some(AUDIENCE));
    let user = load(&emulator, AdcKind::AuthorizedUser);
    let error = user.id_token(AUDIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
}

#[test]
fn a_token_is_narrowed_at_the_token_exchange() {
    let emulator = Emulator::builder().start().unwrap();
    let source = load(&emulator, AdcKind::ServiceAccount);
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]).unwrap();
    let boundary = CredentialAccessBoundary::new([rule]).unwrap();
    let url = format!("{}/v1/token", emulator.url());
    let narrow = source.downscope_at(&boundary, &*url).unwrap();
    let token = narrow.blocking_token().unwrap();
    assert_ne!(token.secret(), source.blocking_token().unwrap().secret());
    assert!(token.expires_at() <= source.blocking_token().unwrap().expires_at());
}

/// What a child does whose environment leads to credentials.
#[test]
#[ignore = "the part of a child process"]
fn in_a_process_of_its_own() {
    let Some(task) = told(TASK) else { return };
    let exact = task.contains("exact");
    let client = MetadataClient::builder().exact_freshness(exact).build();
    let mut options = DefaultOptions::new()
        .client(client.unwrap())
        .ask_gcloud(task.contains("gcloud"));
    if task.contains("default-scopes") {
        options = options.default_scopes(["of-default"]);
    }
    if task.contains("identity") {
        let said = blocking_fetch_id_token_credentials(AUDIENCE, options)
            .and_then(|identity| identity.blocking_token());
        let said = match said {
            Ok(token) => format!(
                "{} {}",
                token.claims().email().unwrap_or("-"),
                token.claims().audience().unwrap_or("-")
            ),
            Err(error) => format!("{} {error}", error.kind().name()),
        };
        println!("{}", says(&said));
        return;
    }
    let found = blocking_default_credentials(options).unwrap();
    let source = match found.source {
        DefaultSource::EnvironmentFile(_) => "environment",
        DefaultSource::GcloudFile(_) => "gcloud",
        DefaultSource::MetadataServer => "metadata",
        _ => "other",
    };
    let scopes = found.credentials.scopes().unwrap_or_default().join(",");
    let project = found.project_id.unwrap_or_default();
    println!("{}", says(&format!("{source} {project} {scopes}")));
    let gcloud = DefaultSource::gcloud_file().unwrap_or_default();
    println!("{}", says(&gcloud.display().to_string()));
    if let DefaultSource::EnvironmentFile(path) = DefaultSource::find() {
        let kind = Credentials::from_file(path).unwrap().kind();
        println!("{}", says(&format!("{kind:?}")));
    }
}

/// An emulator, a directory of gcloud's, and a program that is called gcloud.
struct Machine {
    emulator: Emulator,
    home: PathBuf,
}

impl Machine {
    fn new(name: &str) -> Self {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let home = home.join(format!("adc-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(home.join(".config/gcloud/configurations")).unwrap();
        Self {
            emulator: Emulator::builder().project_id("of-server").start().unwrap(),
            home,
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.home.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn file(&self, name: &str, kind: AdcKind) -> String {
        self.write(name, &self.emulator.adc(kind).unwrap())
    }

    fn run(&self, task: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let mut command = child(&[], "in_a_process_of_its_own", task);
        let address = self.emulator.addr().to_string();
        command
            .env("HOME", &self.home)
            .env("GCE_METADATA_HOST", &address)
            .env("GCE_AUTH_TRUST_HOSTS", &address)
            .envs(variables.iter().copied());
        heard(command, Duration::from_secs(60))
    }
}

const GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

#[test]
fn a_file_of_the_environment_is_used_with_its_project_and_scopes() {
    let machine = Machine::new("environment");
    let key = machine.file("key.json", AdcKind::ServiceAccount);
    let named = ("GOOGLE_APPLICATION_CREDENTIALS", &*key);
    let gcloud = machine.home.join(GCLOUD).display().to_string();
    let said = machine.run("find", &[named]);
    let here = format!("environment of-server {SCOPE}");
    assert_eq!(said, [&here, &gcloud, "ServiceAccount"]);
    // What is said of scopes, or google-auth's own way, is left as it is.
    for task in ["default-scopes", "exact"] {
        let said = machine.run(task, &[named]);
        assert_eq!(said[0], "environment of-server ", "{task}");
    }
    let said = machine.run("find", &[named, ("GOOGLE_CLOUD_PROJECT", "of-me")]);
    assert_eq!(said[0], format!("environment of-me {SCOPE}"));
    assert_eq!(machine.emulator.requests(), [], "nothing was asked");
}

#[cfg(unix)]
#[test]
fn the_project_of_gclouds_file_is_that_of_its_configuration_or_what_it_prints() {
    use std::os::unix::fs::PermissionsExt as _;

    let machine = Machine::new("gcloud");
    let file = machine.file(GCLOUD, AdcKind::AuthorizedUser);
    machine.write(".config/gcloud/active_config", "work");
    for (name, project) in [("work", "of-work"), ("other", "of-other")] {
        let text = format!("[core]\nproject = {project}\n");
        machine.write(
            &format!(".config/gcloud/configurations/config_{name}"),
            &text,
        );
    }
    let program = machine.write(
        "gcloud",
        "#!/bin/sh\n[ \"$*\" = \"config get project\" ] && echo printed\n",
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", machine.home.display());
    let path = ("PATH", &*path);
    for (task, variables, project) in [
        ("find", &[path][..], "of-work"),
        ("gcloud", &[path], "printed"),
        (
            "find",
            &[("CLOUDSDK_ACTIVE_CONFIG_NAME", "other")],
            "of-other",
        ),
        (
            "gcloud",
            &[path, ("GOOGLE_CLOUD_PROJECT", "of-me")],
            "of-me",
        ),
        (
            "find",
            &[("GOOGLE_APPLICATION_CREDENTIALS", &*file)],
            "of-work",
        ),
    ] {
        let said = machine.run(task, variables);
        let here = format!("gcloud {project} ");
        assert_eq!(said[0].trim_end(), here.trim_end(), "{task} {variables:?}");
        assert_eq!(said[1], file);
    }
    // Another directory is gcloud's where the environment says so.
    let empty = machine.home.join("empty");
    fs::create_dir_all(&empty).unwrap();
    let empty = empty.display().to_string();
    let said = machine.run("find", &[("CLOUDSDK_CONFIG", &empty)]);
    assert!(said[0].starts_with("metadata of-server"), "{said:?}");
    let other = Path::new(&empty).join("application_default_credentials.json");
    assert_eq!(said[1], other.display().to_string());
}

#[test]
fn with_exact_freshness_the_server_is_asked_for_a_project_that_is_named() {
    let project = "/computeMetadata/v1/project/project-id";
    for (task, asked) in [("find", false), ("exact", true)] {
        let machine = Machine::new(task);
        let said = machine.run(task, &[("GOOGLE_CLOUD_PROJECT", "of-me")]);
        assert!(said[0].starts_with("metadata of-me"), "{said:?}");
        assert_eq!(machine.emulator.request_count(project) > 0, asked, "{task}");
        let key = machine.file("key.json", AdcKind::ServiceAccount);
        let file = ("GOOGLE_APPLICATION_CREDENTIALS", &*key);
        let before = machine.emulator.request_count(project);
        machine.run(task, &[file, ("GOOGLE_CLOUD_PROJECT", "of-me")]);
        assert_eq!(machine.emulator.request_count(project), before, "{task}");
    }
}

#[test]
fn an_id_token_is_of_the_key_or_the_account_of_the_file_or_of_the_machine() {
    const MACHINE: &str = "emulator@of-server.iam.gserviceaccount.com";
    let machine = Machine::new("identity");
    let with = |file: &str| {
        let mut said = machine.run("identity", &[("GOOGLE_APPLICATION_CREDENTIALS", file)]);
        said.remove(0)
    };
    let of_machine = || machine.emulator.request_count(support::IDENTITY);
    let ours = format!("{MACHINE} {AUDIENCE}");
    let key = machine.file("key.json", AdcKind::ServiceAccount);
    assert_eq!(with(&key), ours);
    assert_eq!(of_machine(), 0);
    let acting = machine.file("acting.json", AdcKind::Impersonated);
    assert_eq!(with(&acting), ours, "with its address");
    assert_eq!(of_machine(), 0);
    // A user has none: then the machine's is used, as google-auth does.
    let user = machine.file("user.json", AdcKind::AuthorizedUser);
    assert_eq!(with(&user), ours);
    assert_eq!(of_machine(), 1);
    for (name, text) in [("list.json", "[]"), ("none.json", "{")] {
        let said = with(&machine.write(name, text));
        assert!(said.starts_with("Config ") && said.contains(name), "{said}");
    }
}
