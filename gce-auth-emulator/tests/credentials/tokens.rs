//! Access tokens and identity tokens of the metadata server.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use gce_auth_emulator::{Account, Emulator, Profile};
use serde_json::json;

use super::{
    EMAIL, STORAGE, claims,
    client::{get, request, token},
    emulator,
};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

const LOGGING: &str = "https://www.googleapis.com/auth/logging.write";

#[test]
fn an_access_token_counts_down_and_is_replaced_before_its_end() {
    let emulator = emulator();
    let ask = || get(emulator.addr(), "instance/service-accounts/default/token").json();
    let first = ask();
    assert_eq!(first["token_type"], "Bearer");
    let full = first["expires_in"].as_u64().unwrap();
    assert!((3597..=3599).contains(&full), "{full}");

    emulator.advance(Duration::from_secs(3000));
    let second = ask();
    assert_eq!(first["access_token"], second["access_token"]);
    let left = second["expires_in"].as_u64().unwrap();
    assert!((590..=599).contains(&left), "{left}");

    emulator.advance(Duration::from_secs(305));
    let third = ask();
    assert_ne!(first["access_token"], third["access_token"]);
    emulator.rotate_token();
    let fourth = ask();
    assert_ne!(third["access_token"], fourth["access_token"]);
    emulator.set_token_lifetime(Duration::from_secs(60));
    let short = ask();
    assert_ne!(fourth["access_token"], short["access_token"]);
    let left = short["expires_in"].as_u64().unwrap();
    assert!((50..=60).contains(&left), "{left}");

    let as_text = |alt: &str| {
        let path = format!("instance/service-accounts/default/token?alt={alt}");
        get(emulator.addr(), &path)
    };
    let text = as_text("text");
    assert_eq!(text.header("Content-Type"), Some("application/text"));
    let names: Vec<&str> = text
        .text()
        .lines()
        .filter_map(|line| Some(line.split_once(' ')?.0))
        .collect();
    assert_eq!(names, ["access_token", "expires_in", "token_type"]);
    assert_eq!(as_text("json").json()["token_type"], "Bearer");
    assert_eq!(as_text("xml").status, 400);
}

#[test]
fn every_name_of_an_account_has_the_same_token_and_a_stranger_has_none() {
    let emulator = Emulator::builder()
        .account(Account::new("a@p.iam.gserviceaccount.com").alias("robot"))
        .account(Account::new("b@p.iam.gserviceaccount.com"))
        .account(Account::new("c@p.iam.gserviceaccount.com").scopes([""; 0]))
        .start()
        .unwrap();
    let address = emulator.addr();
    let default = token(address, "default");
    assert_eq!(default, token(address, "a@p.iam.gserviceaccount.com"));
    assert_eq!(default, token(address, "robot"));
    assert_ne!(default, token(address, "b@p.iam.gserviceaccount.com"));
    for unknown in ["d@p.iam.gserviceaccount.com", "c@p.iam.gserviceaccount.com"] {
        let answer = get(
            address,
            &format!("instance/service-accounts/{unknown}/token"),
        );
        assert_eq!(answer.status, 404, "{unknown}");
    }
}

#[test]
fn scopes_count_only_where_the_machine_honours_them() {
    let builder = || Emulator::builder().account(Account::new(EMAIL).scopes([STORAGE, LOGGING]));
    let ask = |emulator: &Emulator, query: &str| {
        let path = format!("instance/service-accounts/default/token?{query}");
        get(emulator.addr(), &path)
    };
    let scopes_of = |emulator: &Emulator, query: &str| {
        let answer = ask(emulator, query).json();
        let token = answer["access_token"].as_str().unwrap();
        let target = format!("/oauth2/v3/tokeninfo?access_token={token}");
        request(emulator.addr(), "GET", &target, &[], b"").json()["scope"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let both = format!("{STORAGE} {LOGGING}");
    let escaped = "scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Flogging.write";

    let gce = builder().start().unwrap();
    assert_eq!(scopes_of(&gce, escaped), both);
    assert_eq!(
        scopes_of(&gce, &format!("{escaped}&enforce_scopes=true")),
        LOGGING
    );
    for refused in [
        "enforce_scopes=true".to_owned(),
        format!("{escaped}&enforce_scopes=false"),
        "scopes=https://www.googleapis.com/auth/pubsub&enforce_scopes=1".to_owned(),
    ] {
        assert_eq!(ask(&gce, &refused).status, 400, "{refused}");
    }
    gce.set(
        "instance/attributes/enable-access-token-enforce-scopes",
        "true",
    )
    .unwrap();
    assert_eq!(scopes_of(&gce, escaped), LOGGING);
    assert_eq!(scopes_of(&gce, ""), both);

    let run = builder().profile(Profile::CloudRun).start().unwrap();
    assert_eq!(scopes_of(&run, escaped), LOGGING);
    assert_eq!(scopes_of(&run, ""), both);
}

#[test]
fn an_identity_token_verifies() {
    let emulator = emulator();
    let identity = |query: &str| {
        get(
            emulator.addr(),
            &format!("instance/service-accounts/default/identity?{query}"),
        )
    };
    let standard = claims(
        &emulator,
        identity("audience=https%3A%2F%2Fa.run.app").text(),
    );
    assert_eq!(standard["aud"], "https://a.run.app");
    assert_eq!(standard["iss"], "https://accounts.google.com");
    assert_eq!(standard["azp"], standard["sub"]);
    assert_eq!(
        standard["exp"].as_i64().unwrap() - standard["iat"].as_i64().unwrap(),
        3600
    );
    assert!(standard.get("google").is_none());

    let full = claims(
        &emulator,
        identity("format=full&audience=https://a&licenses=FALSE").text(),
    );
    assert_eq!(full["email"], EMAIL);
    assert_eq!(full["email_verified"], true);
    let machine = &full["google"]["compute_engine"];
    assert_eq!(machine["instance_id"], "5737554347302044216");
    assert!(machine.get("license_id").is_none());
    let licensed = claims(
        &emulator,
        identity("format=full&audience=https://a&licenses=TRUE").text(),
    );
    assert!(licensed["google"]["compute_engine"]["license_id"].is_array());

    for query in ["", "audience=", "format=full"] {
        let answer = identity(query);
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.text(), "non-empty audience parameter required\n");
    }

    let run = Emulator::builder()
        .profile(Profile::CloudRun)
        .start()
        .unwrap();
    let answer = get(
        run.addr(),
        "instance/service-accounts/default/identity?audience=a&format=full",
    );
    let serverless = claims(&run, answer.text());
    assert!(serverless.get("google").is_none());
    assert_eq!(serverless["email"], EMAIL);
}

#[test]
fn a_credential_can_be_bound_to_certificates() {
    let emulator = emulator();
    let post = |leaf: &str, body: &str| {
        request(
            emulator.addr(),
            "POST",
            &format!("/computeMetadata/v1/instance/service-accounts/default/{leaf}"),
            &[
                ("Metadata-Flavor", "Google"),
                ("Content-Type", "application/json"),
            ],
            body.as_bytes(),
        )
    };
    let body = json!({ "certificate_chain": PEM }).to_string();
    let bound = post("token", &body);
    assert_eq!(bound.status, 200);
    assert_ne!(
        bound.json()["access_token"],
        token(emulator.addr(), "default")
    );
    assert_eq!(post("identity?audience=a", &body).status, 200);
    for bad in [
        "",
        "{}",
        "[]",
        "no",
        "{\"certificate_chain\":\"\"}",
        "{\"certificate_chain\":\"x\"}",
    ] {
        assert_eq!(post("token", bad).status, 400, "{bad}");
    }
    assert_eq!(post("email", &body).status, 405);
    let waiting = get(
        emulator.addr(),
        "instance/service-accounts/default/token?wait_for_change=true",
    );
    assert_eq!(waiting.status, 400);
}

#[test]
fn tokens_can_come_from_elsewhere() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let emulator = Emulator::builder()
        .account(Account::new(EMAIL).scopes([STORAGE]))
        .account(Account::new("broken@p.iam.gserviceaccount.com"))
        .token_source(move |email, scopes| {
            if email != EMAIL {
                return Err(format!("no <token> for {email}"));
            }
            assert_eq!(scopes, [STORAGE]);
            let call = counted.fetch_add(1, Ordering::SeqCst);
            Ok((format!("foreign-{call}"), Duration::from_secs(1000)))
        })
        .start()
        .unwrap();
    assert_eq!(token(emulator.addr(), "default"), "foreign-0");
    assert_eq!(token(emulator.addr(), "default"), "foreign-0");
    emulator.advance(Duration::from_secs(701));
    // The one that is valid is handed out while its successor takes longer than a moment.
    while token(emulator.addr(), "default") == "foreign-0" {}
    assert_eq!(token(emulator.addr(), "default"), "foreign-1");
    emulator.rotate_token();
    assert_eq!(token(emulator.addr(), EMAIL), "foreign-2");
    let failed = get(
        emulator.addr(),
        "instance/service-accounts/broken@p.iam.gserviceaccount.com/token",
    );
    assert_eq!(failed.status, 500);
    assert_eq!(
        failed.text(),
        "no &lt;token&gt; for broken@p.iam.gserviceaccount.com\n"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_token_that_nobody_waits_for_any_more_is_there_for_the_next() {
    let (entered, entries) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let emulator = Emulator::builder()
        .token_source(move |_, _| {
            entered.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            Ok(("slow".to_owned(), Duration::from_secs(3600)))
        })
        .start()
        .unwrap();
    let mut impatient = TcpStream::connect(emulator.addr()).unwrap();
    impatient
        .write_all(
            b"GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n\
              Host: m\r\nMetadata-Flavor: Google\r\n\r\n",
        )
        .unwrap();
    entries.recv().unwrap();
    drop(impatient);
    // It was noticed that it went: the journal has the request as one without an answer.
    while emulator.requests()[0].duration.is_none() {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    assert_eq!(token(emulator.addr(), "default"), "slow");
    assert!(entries.try_recv().is_err(), "it was fetched twice");
}
