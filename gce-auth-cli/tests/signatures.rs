//! Signing, and verifying what others signed.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(
    clippy::disallowed_methods,
    reason = "the one variable says whether openssl has to be there"
)]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use gce_auth_emulator::{Account, Emulator, Fault};
use serde_json::Value;
use support::{answering, ask, closed_port, emulator, feed, gce_auth, run};

#[test]
fn bytes_are_signed_from_standard_input_or_a_file() {
    let emulator = emulator();
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    let sign = ["sign", "--iam-endpoint", &url];
    let from_input = feed(&sign, &server, b"\x00\xffbytes").value();
    assert_eq!(from_input.trim().len(), 344, "{from_input}");
    let file = std::env::temp_dir().join(format!("gce-auth-sign-{}", std::process::id()));
    std::fs::write(&file, b"\x00\xffbytes").unwrap();
    let json = ["--format", "json", file.to_str().unwrap()];
    let from_file = feed(&[&sign[..], &json[..]].concat(), &server, b"").value();
    std::fs::remove_file(&file).unwrap();
    let from_file: Value = serde_json::from_str(&from_file).unwrap();
    assert_eq!(from_file["signature"], from_input.trim());
    assert!(from_file["key_id"].is_string());
}

#[test]
fn a_signature_that_iam_refuses_is_5() {
    let emulator = emulator();
    let fault = Fault::Status {
        code: 403,
        retry_after: None,
    };
    emulator.fail_next("/v1/projects/", usize::MAX, fault);
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    feed(&["sign", "--iam-endpoint", &url], &server, b"x").failure(5);
    let line = run(&["sign", "/no/such/file"]).failure(2);
    assert!(line.contains("/no/such/file"), "{line}");
}

#[test]
fn another_account_signs_through_those_on_the_way() {
    let emulator = Emulator::builder()
        .account(Account::new("caller@p.iam.gserviceaccount.com"))
        .account(Account::new("middle@p.iam.gserviceaccount.com"))
        .account(Account::new("signer@p.iam.gserviceaccount.com"))
        .start()
        .unwrap();
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    let sign = |more: &[&str]| {
        let arguments = [&["sign", "--iam-endpoint", &url][..], more].concat();
        feed(&arguments, &server, b"x")
    };
    let signs = ["--as", "signer@p.iam.gserviceaccount.com", "--delegates"];
    let through = |delegates| sign(&[&signs[..], &[delegates]].concat());
    through("middle@p.iam.gserviceaccount.com").value();
    let asked = emulator.requests();
    let asked = &asked.last().unwrap().path;
    assert!(
        asked.ends_with("signer@p.iam.gserviceaccount.com:signBlob"),
        "{asked}"
    );
    // IAM hears of each of them, and knows only those that there are.
    let line = through("middle@p.iam.gserviceaccount.com,gone@p.example").failure(6);
    assert!(line.contains("gone@p.example"), "{line}");
    let alone = sign(&["--delegates", "middle@p.iam.gserviceaccount.com"]);
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
    assert!(alone.stderr.contains("--as"), "{}", alone.stderr);
}

#[test]
fn a_signed_url_allows_one_thing() {
    let emulator = emulator();
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    let sign = ["sign-url", "--iam-endpoint", &url];
    let print = |more: &[&str]| feed(&[&sign[..], more].concat(), &server, b"");
    let signed = print(&["gs://bucket/a folder/object"]).value();
    let begin = "https://storage.googleapis.com/bucket/a%20folder/object?";
    assert!(signed.starts_with(begin), "{signed}");
    assert!(signed.contains("X-Goog-Expires=900"), "{signed}");
    let upload = print(&[
        "gs://bucket/object",
        "--method",
        "PUT",
        "--expires",
        "60",
        "--header",
        "content-type: text/plain",
        "--query",
        "generation=1",
        "--storage-endpoint",
        "http://127.0.0.1:9",
    ]);
    let upload = upload.value();
    assert!(
        upload.starts_with("http://127.0.0.1:9/bucket/object?"),
        "{upload}"
    );
    for part in ["X-Goog-Expires=60", "content-type", "generation=1"] {
        assert!(upload.contains(part), "{part}: {upload}");
    }
    print(&["gs://bucket"]).value();
    for wrong in [
        &["bucket/object"][..],
        &["gs://"],
        &["gs://Bucket/object"],
        &["gs://bucket/o", "--expires", "700000"],
        &["gs://bucket/o", "--expires", "0.5"],
        &["gs://bucket/o", "--method", "a b"],
        &["gs://bucket/o", "--method", "PATCH"],
        &["gs://bucket/o", "--method", "get"],
        &["gs://bucket/o", "--header", "nothing"],
    ] {
        assert_eq!(print(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_url_that_outlives_the_keys_of_iam_is_told_of() {
    let emulator = emulator();
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    let print = |more: &[&str]| {
        let sign = [
            "sign-url",
            "--iam-endpoint",
            &url,
            "gs://bucket/object",
            "--expires",
        ];
        feed(&[&sign[..], more].concat(), &server, b"")
    };
    let long = print(&["43201"]);
    assert_eq!(long.code, Some(0), "{long:?}");
    assert!(long.stderr.contains("12 hours"), "{long:?}");
    assert!(long.stdout.contains("X-Goog-Expires=43201"), "{long:?}");
    // `value` sees that nothing is said.
    print(&["43200"]).value();
    print(&["43201", "--quiet"]).value();
}

/// Does what the help of `sign` shows.
#[test]
fn openssl_verifies_the_file_that_the_help_makes() {
    let help = run(&["sign", "--help"]).value();
    assert!(help.contains("gce-auth sign --format raw report.pdf > report.pdf.sig"));
    assert!(
        help.contains("openssl dgst -sha256 -verify key.pem -signature report.pdf.sig report.pdf")
    );
    let emulator = emulator();
    let (url, server) = (emulator.url(), emulator.addr().to_string());
    let folder = std::env::temp_dir().join(format!("gce-auth-openssl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let shell = |script: &str, input: &str| {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    std::fs::write(folder.join("report.pdf"), b"%PDF\x00\xff").unwrap();
    let report = folder.join("report.pdf");
    let sign = [
        "sign",
        "--iam-endpoint",
        &url,
        "-v",
        "--format",
        "raw",
        report.to_str().unwrap(),
    ];
    let output = gce_auth(&sign)
        .env("GCE_METADATA_HOST", &server)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::fs::write(folder.join("report.pdf.sig"), &output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let key = said
        .lines()
        .find_map(|line| line.split_once("signed by key "))
        .unwrap()
        .1;

    let email = "emulator@emulator-project.iam.gserviceaccount.com";
    let path = format!("/service_accounts/v1/metadata/x509/{email}");
    let certificates: Value = serde_json::from_str(&fetch(emulator.addr(), &path)).unwrap();
    let certificate = certificates[key].as_str().unwrap();
    let openssl = shell("openssl x509 -pubkey -noout > key.pem", certificate);
    if openssl.status.code() == Some(127) {
        let required = std::env::var("GCE_AUTH_INTEROP").is_ok_and(|value| value == "required");
        assert!(!required, "there is no openssl");
        return;
    }
    let verify = "openssl dgst -sha256 -verify key.pem -signature report.pdf.sig report.pdf";
    let verified = shell(verify, "");
    assert_eq!(verified.stdout, b"Verified OK\n", "{verified:?}");
    std::fs::write(folder.join("report.pdf"), b"another").unwrap();
    assert!(!shell(verify, "").status.success());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The body of an answer.
fn fetch(server: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn an_id_token_is_verified_or_refused_with_a_reason() {
    let emulator = emulator();
    let server = emulator.addr().to_string();
    let audience = "https://a.example";
    let token = ask(emulator.addr(), &["id-token", "--audience", audience]).value();
    let keys = format!("{}/oauth2/v3/certs", emulator.url());
    let verify = |audience: &str, token: &str| {
        let arguments = [
            "verify",
            "--audience",
            audience,
            "--jwks-url",
            &keys,
            "--leeway",
            "10",
        ];
        feed(&arguments, &server, token.as_bytes())
    };
    let claims: Value = serde_json::from_str(&verify(audience, &token).value()).unwrap();
    assert_eq!(claims["aud"], audience);
    assert!(claims["email"].is_string());
    verify(audience, &format!("Bearer {token}")).value();

    let line = verify("https://other.example", &token).failure(1);
    assert!(line.contains("https://other.example"), "{line}");
    let forged = token.trim().rsplit_once('.').unwrap().0;
    let line = verify(audience, &format!("{forged}.AAAA")).failure(1);
    assert!(line.contains("signature"), "{line}");
    verify(audience, "nonsense").failure(1);
    verify(audience, "").failure(1);
}

#[test]
fn keys_that_cannot_be_fetched_are_no_verdict() {
    let emulator = emulator();
    let audience = "https://a.example";
    let token = ask(emulator.addr(), &["id-token", "--audience", audience]).value();
    let keys = format!("http://{}/keys", closed_port());
    let arguments = [
        "verify",
        "--audience",
        audience,
        "--jwks-url",
        &keys,
        "--leeway",
        "10",
    ];
    feed(&arguments, "", token.as_bytes()).failure(3);

    let server = emulator.addr().to_string();
    // A server that has trouble, or says no, or something else than keys, knows nothing of the
    // token.
    for answer in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}",
    ] {
        let keys = format!("http://{}/keys", answering(answer));
        let arguments = [
            "verify",
            "--audience",
            audience,
            "--jwks-url",
            &keys,
            "--timeout",
            "0.5",
        ];
        let line = feed(&arguments, &server, token.as_bytes()).failure(3);
        assert!(line.contains("keys"), "{answer}: {line}");
    }
}

#[test]
fn an_id_token_can_come_through_iam() {
    let emulator = emulator();
    let (url, audience) = (emulator.url(), "https://a.example");
    let exchange = format!("{url}/token");
    let arguments = ["id-token", "--audience", audience, "--via", "iam"];
    let beside = ["--iam-endpoint", &url, "--token-uri", &exchange];
    let arguments = [&arguments[..], &beside[..]].concat();
    let token = ask(emulator.addr(), &arguments).value();
    let asked = |part: &str| {
        let requests = emulator.requests().into_iter();
        requests
            .filter(|request| request.path.contains(part))
            .count()
    };
    assert_eq!((asked(":signBlob"), asked("identity")), (1, 0));
    assert_eq!(emulator.request_count("/token"), 1);
    let keys = format!("{url}/oauth2/v3/certs");
    let verify = [
        "verify",
        "--audience",
        audience,
        "--jwks-url",
        &keys,
        "--leeway",
        "10",
    ];
    let claims = feed(&verify, "", token.as_bytes()).value();
    let claims: Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(claims["aud"], audience);

    let refused = Fault::Status {
        code: 403,
        retry_after: None,
    };
    emulator.fail_next("/v1/", usize::MAX, refused);
    let line = ask(emulator.addr(), &arguments).failure(5);
    assert!(line.contains("signBlob"), "{line}");
}
