//! What the environment says, told to child processes that are this test again.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{
    fs,
    io::ErrorKind as Io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "tls")]
use gce_auth::CertificateBinding;
use gce_auth::{Credentials, Detection, ErrorKind, IdTokenCredentials, MetadataClient};
use gce_auth_emulator::{Emulator, Fault};
use support::{
    process::{TASK, child, heard, says},
    script::{Leaping, Script},
    told,
};

const LIMIT: Duration = Duration::from_secs(60);

fn run(task: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = child(&[], "in_a_process_of_its_own", task);
    command.envs(variables.iter().copied());
    heard(command, LIMIT)
}

fn project(id: &str) -> Emulator {
    Emulator::builder().project_id(id).start().unwrap()
}

fn address(emulator: &Emulator) -> String {
    emulator.addr().to_string()
}

/// A file that stands for what the firmware says.
fn firmware(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Of this process: others write theirs at the same time.
    let process = std::process::id();
    let file = directory.join(format!("product-{}-{process}", name.replace(' ', "-")));
    fs::write(&file, format!("{name}\n")).unwrap();
    file
}

/// What a child does: `TASK`, with a word after it where it needs one.
#[test]
#[ignore = "the part of a child process"]
fn in_a_process_of_its_own() {
    let Some(task) = told(TASK) else { return };
    let (task, word) = task.split_once(' ').unwrap_or((&task, ""));
    match task {
        "ask" => {
            let client = MetadataClient::new();
            let project = client.blocking_project_id().unwrap();
            let built = MetadataClient::builder().build().unwrap();
            assert_eq!(built.blocking_project_id().unwrap(), project);
            let token = Credentials::new().blocking_token().unwrap();
            assert!(token.secret().starts_with("ya29."));
            println!("{}", says(&project));
            println!("{}", says(&client.endpoint().unwrap()));
        }
        "ping" => {
            let client = MetadataClient::builder()
                .clock(Arc::new(Leaping::default()))
                .build()
                .unwrap();
            let pinged = futures_executor::block_on(client.ping(None)).unwrap();
            assert_eq!(client.blocking_ping(Some(1)).unwrap(), pinged);
            let none = client.blocking_ping(Some(0)).unwrap_err();
            assert_eq!(none.kind(), ErrorKind::Config);
            println!("{}", says(&pinged.to_string()));
        }
        "ask-at" => {
            let client = MetadataClient::builder().endpoint(word).build().unwrap();
            println!("{}", says(&client.blocking_project_id().unwrap()));
            let credentials = Credentials::builder().endpoint(word).build().unwrap();
            credentials.blocking_token().unwrap();
        }
        "bill" => {
            let access = Credentials::builder().endpoint(word).build().unwrap();
            let identity = IdTokenCredentials::builder("https://a").endpoint(word);
            let identity = identity.build().unwrap();
            let (access, identity) = (
                access.with_quota_project_from_environment(),
                identity.with_quota_project_from_environment(),
            );
            for project in [
                access.map(|it| it.quota_project_id().map(str::to_owned)),
                identity.map(|it| it.quota_project_id().map(str::to_owned)),
            ] {
                println!(
                    "{}",
                    says(&format!("{:?}", project.map_err(|it| it.kind())))
                );
            }
        }
        #[cfg(feature = "tls")]
        "bind" => {
            let credentials = Credentials::builder().endpoint(word).build().unwrap();
            // The emulator may bind tokens or not: this asks for it, or does not.
            let _ = credentials.blocking_token();
            let binding = credentials.status().certificate_binding.unwrap();
            println!(
                "{}",
                says(&(binding == CertificateBinding::Bound).to_string())
            );
        }
        "complain" => {
            for error in [
                Credentials::builder().build().unwrap_err(),
                IdTokenCredentials::builder("https://a")
                    .build()
                    .unwrap_err(),
                MetadataClient::builder().build().unwrap_err(),
                Credentials::new().blocking_token().unwrap_err(),
                futures_executor::block_on(Credentials::new().headers()).unwrap_err(),
                IdTokenCredentials::new("https://a")
                    .blocking_token()
                    .unwrap_err(),
                MetadataClient::new().blocking_project_id().unwrap_err(),
                MetadataClient::new().endpoint().unwrap_err(),
            ] {
                println!("{}", says(&format!("{} {error}", error.kind().name())));
            }
            assert!(Credentials::new().cached_headers().is_none());
        }
        "fetch" => {
            let script = Arc::new(Script::default());
            let client = MetadataClient::builder()
                .transport(script.clone())
                .clock(Arc::new(Leaping::default()))
                .dmi_product_name_file(firmware(word))
                .build()
                .unwrap();
            let credentials = Credentials::builder().client(client).build().unwrap();
            let error = credentials.blocking_token().unwrap_err();
            println!("{}", says(&format!("{} {error}", error.kind().name())));
            for (url, limits) in script.asked() {
                let attempt = limits.attempt.as_millis();
                println!("{}", says(&format!("{url} {attempt}")));
            }
        }
        "detect" => {
            let (firmware_name, how) = word.split_once(' ').unwrap();
            let how = match how {
                "fast" => Detection::Fast,
                _ => Detection::GoogleAuth,
            };
            let script = Arc::new(Script::new([None, None, None, Some("computeMetadata/\n")]));
            let clock = Arc::new(Leaping::default());
            let client = MetadataClient::builder()
                .transport(script.clone())
                .clock(clock.clone())
                .dmi_product_name_file(firmware(firmware_name))
                .build()
                .unwrap();
            match client.blocking_on_gce(how) {
                Ok(found) => println!("{}", says(&format!("{} {found}", found.is_on_gce()))),
                Err(error) => println!("{}", says(&format!("{} {error}", error.kind().name()))),
            }
            for (url, limits) in script.asked() {
                let attempt = limits.attempt.as_millis();
                println!("{}", says(&format!("{url} {attempt}")));
            }
            println!("{}", says(&format!("slept {}", clock.slept().as_secs())));
        }
        "detect-twice" => {
            let client = MetadataClient::builder()
                .endpoint(word)
                .dmi_product_name_file(firmware("PC"))
                .build()
                .unwrap();
            assert_eq!(client.detect_dmi(), Some(false));
            for _ in 0..2 {
                let found = client.blocking_on_gce(Detection::Fast).unwrap();
                println!("{}", says(&found.is_on_gce().to_string()));
            }
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn the_host_variable_beats_the_root_variable() {
    let (host, root) = (project("of-host"), project("of-root"));
    let (at_host, at_root) = (address(&host), address(&root));
    let both = [
        ("GCE_METADATA_HOST", &*at_host),
        ("GCE_METADATA_ROOT", &*at_root),
    ];
    assert_eq!(run("ask", &both), ["of-host", &at_host]);
    assert_eq!(root.requests(), []);
    assert_eq!(run("ask", &both[1..]), ["of-root", &at_root]);
}

#[test]
fn what_the_emulator_says_is_enough_to_find_it() {
    let emulator = project("p");
    let mut command = child(&[], "in_a_process_of_its_own", "ask");
    command.envs(emulator.env());
    assert_eq!(heard(command, LIMIT), ["p", &*address(&emulator)]);
}

#[test]
fn an_endpoint_in_code_beats_every_variable() {
    let (code, host) = (project("of-code"), project("of-host"));
    let task = format!("ask-at {}", address(&code));
    let at_host = address(&host);
    for value in [&*at_host, "no sense/at all"] {
        let variables = [
            ("GCE_METADATA_HOST", value),
            ("GCE_METADATA_ROOT", value),
            ("GCE_METADATA_IP", value),
        ];
        assert_eq!(run(&task, &variables), ["of-code"]);
    }
    assert_eq!(host.requests(), []);
}

#[test]
fn an_address_of_version_6_stands_in_brackets() {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let Ok(emulator) = Emulator::builder()
        .address(address)
        .project_id("six")
        .start()
    else {
        println!("SKIPPED: this machine has no IPv6");
        return;
    };
    let host = format!("[::1]:{}", emulator.addr().port());
    let variables = [("GCE_METADATA_HOST", &*host)];
    assert_eq!(run("ask", &variables), ["six", &host]);
    assert_eq!(run(&format!("ask-at {host}"), &[]), ["six"]);
}

#[test]
fn a_scheme_and_a_slash_around_the_address_are_forgiven() {
    let emulator = project("p");
    let at = address(&emulator);
    for written in [format!("http://{at}"), format!("http://{at}/")] {
        let said = run("ask", &[("GCE_METADATA_HOST", &written)]);
        assert_eq!(said, ["p", &at]);
    }
}

#[test]
fn a_senseless_variable_is_named_by_a_builder_and_by_the_first_call() {
    for (name, value) in [
        ("GCE_METADATA_HOST", "https://metadata"),
        ("GCE_METADATA_HOST", "a/path"),
        ("GCE_METADATA_HOST", "host:99999"),
        ("GCE_METADATA_ROOT", "not a host"),
        ("GCE_METADATA_TIMEOUT", "soon"),
    ] {
        let said = run("complain", &[(name, value)]);
        assert_eq!(said.len(), 8);
        for line in said {
            assert!(line.starts_with("Config "), "{name}={value:?}: {line}");
            assert!(line.contains(name), "{name}={value:?}: {line}");
        }
    }
}

#[test]
fn a_ping_asks_at_the_address_of_its_variable_alone() {
    let emulator = project("p");
    let at = address(&emulator);
    assert_eq!(run("ping", &[("GCE_METADATA_IP", &at)]), ["true"]);
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = closed.local_addr().unwrap().to_string();
    drop(closed);
    let elsewhere = [("GCE_METADATA_IP", &*nobody), ("GCE_METADATA_HOST", &*at)];
    assert_eq!(run("ping", &elsewhere), ["false"]);
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let emulator = project("p");
    let at = address(&emulator);
    let said = run(
        "ask",
        &[
            ("GCE_METADATA_HOST", ""),
            ("GCE_METADATA_ROOT", &at),
            ("GCE_METADATA_TIMEOUT", ""),
            ("GCE_METADATA_DETECT_RETRIES", ""),
            ("METADATA_SERVER_DETECTION", ""),
            ("GCE_METADATA_MTLS_MODE", ""),
            ("K_SERVICE", ""),
        ],
    );
    assert_eq!(said, ["p", &at]);
}

#[test]
fn both_kinds_of_credentials_are_billed_to_the_project_of_the_environment() {
    for (project, said) in [
        ("billed", r#"Ok(Some("billed"))"#),
        ("", "Ok(None)"),
        ("a\nb", "Err(Config)"),
    ] {
        let variables = [("GOOGLE_CLOUD_QUOTA_PROJECT", project)];
        assert_eq!(run("bill 127.0.0.1:1", &variables), [said, said]);
    }
}

#[test]
#[cfg(feature = "tls")]
fn the_newer_variable_says_whether_tokens_are_bound_unless_it_is_blank() {
    let emulator = project("p");
    let task = format!("bind {}", address(&emulator));
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent.pem");
    let config = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let config = config.join(format!("binding-{}.json", std::process::id()));
    let workload = format!(r#"{{"cert_configs":{{"workload":{{"cert_path":"{certificate}"}}}}}}"#);
    fs::write(&config, workload).unwrap();
    for (newer, older, bound) in [
        ("", "", "true"),
        (" ", "", "true"),
        (" ", "false", "false"),
        ("true", "false", "true"),
        ("false", "true", "false"),
    ] {
        let variables = [
            ("GOOGLE_API_CERTIFICATE_CONFIG", config.to_str().unwrap()),
            ("GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN", newer),
            (
                "GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES",
                older,
            ),
        ];
        assert_eq!(run(&task, &variables), [bound], "{newer:?} and {older:?}");
    }
    fs::remove_file(config).unwrap();
}

#[test]
fn proxies_are_never_used() {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let emulator = project("direct");
    let at = address(&emulator);
    let mut variables = vec![("GCE_METADATA_HOST", &*at), ("NO_PROXY", "")];
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        variables.push((name, &url));
    }
    assert_eq!(run("ask", &variables), ["direct", &at]);
    let by_name = format!("ask-at localhost:{}", emulator.addr().port());
    assert_eq!(run(&by_name, &variables), ["direct"]);
    let nobody = proxy.accept().unwrap_err();
    assert_eq!(nobody.kind(), Io::WouldBlock, "somebody asked the proxy");
}

#[test]
fn elsewhere_than_on_google_cloud_one_short_attempt_at_the_address_is_enough() {
    for (firmware, variables) in [
        ("Standard PC", &[][..]),
        ("Standard PC", &[("METADATA_SERVER_DETECTION", "none")]),
        ("Google", &[("METADATA_SERVER_DETECTION", "none")]),
        ("Google", &[("NO_GCE_CHECK", "true")]),
    ] {
        let said = run(&format!("fetch {firmware}"), variables);
        let [error, request] = &*said else {
            panic!("{said:?}");
        };
        assert!(error.starts_with("NotOnGce "), "{error}");
        assert!(error.contains("GCE_METADATA_HOST"), "{error}");
        let token =
            "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token";
        assert_eq!(*request, format!("{token} 700"));
    }
}

#[test]
fn on_google_cloud_a_server_that_is_late_is_waited_for() {
    for (firmware, variables) in [
        ("Google Compute Engine", &[][..]),
        ("Standard PC", &[("K_SERVICE", "s")]),
        (
            "Standard PC",
            &[("METADATA_SERVER_DETECTION", "assume-present")],
        ),
    ] {
        let said = run(&format!("fetch {firmware}"), variables);
        assert!(said[0].starts_with("Unavailable "), "{}", said[0]);
        assert!(said.len() > 4, "several attempts: {said:?}");
    }
}

#[test]
fn a_configured_server_is_waited_for_wherever_this_is() {
    let variables = [
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
        ("GCE_METADATA_TIMEOUT", "2"),
        ("METADATA_SERVER_DETECTION", "none"),
    ];
    let said = run("fetch Standard PC", &variables);
    assert!(said[0].starts_with("Unavailable "), "{}", said[0]);
    assert!(said.len() > 4, "several attempts: {said:?}");
    let first = &said[1];
    assert!(first.starts_with("http://127.0.0.1:1/"), "{first}");
    assert!(first.ends_with(" 2000"), "{first}");
}

/// The answer, and the requests, of one detection in an environment.
fn detect(firmware: &str, how: &str, variables: &[(&str, &str)]) -> (String, Vec<String>, String) {
    let mut said = run(&format!("detect {firmware} {how}"), variables);
    let slept = said.pop().unwrap();
    let answer = said.remove(0);
    (answer, said, slept)
}

#[test]
fn detection_believes_the_environment_and_the_firmware_before_it_pings() {
    for (firmware, variable, answer, why) in [
        ("PC", ("K_SERVICE", "s"), "true", "K_SERVICE"),
        ("PC", ("GAE_SERVICE", "s"), "true", "GAE_SERVICE"),
        ("Google", ("NO_GCE_CHECK", "true"), "false", "NO_GCE_CHECK"),
        (
            "Google",
            ("METADATA_SERVER_DETECTION", "none"),
            "false",
            "METADATA_SERVER_DETECTION",
        ),
        (
            "PC",
            ("METADATA_SERVER_DETECTION", "assume-present"),
            "true",
            "METADATA_SERVER_DETECTION",
        ),
        (
            "PC",
            ("METADATA_SERVER_DETECTION", "bios-only"),
            "false",
            "PC",
        ),
        ("Google", ("NO_GCE_CHECK", "false"), "true", "Google"),
    ] {
        let (said, asked, _) = detect(firmware, "fast", &[variable]);
        assert!(said.starts_with(answer), "{variable:?}: {said}");
        assert!(said.contains(why), "{variable:?}: {said}");
        assert_eq!(asked, [""; 0], "{variable:?}");
    }
}

#[test]
fn detection_pings_the_address_once_and_never_a_name() {
    let (said, asked, _) = detect("PC", "fast", &[]);
    assert!(said.starts_with("false"), "{said}");
    assert_eq!(asked, ["http://169.254.169.254/ 800"]);
    let ip = [
        ("GCE_METADATA_IP", "127.0.0.9"),
        ("METADATA_SERVER_DETECTION", "ping-only"),
    ];
    let (_, asked, _) = detect("Google", "fast", &ip);
    assert_eq!(asked, ["http://127.0.0.9/ 800"]);
}

#[test]
fn a_senseless_way_of_detection_is_named() {
    for (how, name) in [
        ("fast", "METADATA_SERVER_DETECTION"),
        ("fast", "GCE_METADATA_IP"),
        ("google-auth", "GCE_METADATA_DETECT_RETRIES"),
    ] {
        let (said, asked, _) = detect("PC", how, &[(name, "no/sense")]);
        assert!(said.starts_with("Config "), "{said}");
        assert!(said.contains(name), "{said}");
        assert_eq!(asked, [""; 0]);
    }
}

#[test]
fn detection_as_google_auth_has_it_pings_first_and_waits_in_between() {
    let (said, asked, slept) = detect("Google", "google-auth", &[]);
    assert!(said.starts_with("true"), "by its firmware: {said}");
    assert_eq!(asked, ["http://169.254.169.254/ 3000"; 3]);
    assert_eq!(slept, "slept 3");
    let four = [
        ("GCE_METADATA_DETECT_RETRIES", "4"),
        ("GCE_METADATA_TIMEOUT", "1"),
    ];
    let (said, asked, _) = detect("PC", "google-auth", &four);
    assert!(said.starts_with("true"), "the fourth is answered: {said}");
    assert_eq!(asked, ["http://169.254.169.254/ 1000"; 4]);
    let (said, asked, _) = detect("Google", "google-auth", &[("NO_GCE_CHECK", "true")]);
    assert!(said.starts_with("false"), "{said}");
    assert_eq!(asked, [""; 0]);
}

#[test]
fn a_negative_answer_is_never_remembered() {
    let emulator = project("p");
    emulator.fail_next("/", 1, Fault::Close);
    let task = format!("detect-twice {}", address(&emulator));
    assert_eq!(run(&task, &[]), ["false", "true"]);
}

#[test]
fn the_child_is_this_test() {
    let mut nothing: Command = child(&[], "in_a_process_of_its_own", "ask-at");
    nothing.env_remove(TASK);
    assert_eq!(heard(nothing, LIMIT), [""; 0]);
}
