//! Names that somebody configured: one that leads to the server, to a
//! stranger, to nothing, or hangs.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::time::Duration;

use futures_executor::block_on;
use gce_auth::{
    Credentials, Detection, Error, ErrorKind, IdTokenCredentials, MetadataClient, RetryPolicy,
};
use support::{TOKEN, emulator, stranger::Stranger, timed};

/// A valid answer, but for who gives it.
const ANSWER: &str = r#"{"access_token":"ya29.c.stolen","expires_in":3599,"token_type":"Bearer"}"#;
/// A small one, so that nobody waits for long.
const BUDGET: Duration = Duration::from_secs(4);
/// What may be needed beyond the budget on a machine that is busy.
const SPARE: Duration = Duration::from_secs(5);

fn client(endpoint: &str) -> MetadataClient {
    MetadataClient::builder()
        .endpoint(endpoint)
        .retry(RetryPolicy::new().budget(BUDGET))
        .build()
        .unwrap()
}

/// Asks for a token in every way; gives the errors, none of which may have
/// come later than the budget allows.
fn refused(endpoint: &str) -> Vec<Error> {
    let client = client(endpoint);
    let build = || Credentials::builder().client(client.clone()).shared(false);
    let credentials = build().build().unwrap();
    let other = build().build().unwrap();
    let identity = IdTokenCredentials::builder("https://a").client(client.clone());
    let identity = identity.build().unwrap();
    let ways: [&(dyn Fn() -> Option<Error> + Sync); 4] = [
        &|| credentials.blocking_token().err(),
        &|| block_on(other.headers()).err(),
        &|| identity.blocking_token().err(),
        &|| client.blocking_project_id().err(),
    ];
    let errors = std::thread::scope(|scope| {
        let asked = ways.map(|way| scope.spawn(move || timed(way)));
        asked.map(|asked| {
            let (error, took) = asked.join().unwrap();
            assert!(took < BUDGET + SPARE, "{took:?}: {error:?}");
            error.expect("nothing may be accepted")
        })
    });
    assert!(credentials.cached_token().is_none() && other.cached_token().is_none());
    assert!(identity.cached_token().is_none());
    for error in &errors {
        let text = error.to_string();
        assert!(!text.contains('\n') && text.contains(endpoint), "{text}");
        assert!(error.hint().is_some(), "{text}");
        assert!(!format!("{error:#?}").contains("stolen"), "{error:#?}");
    }
    errors.into()
}

/// What is right about an error where no address was found, or none in time.
fn is_unreachable(errors: &[Error]) {
    for error in errors {
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout),
            "{error:?}"
        );
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(error.status(), None, "{error:?}");
    }
}

fn is_a_stranger(errors: &[Error]) {
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{error:?}");
        assert_eq!(error.attempts(), 1, "a stranger is asked once: {error:?}");
        assert!(error.to_string().contains("not a metadata server"));
    }
}

#[test]
fn localhost_is_a_name_like_any_other() {
    let emulator = emulator();
    let endpoint = format!("localhost:{}", emulator.addr().port());
    let credentials = Credentials::builder().endpoint(&*endpoint).build().unwrap();
    let token = credentials.blocking_token().unwrap();
    assert!(token.secret().starts_with("ya29."));
    block_on(credentials.refresh()).unwrap();
    let requests = emulator.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("host") == Some(&endpoint))
    );
    assert_eq!(emulator.request_count(TOKEN), 2);
}

#[test]
fn a_name_of_a_stranger_is_no_metadata_server() {
    for headers in [
        &[][..],
        &["Content-Type: application/json"],
        &["Metadata-Flavor: Googly"],
        &["Metadata-Flavor: Google", "Metadata-Flavor: Other"],
        &[
            "X-Metadata-Flavor: Google",
            "Server: Metadata Server for VM",
        ],
    ] {
        let stranger = Stranger::saying(200, headers, ANSWER);
        let endpoint = format!("localhost:{}", stranger.address().port());
        is_a_stranger(&refused(&endpoint));
        assert_eq!(stranger.requests(), 4);
        assert!(
            !client(&endpoint)
                .blocking_on_gce(Detection::GoogleAuth)
                .is_ok_and(|found| found.reason().contains("answered at"))
        );
    }
}

#[test]
fn a_stranger_beside_the_server_spoils_nothing_for_many_clients_at_once() {
    let emulator = emulator();
    let stranger = Stranger::saying(200, &["Content-Type: application/json"], ANSWER);
    let endpoints = [emulator.addr(), stranger.address()].map(|it| it.to_string());
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let call = |n: usize| {
            let credentials = Credentials::builder().client(client(&endpoints[n % 2]));
            let credentials = credentials.build().unwrap();
            if n % 4 < 2 {
                credentials.blocking_token()
            } else {
                block_on(credentials.token())
            }
        };
        let calls: Vec<_> = (0..64)
            .map(|n| scope.spawn(move || timed(|| call(n))))
            .collect();
        calls.into_iter().map(|it| it.join().unwrap()).collect()
    });
    for (n, (outcome, took)) in outcomes.into_iter().enumerate() {
        assert!(took < SPARE, "{n}: {took:?}");
        match outcome {
            Ok(token) if n % 2 == 0 => assert!(!token.secret().contains("stolen")),
            Err(error) if n % 2 == 1 => is_a_stranger(&[error]),
            other => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(emulator.request_count(TOKEN), 1, "clients share the token");
}

#[test]
fn a_stranger_that_leads_elsewhere_is_not_followed() {
    let emulator = emulator();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: http://{}/computeMetadata/v1/", emulator.addr());
        for headers in [&[&*location][..], &[&*location, "Metadata-Flavor: Google"]] {
            let stranger = Stranger::saying(status, headers, ANSWER);
            let errors = refused(&format!("localhost:{}", stranger.address().port()));
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{error:?}");
            }
        }
    }
    assert_eq!(emulator.requests(), []);
}

#[test]
fn a_name_of_nothing_is_said_within_the_budget() {
    // Never given to anybody (RFC 6761); whether this machine is told so at
    // once or not at all.
    is_unreachable(&refused("metadata.gce-auth.invalid"));
}

#[test]
fn a_name_that_comes_to_be_is_found_without_a_restart() {
    // The same credential that nobody could reach, once somebody is there.
    let closed = {
        let gone = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        gone.local_addr().unwrap()
    };
    let client = MetadataClient::builder()
        .endpoint(format!("localhost:{}", closed.port()))
        .retry(RetryPolicy::new().attempts(2))
        .build()
        .unwrap();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let error = credentials.blocking_token().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let started = gce_auth_emulator::Emulator::builder()
        .address(closed)
        .start();
    let Ok(_emulator) = started else {
        println!("SKIPPED: somebody else took the port meanwhile");
        return;
    };
    credentials.blocking_refresh().unwrap();
    assert!(credentials.blocking_token().is_ok());
}

/// Names of this machine's own, in namespaces of its own.
#[cfg(target_os = "linux")]
mod resolver {
    use std::{
        fs,
        net::{Ipv4Addr, TcpListener, UdpSocket},
        path::{Path, PathBuf},
        process::Command,
        sync::OnceLock,
        thread,
        time::Duration,
    };

    use super::{
        refused,
        support::{
            process::{TASK, child, heard, says},
            stranger::{Stranger, answer},
            told,
        },
    };

    const NAME: &str = "metadata.google.internal";
    /// A child that takes longer hangs.
    const LIMIT: Duration = Duration::from_secs(120);

    /// Sets the scene as root of namespaces of its own, in which nothing but
    /// the loopback device exists and names come from the scene's name server
    /// alone, and then becomes what it is given.
    const SCENE: &str = "ip link set lo up || exit; \
        for name in resolv.conf nsswitch.conf hosts; do \
            [ ! -e /etc/$name ] || mount --bind \"$GCE_AUTH_TEST_ETC/$name\" /etc/$name || exit; \
        done; exec \"$0\" \"$@\"";
    const WRAPPER: [&str; 5] = ["unshare", "-rnm", "sh", "-c", SCENE];

    /// The files of `/etc` that say where names come from.
    fn etc() -> &'static Path {
        static ETC: OnceLock<PathBuf> = OnceLock::new();
        ETC.get_or_init(write_etc)
    }

    fn write_etc() -> PathBuf {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("names");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [
            ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30\n"),
            ("nsswitch.conf", "hosts: files dns\n"),
            ("hosts", "127.0.0.1 localhost\n"),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        directory
    }

    /// What the name server of the scene does.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Says {
        /// The name is that of a stranger on this machine.
        Stranger,
        /// There is no such name.
        Nothing,
        /// Nothing at all.
        Silence,
    }

    fn unavailable() -> Option<String> {
        let [unshare, arguments @ ..] = WRAPPER;
        let tried = Command::new(unshare)
            .args(arguments)
            .arg("true")
            .env("GCE_AUTH_TEST_ETC", etc())
            .output();
        match tried {
            Err(error) => Some(format!("unshare cannot be run: {error}")),
            Ok(tried) if !tried.status.success() => {
                let why = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
                Some(format!("this user may not make namespaces: {why}"))
            }
            Ok(_) => None,
        }
    }

    /// What the errors in a scene are, or none where it cannot be set.
    #[expect(clippy::print_stdout, reason = "whoever runs it shall see it")]
    fn play(task: &str) -> Option<Vec<String>> {
        if let Some(why) = unavailable() {
            println!("SKIPPED: {why}");
            return None;
        }
        let mut command = child(&WRAPPER, "resolver::on_a_stage_of_its_own", task);
        command.env("GCE_AUTH_TEST_ETC", etc());
        let said = heard(command, LIMIT);
        assert_eq!(said.len(), 4, "{said:?}");
        Some(said)
    }

    /// Serves names on port 53 until the process ends.
    fn serve(says: Says) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                if let Some(answer) = reply(&question[..length], says) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
    }

    /// An answer of the domain name system (RFC 1035, 4.1) to one question.
    fn reply(question: &[u8], says: Says) -> Option<Vec<u8>> {
        const HEADER: usize = 12;
        let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
        let question = question.get(..HEADER + name + 5)?;
        let asks_for_v4 = question.get(HEADER + name + 1..HEADER + name + 3)? == [0, 1];
        let mut answer = question.to_vec();
        let (code, answers) = match says {
            Says::Silence => return None,
            Says::Nothing => (3, 0),
            Says::Stranger => (0, u8::from(asks_for_v4)),
        };
        answer[2..HEADER].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
        if answers == 1 {
            // The name above, an address of the internet, for a minute.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(Ipv4Addr::new(127, 0, 0, 9).octets());
        }
        Some(answer)
    }

    #[test]
    #[ignore = "the part of a child process"]
    fn on_a_stage_of_its_own() {
        let Some(task) = told(TASK) else { return };
        let task = match &*task {
            "stranger" => Says::Stranger,
            "nothing" => Says::Nothing,
            _ => Says::Silence,
        };
        serve(task);
        let stranger = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 80)).unwrap();
        let stranger = Stranger::on(stranger, answer(200, &[], super::ANSWER));
        for error in refused(NAME) {
            println!("{}", says(&format!("{} {error}", error.kind().name())));
        }
        let asked = if task == Says::Stranger { 4 } else { 0 };
        assert_eq!(stranger.requests(), asked);
    }

    #[test]
    fn googles_name_at_a_stranger_is_no_metadata_server() {
        for line in play("stranger").unwrap_or_default() {
            assert!(line.starts_with("NotMetadataServer "), "{line}");
            assert!(line.contains("1 attempt in"), "{line}");
        }
    }

    #[test]
    fn googles_name_that_leads_nowhere_is_said_with_a_way_out() {
        for line in play("nothing").unwrap_or_default() {
            assert!(line.starts_with("Unavailable "), "{line}");
            assert!(line.contains("the name has no address"), "{line}");
            assert!(line.contains("169.254.169.254"), "{line}");
        }
    }

    #[test]
    fn googles_name_that_nobody_answers_for_ends_with_the_budget() {
        for line in play("silence").unwrap_or_default() {
            assert!(
                line.starts_with("Timeout ") || line.starts_with("Unavailable "),
                "{line}"
            );
            assert!(line.contains(NAME), "{line}");
        }
    }
}
