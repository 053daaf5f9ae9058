//! Web pages, and programs of other users, get nothing.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

mod client;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use client::{get, request};
use gce_auth_emulator::Emulator;

const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

fn real() -> Emulator {
    Emulator::builder()
        .token_source(|_, _| Ok(("ya29.REAL".to_owned(), Duration::from_secs(3600))))
        .start()
        .unwrap()
}

#[test]
fn a_page_that_led_its_own_name_here_reads_nothing() {
    let emulator = real();
    for path in [
        TOKEN,
        "/",
        "/computeMetadata/v1/",
        "/emulator/",
        "/emulator/v1/requests",
        "/token",
        "/oauth2/v3/certs",
    ] {
        for host in [
            "rebind.test",
            "rebind.test:8173",
            "metadata.google.internal.rebind.test",
            "",
        ] {
            let answer = request(emulator.addr(), "GET", path, &[("Host", host), FLAVOR], b"");
            assert_eq!(answer.status, 403, "{path} as {host}");
            assert!(!answer.text().contains("ya29"), "{path}");
        }
    }
    let answer = request(
        emulator.addr(),
        "GET",
        TOKEN,
        &[("Host", "rebind.test:1"), FLAVOR],
        b"",
    );
    assert!(
        answer.text().contains("--allow-host rebind.test<"),
        "{}",
        answer.text()
    );
    let requests = emulator.requests();
    let hint = requests.last().unwrap().hint.as_deref();
    assert!(
        hint.is_some_and(|hint| hint.contains("--allow-host")),
        "{hint:?}"
    );
    let line = request(
        emulator.addr(),
        "GET",
        &format!("http://rebind.test{TOKEN}"),
        &[FLAVOR],
        b"",
    );
    assert_eq!(line.status, 403);
}

#[test]
fn a_host_of_google_s_apis_is_no_metadata_server() {
    let emulator = Emulator::builder().start().unwrap();
    for host in ["iamcredentials.googleapis.com:443", "accounts.google.com"] {
        for path in ["/", "/v1/nothing", "/instance/id", "/0.1/meta-data/"] {
            let answer = request(emulator.addr(), "GET", path, &[("Host", host)], b"");
            assert_eq!(answer.json()["error"]["status"], "NOT_FOUND", "{path}");
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.header("Metadata-Flavor"), None, "{path}");
        }
    }
}

#[test]
fn the_names_of_servers_are_served() {
    let emulator = Emulator::builder()
        .allow_host("metadata.example.com")
        .start()
        .unwrap();
    for host in [
        "metadata.google.internal.",
        "metadata-emulator:8173",
        "host.docker.internal:8173",
        "10.0.0.7:80",
        "[2001:db8::1]",
        "iamcredentials.googleapis.com",
        "metadata.example.com:80",
    ] {
        let answer = request(
            emulator.addr(),
            "GET",
            TOKEN,
            &[("Host", host), FLAVOR],
            b"",
        );
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[test]
fn what_a_browser_sends_is_refused_but_by_the_page_s_own_origin() {
    let emulator = Emulator::builder().start().unwrap();
    let host = emulator.addr().to_string();
    let own = format!("http://{host}");
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("Host", host.as_str()), FLAVOR];
        all.extend(headers);
        request(emulator.addr(), "GET", path, &all, b"").status
    };
    for path in [TOKEN, "/", "/oauth2/v3/certs"] {
        assert_eq!(ask(path, &[]), 200, "{path}");
        assert_eq!(ask(path, &[("Origin", &own)]), 403, "{path}");
        assert_eq!(ask(path, &[("Sec-Fetch-Site", "none")]), 403, "{path}");
    }
    for path in ["/emulator/", "/emulator/v1/requests"] {
        assert_eq!(ask(path, &[("Origin", &own)]), 200, "{path}");
        assert_eq!(ask(path, &[("Origin", "http://evil.test")]), 403, "{path}");
        for (site, status) in [
            ("none", 200),
            ("same-origin", 200),
            ("same-site", 403),
            ("cross-site", 403),
        ] {
            assert_eq!(
                ask(path, &[("Sec-Fetch-Site", site)]),
                status,
                "{path} from {site}"
            );
        }
    }
}

#[test]
fn two_hosts_are_400() {
    let emulator = Emulator::builder().start().unwrap();
    for path in [TOKEN, "/emulator/v1/requests", "/oauth2/v3/certs", "/"] {
        let two = [("Host", "localhost"), ("Host", "localhost"), FLAVOR];
        assert_eq!(
            request(emulator.addr(), "GET", path, &two, b"").status,
            400,
            "{path}"
        );
    }
}

/// A program of another user asks. Only root can try.
#[cfg(target_os = "linux")]
fn ask_as_nobody(address: SocketAddr) -> Option<String> {
    use std::os::unix::process::CommandExt;

    let ask = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET {TOKEN} HTTP/1.0\\r\\nHost: metadata\\r\\nMetadata-Flavor: Google\\r\\n\\r\\n' >&3; cat <&3",
        address.port()
    );
    let child = std::process::Command::new("bash")
        .args(["-c", &ask])
        .uid(65_534)
        .gid(65_534)
        .output();
    match child {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(why) => {
            println!("SKIPPED: no program of another user can be started: {why}");
            None
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn real_tokens_are_for_the_emulator_s_own_user_and_root() {
    let emulator = real();
    assert_eq!(
        get(emulator.addr(), "instance/service-accounts/default/token").status,
        200
    );
    let Some(answer) = ask_as_nobody(emulator.addr()) else {
        return;
    };
    assert!(
        answer.starts_with("HTTP/1.0 403") && answer.contains("65534"),
        "{answer}"
    );
    assert!(!answer.contains("ya29"), "{answer}");
    // Tokens that are made up are for everybody.
    let made_up = Emulator::builder().start().unwrap();
    let answer = ask_as_nobody(made_up.addr()).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let allowed = Emulator::builder()
        .token_source(|_, _| Ok(("ya29.REAL".to_owned(), Duration::from_secs(3600))))
        .allow_uid(65_534)
        .start()
        .unwrap();
    let answer = ask_as_nobody(allowed.addr()).unwrap();
    assert!(answer.contains("ya29.REAL"), "{answer}");
}

/// An address of this machine that is not a loopback one, if it has any. Nothing is sent to find
/// it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().unwrap().ip();
    if ip.is_loopback() || ip.is_unspecified() {
        println!("SKIPPED: this machine has loopback addresses alone");
        return None;
    }
    Some(ip)
}

#[test]
fn a_host_that_may_control_shows_the_bearer_token() {
    let Some(own) = own_address() else { return };
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let emulator = Emulator::builder()
        .address(everywhere)
        .control_from(own.to_string())
        .start()
        .unwrap();
    let afar = SocketAddr::new(own, emulator.addr().port());
    let ask =
        |path: &str, headers: &[(&str, &str)]| request(afar, "GET", path, headers, b"").status;
    let bearer = format!("Bearer {}", emulator.control_token().unwrap());
    assert_eq!(ask("/emulator/v1/requests", &[]), 401);
    assert_eq!(
        ask("/emulator/v1/requests", &[("Authorization", "Bearer x")]),
        401
    );
    assert_eq!(
        ask("/emulator/v1/requests", &[("Authorization", &bearer)]),
        200
    );
    // The page holds no secret; it asks for the token.
    assert_eq!(ask("/emulator/", &[]), 200);
    let rebound = [("Authorization", bearer.as_str()), ("Host", "rebind.test")];
    assert_eq!(ask("/emulator/v1/requests", &rebound), 403);
    assert!(!format!("{emulator:?}").contains(&bearer["Bearer ".len()..]));

    let closed = Emulator::builder().address(everywhere).start().unwrap();
    assert_eq!(closed.control_token(), None);
    let afar = SocketAddr::new(own, closed.addr().port());
    let answer = request(afar, "GET", "/emulator/v1/requests", &[], b"");
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("--control-from"),
        "{}",
        answer.text()
    );
}
