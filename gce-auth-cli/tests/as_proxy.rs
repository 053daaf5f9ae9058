//! `exec --as-proxy`: programs that use an HTTP proxy, where there are no namespaces.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use support::{Ran, gce_auth, run};

/// Runs a shell's script with these options, where an exception from proxies was set.
#[track_caller]
fn shell(options: &[&str], script: &str) -> Ran {
    let own = &["exec", "--as-proxy"][..];
    let end = &["--", "sh", "-c", script][..];
    let mut command = gce_auth(&[own, options, end].concat());
    command.env("NO_PROXY", "169.254.169.254,metadata,.google.internal");
    Ran::new(command.output().unwrap())
}

const CURL: &str = "curl -sS --max-time 10 -H 'Metadata-Flavor: Google'";

#[test]
fn the_metadata_server_s_own_names_lead_to_the_emulator() {
    let project = "computeMetadata/v1/project/project-id";
    for host in [
        "metadata.google.internal",
        "metadata.google.internal.",
        "metadata",
        "169.254.169.254",
        "169.254.169.254:80",
    ] {
        // Two requests, of which the client would like to send the second on the same connection.
        let script = format!("{CURL} http://{host}/{project} http://{host}/{project}");
        let seen = shell(&[], &script).value();
        assert_eq!(seen, "emulator-projectemulator-project", "{host}");
    }
    let key = "http://metadata/computeMetadata/v1/instance/guest-attributes/a/b";
    let script = format!("{CURL} -X PUT --data value {key} && {CURL} {key}");
    let options = ["--set", "instance/attributes/enable-guest-attributes=TRUE"];
    assert_eq!(shell(&options, &script).value(), "value");
    // By a tunnel, too, as some clients use proxies.
    let script = format!("{CURL} --proxytunnel http://metadata/{project}");
    assert_eq!(shell(&[], &script).value(), "emulator-project");
    // A program that reads the variables needs no proxy.
    let script = format!("{} get project/project-id", env!("CARGO_BIN_EXE_gce-auth"));
    assert_eq!(shell(&[], &script).value(), "emulator-project\n");
}

#[test]
fn the_apis_are_at_their_own_names_if_asked_for() {
    let script = format!("{CURL} https://sts.googleapis.com/v1/nothing");
    let seen = shell(&["--cloud"], &script).value();
    assert!(seen.contains("Method not found"), "{seen}");
    let seen = shell(&[], &script);
    assert_ne!(seen.code, Some(0), "{seen:?}");
    assert!(seen.stderr.contains("502"), "{seen:?}");
}

#[test]
fn all_other_hosts_are_refused() {
    for url in [
        "http://example.com/",
        "http://metadata:8080/",
        "http://127.0.0.1:22/",
    ] {
        let script = format!("{CURL} -w '%{{http_code}}' --noproxy '' {url}");
        let seen = shell(&["--cloud"], &script).value();
        assert!(seen.ends_with("\n502"), "{url}: {seen}");
        assert!(seen.contains("forwards to the metadata server"), "{seen}");
    }
    let seen = shell(&["--cloud"], &format!("{CURL} https://example.com/"));
    assert!(
        seen.code != Some(0) && seen.stderr.contains("502"),
        "{seen:?}"
    );
}

#[test]
fn real_tokens_are_not_proxied() {
    for option in [
        ["--token-command", "true"],
        ["--upstream", "http://127.0.0.1:1"],
    ] {
        let arguments = [&["exec", "--as-proxy"], &option[..], &["--", "true"]].concat();
        assert_eq!(run(&arguments).code, Some(2), "{option:?}");
    }
}
