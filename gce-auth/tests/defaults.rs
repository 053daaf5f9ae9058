//! The last step of Application Default Credentials, in environments of its
//! own, told to child processes that are this test again.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{fs, path::PathBuf, time::Duration};

use futures_executor::block_on;
use gce_auth::{
    DefaultCredentials, DefaultOptions, Error, blocking_default_credentials,
    blocking_fetch_id_token, default_credentials, fetch_id_token,
};
use gce_auth_emulator::{Emulator, Fault};
use support::{
    IDENTITY, TOKEN,
    process::{TASK, child, heard, says},
    told,
};

/// A folder that holds nothing but, perhaps, what gcloud leaves there.
fn home(name: &str, has_file: bool) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("home-{name}-{}", std::process::id()));
    let gcloud = folder.join(".config").join("gcloud");
    fs::create_dir_all(&gcloud).unwrap();
    if has_file {
        fs::write(gcloud.join("application_default_credentials.json"), "{}").unwrap();
    }
    folder
}

fn run(task: &str, home: &PathBuf, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = child(&[], "in_a_process_of_its_own", task);
    command.env("HOME", home).envs(variables.iter().copied());
    heard(command, Duration::from_secs(60))
}

fn tell(found: Result<DefaultCredentials, Error>) -> String {
    match found {
        Err(error) => format!("{} {error}", error.kind().name()),
        Ok(found) => format!(
            "project {:?}, billed {:?}, {}",
            found.project_id,
            found.credentials.quota_project_id(),
            found.source,
        ),
    }
}

#[test]
#[ignore = "the part of a child process"]
fn in_a_process_of_its_own() {
    let Some(task) = told(TASK) else { return };
    match &*task {
        "find" => {
            let options = DefaultOptions::new;
            let found = tell(blocking_default_credentials(options()));
            assert_eq!(tell(block_on(default_credentials(options()))), found);
            println!("{}", says(&found));
        }
        "find-billed" => {
            let options = DefaultOptions::new().quota_project_id("in-code");
            println!("{}", says(&tell(blocking_default_credentials(options))));
        }
        "identify" => {
            let audience = "https://service.example";
            let say = |token: Result<gce_auth::IdToken, Error>| match token {
                Ok(token) => format!("{:?}", token.claims().audience()),
                Err(error) => format!("{} {error}", error.kind().name()),
            };
            let found = say(blocking_fetch_id_token(audience));
            assert_eq!(say(block_on(fetch_id_token(audience))), found);
            println!("{}", says(&found));
        }
        other => unreachable!("{other}"),
    }
}

fn emulator() -> (Emulator, String) {
    let emulator = Emulator::builder().project_id("of-server").start().unwrap();
    let address = emulator.addr().to_string();
    (emulator, address)
}

#[test]
fn the_project_is_that_of_the_environment_else_that_of_the_server() {
    let (emulator, address) = emulator();
    let home = home("project", false);
    let server = ("GCE_METADATA_HOST", &*address);
    let modern = ("GOOGLE_CLOUD_PROJECT", "modern");
    let legacy = ("GCLOUD_PROJECT", "legacy");
    let project = |variables: &[(&str, &str)]| run("find", &home, variables).remove(0);
    for (variables, expected) in [
        (&[server, modern, legacy][..], "Some(\"modern\")"),
        (&[server, legacy], "Some(\"legacy\")"),
        (
            &[server, ("GOOGLE_CLOUD_PROJECT", "")],
            "Some(\"of-server\")",
        ),
    ] {
        let found = project(variables);
        assert!(
            found.starts_with(&format!("project {expected},")),
            "{found}"
        );
    }
    emulator.fail_next("project/", usize::MAX, refused());
    assert!(project(&[server]).starts_with("project None,"));
    assert_eq!(emulator.request_count(TOKEN), 0, "no token is asked for");
}

fn refused() -> Fault {
    Fault::Status {
        code: 403,
        retry_after: None,
    }
}

#[test]
fn the_project_that_is_billed_is_that_of_code_else_of_the_environment() {
    let (_emulator, address) = emulator();
    let home = home("billed", false);
    let server = ("GCE_METADATA_HOST", &*address);
    let billed = ("GOOGLE_CLOUD_QUOTA_PROJECT", "of-environment");
    let found = |task: &str, variables: &[(&str, &str)]| run(task, &home, variables).remove(0);
    let both = [server, billed];
    assert!(found("find", &both).contains("billed Some(\"of-environment\")"));
    assert!(found("find-billed", &both).contains("billed Some(\"in-code\")"));
    assert!(found("find", &[server]).contains("billed None"));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_no_other_identity_is_taken() {
    let (emulator, address) = emulator();
    let server = ("GCE_METADATA_HOST", &*address);
    let key = ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json");
    let empty = home("empty", false);
    let with_file = home("file", true);
    let elsewhere = with_file.join(".config").join("gcloud");
    let elsewhere = ("CLOUDSDK_CONFIG", elsewhere.to_str().unwrap());
    for (home, variables, expected) in [
        (&empty, &[server, key][..], "/nowhere/key.json"),
        (
            &with_file,
            &[server],
            "application_default_credentials.json",
        ),
        (
            &empty,
            &[server, elsewhere],
            "application_default_credentials.json",
        ),
    ] {
        let found = run("find", home, variables).remove(0);
        assert!(
            found.starts_with("Config ") && found.contains(expected),
            "{found}"
        );
        let how = if cfg!(feature = "adc") {
            "`"
        } else {
            "switch the feature adc of gce-auth on"
        };
        assert!(found.contains(how), "{found}");
    }
    assert_eq!(emulator.requests(), [], "no server was asked");
    assert!(run("find", &empty, &[server])[0].ends_with(", the metadata server"));
    let found = run("identify", &empty, &[server, key]).remove(0);
    assert!(
        found.starts_with("Config ") && found.contains("/nowhere/key.json"),
        "{found}"
    );
    let off = ("NO_GCE_CHECK", "true");
    let found = run("find", &empty, &[off]).remove(0);
    assert!(found.starts_with("NotOnGce "), "{found}");
}

#[test]
fn an_id_token_is_fetched_where_there_is_a_server_and_not_elsewhere() {
    let (emulator, address) = emulator();
    let home = home("identity", false);
    let found = run("identify", &home, &[("GCE_METADATA_HOST", &address)]).remove(0);
    assert!(found.contains("https://service.example"), "{found}");
    assert!(emulator.request_count(IDENTITY) >= 1);
    let found = run("identify", &home, &[("NO_GCE_CHECK", "true")]).remove(0);
    assert!(found.starts_with("NotOnGce "), "{found}");
}
