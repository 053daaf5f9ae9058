//! The agent before each of its sources, end to end: files of credentials, mutual TLS, boundaries.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "what is skipped is printed")]

mod support;

use std::fs;

use gce_auth_emulator::AdcKind;
use serde_json::Value;
use support::{
    Ran,
    agent::{Agent, ask, token},
    emulator,
    folder::Folder,
    gce_auth,
};

#[test]
fn each_kind_of_credentials_file_is_a_source() {
    let source = emulator();
    for kind in AdcKind::ALL {
        let name = kind.name();
        let scratch = Folder::new(&format!("source-{name}"));
        let file = source.write_adc(&*scratch, kind).unwrap();
        let script = format!(
            r#"GCE_METADATA_HOST={0} GCE_AUTH_TRUST_HOSTS={0} GOOGLE_APPLICATION_CREDENTIALS={1} exec "$@""#,
            source.addr(),
            file.display()
        );
        let arguments = ["--source", "adc", "--listen", "127.0.0.1:0"];
        let agent = Agent::under(&script, &source, &arguments);
        let first = token(agent.address()).unwrap();
        assert_eq!(token(agent.address()).unwrap(), first, "{name}: kept");
        // The API that the token is for knows it, and whose it is.
        let path = format!("/tokeninfo?access_token={first}");
        let answer = ask(source.addr(), &path).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        let info: Value = serde_json::from_str(body).unwrap();
        assert!(
            info["scope"].as_str().unwrap().contains("cloud-platform"),
            "{name}: {info}"
        );
        let login: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(
            login["type"].as_str(),
            Some(match kind {
                AdcKind::Impersonated => "impersonated_service_account",
                _ => name,
            })
        );
        if let Some(email) = login["client_email"].as_str() {
            assert_eq!(info["email"], email, "{info}");
        }
        // None of its values changes: a caller that waits has them at once.
        let scopes = "/computeMetadata/v1/instance/service-accounts/default/scopes";
        let waits = ask(agent.address(), &format!("{scopes}?wait_for_change=true")).unwrap();
        assert!(waits.starts_with("HTTP/1.1 200 "), "{name}: {waits}");
        assert!(waits.contains("cloud-platform"), "{name}: {waits}");
        if let Some(url) = login["service_account_impersonation_url"].as_str() {
            let email = info["email"].as_str().unwrap();
            assert!(url.contains(email), "{name}: {info}");
        }
    }
}

/// Runs a script where the emulator and its APIs are at their own names. `None` where the system
/// allows no namespaces.
fn isolated(options: &[&str], script: &str) -> Option<Ran> {
    let begin = &["exec", "--isolated", "--cloud"][..];
    let end = &["--", "sh", "-ec", script][..];
    let mut command = gce_auth(&[begin, options, end].concat());
    command.env("GCE_AUTH", env!("CARGO_BIN_EXE_gce-auth"));
    let ran = Ran::new(command.output().unwrap());
    if ran.code == Some(125) {
        println!("SKIPPED isolated agent: {}", ran.failure(125));
        return None;
    }
    Some(ran)
}

/// Defines `ask PORT PATH`, and `ready PORT`, which waits for an agent that answers.
const SHELL: &str = r#"
ask() { curl -sS -H 'Metadata-Flavor: Google' "http://127.0.0.1:$1/computeMetadata/v1/$2"; }
ready() { for try in $(seq 600); do
    ! curl -s -o /dev/null "http://127.0.0.1:$1/" || return 0; sleep 0.05; done; return 9; }
token() { ask "$1" "instance/service-accounts/default/token$2" |
    sed 's/.*access_token":"\([^"]*\).*/\1/'; }
info() { curl -sS "https://oauth2.googleapis.com/tokeninfo?access_token=$1$2"; }
"#;

/// Runs a script beside an agent at port 8174 whose source is a login. Nothing in its file says
/// whose the login is, so Google is asked.
fn beside_agent_of_login(folder: &Folder, options: &[&str], script: &str) -> Option<Ran> {
    let script = format!(
        r#"{SHELL}
        sed 's/"account": *"[^"]*",//' "$GOOGLE_APPLICATION_CREDENTIALS" > {0}
        export GOOGLE_APPLICATION_CREDENTIALS={0}
        "$GCE_AUTH" agent --source adc --listen 127.0.0.1:8174 2>/dev/null &
        ready 8174
        {script}
        kill $!; wait $! || true"#,
        folder.join("login.json").display()
    );
    isolated(&[&["--adc", "authorized_user"], options].concat(), &script)
}

#[test]
fn callers_at_once_find_the_address_of_a_login_by_one_request() {
    let script = "curl -s -Z --parallel-immediate --parallel-max 64 -H 'Metadata-Flavor: Google' \
        'http://127.0.0.1:8174/computeMetadata/v1/instance/service-accounts/default/email?n=[1-64]'";
    let late = r#"path = "/tokeninfo", fault = { kind = "delay", milliseconds = 300 }"#;
    let options = ["--journal", "--fault", late];
    let Some(ran) = beside_agent_of_login(&Folder::new("login-email"), &options, script) else {
        return;
    };
    assert_eq!(ran.stdout, "developer@example.com".repeat(64), "{ran:?}");
    assert_eq!(ran.stderr.matches("/tokeninfo").count(), 1, "{ran:?}");
}

/// A caller must not take the address of a login for missing while Google does not tell it.
#[test]
fn an_address_that_google_does_not_tell_now_is_no_missing_value() {
    let script = r#"for path in default/email default/email default/nothing; do
            curl -s -o /dev/null -w '%{http_code} ' -H 'Metadata-Flavor: Google' \
                "http://127.0.0.1:8174/computeMetadata/v1/instance/service-accounts/$path"
        done"#;
    let once = r#"path = "/tokeninfo", times = 1, fault = { kind = "status", code = 503 }"#;
    let folder = Folder::new("login-outage");
    let Some(ran) = beside_agent_of_login(&folder, &["--fault", once], script) else {
        return;
    };
    assert_eq!(ran.stdout, "503 200 404 ", "{ran:?}");
}

#[test]
fn callers_speak_http_while_the_source_has_mutual_tls() {
    let script = format!(
        r#"{SHELL}
        export GCE_METADATA_MTLS_MODE=strict
        "$GCE_AUTH" agent --listen 127.0.0.1:8174 2>/dev/null &
        ready 8174; token 8174; echo; ask 8174 project/project-id; kill $!; wait $! || true"#
    );
    let options = ["--project", "p", "--profile", "shielded"];
    let Some(ran) = isolated(&options, &script) else {
        return;
    };
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("ya29."), "{ran:?}");
    assert!(ran.stdout.ends_with("\np"), "{ran:?}");
    // The same where the machine has no certificates: nothing goes around them.
    let ran = isolated(&["--project", "p"], &script).unwrap();
    assert!(!ran.stdout.contains("ya29."), "{ran:?}");
    assert!(
        ran.stdout
            .contains("no certificates for the metadata server"),
        "{ran:?}"
    );
}

#[test]
fn boundaries_scopes_and_lifetimes_stand_in_the_tokens() {
    let scratch = Folder::new("boundary");
    let boundary = scratch.write(
        "boundary.json",
        r#"{"accessBoundary": {"accessBoundaryRules": [{
            "availableResource": "//storage.googleapis.com/projects/_/buckets/ours",
            "availablePermissions": ["inRole:roles/storage.objectViewer"]}]}}"#,
    );
    let storage = "https://www.googleapis.com/auth/devstorage.read_only";
    let rule = |name: &str, port: u16, allow: &str| {
        format!(
            "[[listen]]\nname = \"{name}\"\ntcp = \"127.0.0.1:{port}\"\n\
             [[rule]]\nname = \"{name}\"\ncaller = {{ listener = [\"{name}\"] }}\n\
             [rule.allow]\nscopes = [\"{storage}\"]\n{allow}\n"
        )
    };
    let narrow = "narrow@p.iam.gserviceaccount.com";
    let rules = [
        rule("plain", 8001, &format!("boundary = \"{boundary}\"")),
        rule(
            "acting",
            8002,
            &format!("boundary = \"{boundary}\"\nas = \"{narrow}\""),
        ),
        rule(
            "short",
            8003,
            &format!("as = \"{narrow}\"\nmax-lifetime = \"15m\""),
        ),
    ];
    let file = scratch.write(
        "agent.toml",
        &format!("default = \"deny\"\n{}", rules.concat()),
    );
    let resource = |bucket: &str| {
        format!(
            "&resource=//storage.googleapis.com/projects/_/buckets/{bucket}\
             &permission=inRole:roles/storage.objectViewer"
        )
    };
    let (ours, theirs) = (resource("ours"), resource("theirs"));
    let script = format!(
        r#"{SHELL}
        "$GCE_AUTH" agent --config {file} 2>/dev/null &
        ready 8001
        for port in 8001 8002; do
            token=$(token $port)
            info $token | tr -d '\n'; echo
            info $token '{ours}' | tr -d '\n'; echo
            info $token '{theirs}' | tr -d '\n'; echo
        done
        info $(token 8003) | tr -d '\n'; echo
        ask 8003 instance/service-accounts/default/token; echo
        token 8001 '?scopes=https://www.googleapis.com/auth/cloud-platform'
        kill $!; wait $! || true"#
    );
    let Some(ran) = isolated(&[], &script) else {
        return;
    };
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines.len() >= 9, "{ran:?}");
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    for (first, acting) in [(0, false), (3, true)] {
        let [whole, ours, theirs] = [0, 1, 2].map(|at| json(lines[first + at]));
        assert_eq!(whole["scope"], storage, "{whole}");
        assert_eq!(whole["email"] == narrow, acting, "{whole}");
        assert_eq!(ours["scope"], storage, "{ours}");
        assert!(
            theirs["error"].is_object(),
            "outside the boundary: {theirs}"
        );
    }
    assert_eq!(json(lines[6])["email"], narrow);
    let expires = json(lines[7])["expires_in"].as_u64().unwrap();
    assert!((840..=900).contains(&expires), "{expires}");
    assert!(
        lines[8].contains("is refused by rule `plain`"),
        "{}",
        lines[8]
    );
}
