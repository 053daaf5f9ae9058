//! An emulator that lies over another metadata server.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use client::{get, request, token};
use gce_auth_emulator::{Account, Emulator, EmulatorBuilder, Profile};

fn over(below: &Emulator) -> EmulatorBuilder {
    Emulator::builder().upstream(below.url())
}

/// Answers one connection with these bytes.
fn impostor(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
    });
    address
}

#[test]
fn values_and_tokens_come_from_the_other_server_as_they_are() {
    let below = Emulator::builder().start().unwrap();
    let above = over(&below).start().unwrap();
    for path in [
        "instance/id",
        "instance/tags",
        "instance/disks/?recursive=true",
        "instance/service-accounts/default/email",
        "instance/nothing",
        "?recursive=true",
    ] {
        let (here, there) = (get(above.addr(), path), get(below.addr(), path));
        assert_eq!(
            (here.status, &here.body),
            (there.status, &there.body),
            "{path}"
        );
        assert_eq!(here.names(), there.names(), "{path}");
        assert_eq!(here.header("ETag"), there.header("ETag"), "{path}");
    }
    assert_eq!(
        token(above.addr(), "default"),
        token(below.addr(), "default")
    );
    let redirect = get(above.addr(), "instance");
    assert_eq!(
        redirect.header("Location"),
        Some("http://metadata.google.internal/computeMetadata/v1/instance/")
    );
    let missing = request(
        above.addr(),
        "GET",
        "/computeMetadata/v1/instance/id",
        &[],
        b"",
    );
    assert_eq!(missing.status, 403);
}

#[test]
fn who_asks_is_passed_on_and_how_often() {
    let below = Emulator::builder().start().unwrap();
    let above = over(&below).start().unwrap();
    request(
        above.addr(),
        "GET",
        "/computeMetadata/v1/instance/id",
        &[
            ("Metadata-Flavor", "Google"),
            ("User-Agent", "me"),
            ("X-Goog-Api-Client", "gl-x/1"),
        ],
        b"",
    );
    let seen = &below.requests()[0];
    assert_eq!(seen.header("user-agent"), Some("me"));
    assert_eq!(seen.header("x-goog-api-client"), Some("gl-x/1"));
    assert_eq!(seen.header("x-forwarded-for"), None);
    let host = below.addr().to_string();
    assert_eq!(seen.header("host"), Some(host.as_str()));
}

#[test]
fn what_is_set_here_lies_over_it() {
    let below = Emulator::builder()
        .set("instance/attributes/a", "below")
        .set("instance/attributes/b", "below")
        .start()
        .unwrap();
    let above = over(&below)
        .set("instance/attributes/b", "above")
        .set("instance/attributes/c", "above")
        .account(Account::new("here@p"))
        .start()
        .unwrap();
    let at = |path: &str| get(above.addr(), path);
    assert_eq!(at("instance/attributes/a").text(), "below");
    assert_eq!(at("instance/attributes/b").text(), "above");
    assert_eq!(at("instance/attributes/").text(), "a\nb\nc\n");
    assert_eq!(
        at("instance/attributes/?recursive=true").text(),
        r#"{"a":"below","b":"above","c":"above"}"#
    );
    let whole = at("?recursive=true").json();
    assert_eq!(whole["instance"]["attributes"]["c"], "above");
    assert_eq!(whole["project"]["projectId"], "emulator-project");
    assert_ne!(
        token(above.addr(), "here@p"),
        token(below.addr(), "default")
    );
    below.set("instance/attributes/d", "below").unwrap();
    assert_eq!(at("instance/attributes/").text(), "a\nb\nc\nd\n");
}

#[test]
fn a_change_on_either_side_wakes_who_waits() {
    let below = Emulator::builder().start().unwrap();
    let above = over(&below)
        .set("instance/attributes/a", "1")
        .start()
        .unwrap();
    let path = "instance/attributes/?recursive=true&wait_for_change=true";
    let address = above.addr();
    let wait = |path: String| {
        let waiter = thread::spawn(move || get(address, &path).text().to_owned());
        while below.waiting() == 0 || above.waiting() == 0 {
            thread::yield_now();
        }
        waiter
    };
    let waiter = wait(path.into());
    above.set("instance/attributes/a", "2").unwrap();
    assert_eq!(waiter.join().unwrap(), r#"{"a":"2"}"#);
    while below.waiting() > 0 {
        thread::yield_now();
    }
    let waiter = wait(path.into());
    below.set("instance/attributes/b", "3").unwrap();
    assert_eq!(waiter.join().unwrap(), r#"{"a":"2","b":"3"}"#);

    let etag = get(address, "instance/attributes/?recursive=true");
    let etag = etag.header("ETag").unwrap().to_owned();
    let stale = get(address, &format!("{path}&last_etag=0"));
    assert_eq!(stale.header("ETag"), Some(etag.as_str()));
    let late = get(address, &format!("{path}&last_etag={etag}&timeout_sec=0"));
    assert_eq!(late.header("ETag"), Some(etag.as_str()));

    let waiter = wait("instance/zone?wait_for_change=true".into());
    below.set("instance/zone", "z").unwrap();
    assert_eq!(waiter.join().unwrap(), "z");
}

#[test]
fn what_changes_nothing_here_wakes_nobody() {
    // A directory that is here alone: the other server answers its watch at once, 404.
    let below = Emulator::builder().profile(Profile::Gke).start().unwrap();
    let above = over(&below)
        .set("instance/scheduling/preemptible", "TRUE")
        .start()
        .unwrap();
    let address = above.addr();
    let path = "instance/scheduling/?recursive=true";
    assert_eq!(get(below.addr(), path).status, 404);
    let waiting = |path: &str| {
        let etag = get(address, path).header("ETag").unwrap().to_owned();
        format!("{path}&wait_for_change=true&last_etag={etag}")
    };
    let watch = |path: &str| {
        let path = waiting(path);
        thread::spawn(move || get(address, &path).text().to_owned())
    };
    get(address, &format!("{}&timeout_sec=1", waiting(path)));
    let waited = above.requests().pop().unwrap().duration;
    assert!(waited >= Some(Duration::from_secs(1)), "{waited:?}");
    let waiter = watch(path);
    while above.waiting() == 0 {
        thread::yield_now();
    }
    above
        .set("instance/scheduling/preemptible", "FALSE")
        .unwrap();
    assert_eq!(waiter.join().unwrap(), r#"{"preemptible":"FALSE"}"#);

    // The other server is asked again, as it does not tell of what it does not have.
    let refused = || {
        let requests = below.requests().into_iter();
        requests
            .filter(|request| request.status == Some(404))
            .count()
    };
    let before = refused();
    let waiter = watch(path);
    while refused() < before + 2 {
        thread::yield_now();
    }
    below
        .set("instance/scheduling/on-host-maintenance", "MIGRATE")
        .unwrap();
    let whole = waiter.join().unwrap();
    assert!(
        whole.contains("MIGRATE") && whole.contains("FALSE"),
        "{whole}"
    );

    // A value of there that another lies over.
    below.set("instance/attributes/a", "1").unwrap();
    above.set("instance/attributes/a", "here").unwrap();
    let waiter = watch("instance/attributes/?recursive=true");
    let asked = || {
        let requests = below.requests().into_iter();
        requests
            .filter(|request| request.query.contains("wait_for_change"))
            .count()
    };
    while below.waiting() == 0 {
        thread::yield_now();
    }
    let before = asked();
    below.set("instance/attributes/a", "2").unwrap();
    while !waiter.is_finished() && asked() == before {
        thread::yield_now();
    }
    assert!(!waiter.is_finished(), "{}", waiter.join().unwrap());
    below.set("instance/attributes/b", "3").unwrap();
    let whole = waiter.join().unwrap();
    assert!(whole.starts_with(r#"{"a":"here","b":"3","#), "{whole}");
}

#[test]
fn guest_attributes_are_written_there() {
    let below = Emulator::builder()
        .set("instance/attributes/enable-guest-attributes", "TRUE")
        .start()
        .unwrap();
    let above = over(&below).start().unwrap();
    let path = "instance/guest-attributes/ns/key";
    let put = |method: &str, body: &[u8]| {
        let target = format!("/computeMetadata/v1/{path}");
        request(
            above.addr(),
            method,
            &target,
            &[("Metadata-Flavor", "Google")],
            body,
        )
        .status
    };
    assert_eq!(put("PUT", b"v"), 200);
    assert_eq!(get(below.addr(), path).text(), "v");
    assert_eq!(put("DELETE", b""), 200);
    assert_eq!(get(above.addr(), path).status, 404);
}

#[test]
fn what_cannot_be_asked_is_502_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = taken.local_addr().unwrap();
    drop(taken);
    let flavorless = impostor(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let broken =
        impostor(b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 9\r\n\r\nhi");
    let noise = impostor(b"SSH-2.0-OpenSSH_9.6\r\n");
    for (address, part) in [
        (closed, "refused"),
        (flavorless, "no metadata server"),
        (broken, "broke off"),
        (noise, "http://127.0.0.1"),
    ] {
        let above = Emulator::builder()
            .upstream(format!("http://{address}"))
            .start()
            .unwrap();
        let answer = get(above.addr(), "instance/id");
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains(part), "{}", answer.text());
        assert_eq!(
            answer.header("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
    }
    let error = Emulator::builder()
        .upstream("https://metadata.google.internal")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("http://"), "{error}");
}

#[test]
fn a_circle_of_emulators_ends() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let own = Emulator::builder()
        .address(address)
        .upstream(format!("http://{address}"))
        .start()
        .unwrap();
    let answer = get(own.addr(), "instance/id");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("upstream"), "{}", answer.text());
    assert_eq!(own.requests().len(), 5);
}
