//! What is printed in each form, and for each failure, word for word.
//!
//! `SNAPSHOTS=overwrite cargo test -p gce-auth-cli --test printed` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{net::SocketAddr, thread};

use gce_auth_emulator::{Emulator, Fault, Profile};
use snapbox::{assert_data_eq, file};
use support::{Ran, answering, ask, closed_port, emulator, feed, redact::redact, run, silent};

/// Calls, and what came of them.
#[derive(Default)]
struct Page(String);

impl Page {
    fn add(&mut self, arguments: &[&str], ran: &Ran) {
        let quoted = arguments.iter().map(|argument| {
            if argument.is_empty() || argument.contains([' ', '"', '$', ';']) {
                format!("'{argument}'")
            } else {
                (*argument).to_owned()
            }
        });
        let call = quoted.collect::<Vec<_>>().join(" ");
        let Ran { stdout, stderr, .. } = ran;
        self.0 += &redact(&format!("$ gce-auth {call}\n{stdout}{stderr}"));
        match ran.code {
            Some(0) => self.0 += "\n",
            Some(code) => self.0 += &format!("[exit code {code}]\n\n"),
            None => self.0 += "[ended by a signal]\n\n",
        }
    }

    fn title(&mut self, text: &str) {
        self.0 += &format!("# {text}\n\n");
    }

    fn ask(&mut self, server: SocketAddr, calls: &[&str]) {
        for call in calls {
            let arguments: Vec<_> = call.split(' ').collect();
            self.add(&arguments, &ask(server, &arguments));
        }
    }

    fn run(&mut self, calls: &[&[&str]]) {
        for arguments in calls {
            self.add(arguments, &run(arguments));
        }
    }
}

#[test]
fn each_form_is_as_it_was() {
    let emulator = Emulator::builder()
        .set("instance/attributes/color", "blue")
        .set("instance/attributes/size", "12")
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .start()
        .unwrap();
    let server = emulator.addr();
    let host = server.to_string();
    let url = emulator.url();
    let mut page = Page::default();
    for format in ["text", "json", "env", "export", "header", "curl"] {
        let token = format!("token --format {format}");
        let id_token = format!("id-token --audience https://a.example --format {format}");
        page.ask(server, &[&token, &id_token]);
    }
    for format in ["text", "json", "curl"] {
        let headers = format!("headers --quota-project billed --format {format}");
        page.ask(server, &[&headers]);
    }
    for format in ["text", "json"] {
        let sign = format!("sign --format {format} --iam-endpoint {url}");
        let arguments: Vec<_> = sign.split(' ').collect();
        page.add(&arguments, &feed(&arguments, &host, b"to be signed"));
    }
    for format in ["text", "json", "curl"] {
        let arguments = format!(
            "sign-url gs://bucket/a --method PUT --format {format} --iam-endpoint {url} --header"
        );
        let arguments: Vec<_> = arguments.split(' ').chain(["content-type: a/b"]).collect();
        page.add(&arguments, &ask(server, &arguments));
    }
    let token = ask(server, &["id-token", "--audience", "https://a.example"]).value();
    let keys = format!("{url}/oauth2/v3/certs");
    let arguments = [
        "verify",
        "--audience",
        "https://a.example",
        "--leeway",
        "10",
        "--jwks-url",
    ];
    let arguments = [&arguments[..], &[&keys]].concat();
    page.add(&arguments, &feed(&arguments, &host, token.as_bytes()));
    page.ask(
        server,
        &[
            "info",
            "info --format json",
            "get instance/zone",
            "get instance/zone --format json",
            "get instance/tags",
            "get instance/tags --json",
            "get instance/attributes/",
            "get --recursive instance/attributes/",
            "get project/attributes/",
            "watch instance/attributes/color --once",
            "watch instance/attributes/ --once --format json",
            "watch instance/nothing --once --missing-ok --json",
            "guest set ns/state ready",
            "guest get ns/state",
            "guest get ns/state --json",
            "guest get ns",
            "guest get ns --format json",
            "guest delete ns/state",
            "detect",
            "detect --format json",
            "wait --verbose",
        ],
    );
    assert_data_eq!(page.0, file!["snapshots/formats.txt"]);
}

#[test]
fn each_failure_is_as_it_was() {
    let mut page = Page::default();
    let emulator = emulator();
    let server = emulator.addr();
    let host = server.to_string();
    let url = emulator.url();

    page.title("connections are refused");
    let every = [
        "token --timeout 0.2",
        "id-token --audience https://a.example --timeout 0.2",
        "id-token --audience https://a.example --via iam --timeout 0.2",
        "headers --timeout 0.2",
        "sign --timeout 0.2",
        "sign-url gs://bucket/object --timeout 0.2",
        "get instance/id --timeout 0.2",
        "guest get ns/key --timeout 0.2",
        "info --timeout 0.2",
        "wait --timeout 2",
        "exec --real --timeout 0.2 -- true",
        "demo --real --timeout 0.2",
    ];
    page.ask(closed_port(), &every);

    page.title("no answer comes");
    let (quiet, _listener) = silent();
    page.ask(
        quiet,
        &["token --timeout 0.2", "get instance/id --timeout 0.2"],
    );

    page.title("an impostor answers");
    let portal = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    page.ask(portal, &["token", "get instance/id", "detect"]);
    let away = answering(
        "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
    );
    page.ask(away, &["token"]);
    page.ask(
        answering("SSH-2.0-OpenSSH_9.2\r\n"),
        &["token --timeout 0.2"],
    );

    page.title("the server refuses, or is in trouble");
    let fault = |path: &str, fault: Fault, call: &str| {
        let mut page = Page::default();
        emulator.fail_next(path, usize::MAX, fault);
        page.ask(server, &[call]);
        emulator.heal();
        page.0
    };
    let status = |code| Fault::Status {
        code,
        retry_after: None,
    };
    for code in [400, 401, 403, 404] {
        page.0 += &fault("instance/", status(code), "token");
    }
    page.0 += &fault("instance/", Fault::MissingFlavor, "token");
    // These are tried until time is up, so all at once.
    let patient = [
        (status(429), "2"),
        (status(503), "2"),
        (Fault::Close, "2"),
        (Fault::Truncate(10), "2"),
        (Fault::Hang, "0.2"),
    ];
    let pages: Vec<_> = patient
        .map(|(fault, timeout)| {
            thread::spawn(move || {
                let emulator = support::emulator();
                emulator.fail_next("instance/", usize::MAX, fault);
                let mut page = Page::default();
                let call = format!("token --timeout {timeout}");
                page.ask(emulator.addr(), &[&call]);
                page.0
            })
        })
        .into_iter()
        .collect();
    for thread in pages {
        page.0 += &thread.join().unwrap();
    }
    let iam = format!("sign --iam-endpoint {url}");
    page.0 += &fault("/v1/", status(403), &iam);
    page.0 += &fault("/v1/", status(404), &iam);

    page.title("something is not there");
    let lonely = Emulator::builder()
        .profile(Profile::GceWithoutAccount)
        .start()
        .unwrap();
    page.ask(
        lonely.addr(),
        &[
            "token",
            "id-token --audience https://a.example",
            "headers",
            "wait --timeout 2",
        ],
    );
    page.ask(
        server,
        &[
            "get instance/nothing",
            "watch instance/nothing",
            "watch instance/zone --count 2 --timeout 0.2",
            "guest set ns/key value",
            "get -r nothing/",
            "token --account other@x",
        ],
    );

    page.title("a token ends too soon");
    page.ask(server, &["token --min-lifetime 86400"]);

    page.title("an ID token is refused");
    let token = ask(server, &["id-token", "--audience", "https://a.example"]).value();
    let keys = format!("{url}/oauth2/v3/certs");
    let forged = format!("{}.AAAA", token.trim().rsplit_once('.').unwrap().0);
    for (audience, email, token) in [
        ("https://other.example", None, token.as_str()),
        ("https://a.example", Some("other@x"), &token),
        ("https://a.example", None, &forged),
        ("https://a.example", None, "nonsense"),
        ("https://a.example", None, ""),
    ] {
        let mut arguments = vec!["verify", "--audience", audience, "--leeway", "10"];
        arguments.extend(["--jwks-url", &keys]);
        arguments.extend(email.iter().flat_map(|email| ["--email", email]));
        page.add(&arguments, &feed(&arguments, &host, token.as_bytes()));
    }
    let arguments = [
        "verify",
        "--audience",
        "a",
        "--jwks-url",
        "http://127.0.0.1:1/keys",
    ];
    page.add(&arguments, &feed(&arguments, &host, token.as_bytes()));

    page.title("arguments and settings make no sense");
    page.run(&[
        &["nonsense"],
        &["token", "--nonsense"],
        &["token", "surplus"],
        &["token", "--timeout", "soon"],
        &["token", "--timeout", "0"],
        &["token", "--format", "xml"],
        &["token", "--quiet", "--verbose"],
        &["token", "--endpoint", "not a host"],
        &["token", "--account", "a/b"],
        &["id-token"],
        &["id-token", "--audience", ""],
        &["id-token", "--audience", "a", "--standard", "--licenses"],
        &["id-token", "--audience", "a", "--via", "iam", "--licenses"],
        &["id-token", "--audience", "a", "--token-uri", "http://a"],
        &["token", "--scopes", ""],
        &["token", "--scopes", " , "],
        &["headers", "--scopes", ""],
        &["headers", "--audience", "a", "--scopes", "b"],
        &["headers", "--quota-project", "two words"],
        &["sign", "no-such-file"],
        &["sign-url", "bucket/object"],
        &["sign-url", "gs://My-Bucket/object"],
        &["sign-url", "gs://192.168.5.4/object"],
        &["sign-url", "gs://bucket/object", "--method", "PATCH"],
        &["sign-url", "gs://bucket/object", "--header", "a"],
        &["sign-url", "gs://bucket/object", "--expires", "604801"],
        &["verify"],
        &["verify", "--audience", "a", "no-such-file"],
        &[
            "verify",
            "--audience",
            "a",
            "--keys",
            "a",
            "--jwks-url",
            "b",
        ],
        &["get"],
        &["get", "a", "--json", "--format", "text"],
        &["watch"],
        &["watch", "a", "--count", "0"],
        &["watch", "a", "--once", "--count", "2"],
        &["guest"],
        &["guest", "set", "namespace", "value"],
        &["guest", "set", "a//b", "value"],
        &["info", "--format", "env"],
        &["detect", "--like", "google-auth", "--endpoint", "a"],
        &["doctor", "--timeout", "-1"],
        &["emulate", "--port", "70000"],
        &["emulate", "--env"],
        &["emulate", "--address", "0.0.0.0"],
        &["emulate", "--allow-from", "10.1.2.3/8"],
        &["emulate", "--certificates", "a"],
        &["emulate", "--scopes", "a"],
        &["emulate", "--account", "a@b", "--scopes", ""],
        &["emulate", "--set", "instance/id/below=1"],
        &["emulate", "--set", "nonsense"],
        &["emulate", "--document", "no-such-file"],
        &["emulate", "--overlay", "no-such-file"],
        &["emulate", "--plan", "no-such-file"],
        &["emulate", "--fault", "path = 1"],
        &[
            "emulate",
            "--fault",
            "path = \"/\", fault = { kind = \"dance\" }",
        ],
        &["emulate", "--keys-directory", "no-such-directory"],
        &["emulate", "--upstream", "nonsense"],
        &["emulate", "--unix-socket", "no-such-directory/socket"],
        &["emulate", "--token-file", "no-such-file"],
        &["exec"],
        &["exec", "--", "no-such-program"],
        &["exec", "--", "/"],
        &["exec", "--real", "--journal", "--", "true"],
        &["exec", "--endpoint", "a", "--", "true"],
        &["demo", "--endpoint", "a"],
        &["completions", "tcsh"],
        &["man", "nonsense"],
    ]);
    assert_data_eq!(page.0, file!["snapshots/errors.txt"]);
}

#[test]
fn what_differs_has_a_name_and_the_rest_stays() {
    for (text, redacted) in [
        ("a b\nc", "a b\nc"),
        ("http://127.0.0.1:8173/x", "http://127.0.0.1:PORT/x"),
        ("t=ya29.c.b0AXv_x-yz012345678", "t=ACCESS_TOKEN"),
        ("valid for 59 min 58 s", "valid for TIME"),
        ("(0.2 ms)", "(TIME)"),
        ("(x, 1 attempt in 703 ms)", "(x, COUNT attempts in TIME)"),
        ("(x, 4 attempts in 1.2 s)", "(x, COUNT attempts in TIME)"),
        ("\"expires_in\": 3598,", "\"expires_in\": COUNT,"),
        ("2026-11-25T14:11:10Z", "DATE"),
        ("30da6c228a4378798d7761ce55bd6c68cf342611", "KEY_ID"),
        ("3 steps, 12 apples", "3 steps, 12 apples"),
    ] {
        assert_eq!(redact(text), redacted);
    }
}
