//! Who may connect, where the emulator can be reached from other machines.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

mod client;

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
};

use client::{connect, get};
use gce_auth_emulator::Emulator;

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

fn everywhere() -> SocketAddr {
    "0.0.0.0:0".parse().unwrap()
}

#[test]
fn who_is_not_allowed_gets_no_byte_and_is_told_of() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let emulator = Emulator::builder()
        .address(everywhere())
        .allow_from("198.51.100.0/24")
        .on_event(move |event| seen.lock().unwrap().push(event.to_string()))
        .start()
        .unwrap();
    let port = emulator.addr().port();
    let local = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(
        get(local, "instance/id").status,
        200,
        "this machine itself is always allowed"
    );
    let Some(own) = own_address() else { return };
    let mut stream = connect((own, port).into());
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    // The next connection comes after it.
    get(local, "instance/id");
    let line = format!("a connection from {own} was closed: it is of no network that is allowed");
    assert!(told.lock().unwrap().contains(&line), "{told:?}");
    assert_eq!(emulator.request_count("/"), 0);
}

#[test]
fn who_is_allowed_is_answered_but_does_not_drive() {
    let Some(own) = own_address() else { return };
    let emulator = Emulator::builder()
        .address(everywhere())
        .allow_from("198.51.100.0/24")
        .allow_from(own.to_string())
        .start()
        .unwrap();
    let address = SocketAddr::new(own, emulator.addr().port());
    assert_eq!(get(address, "instance/id").status, 200);
    let mut stream = connect(address);
    stream
        .write_all(
            b"GET /emulator/v1/requests HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn its_variables_name_an_address_to_connect_to() {
    let emulator = Emulator::builder().address(everywhere()).start().unwrap();
    let port = emulator.addr().port();
    assert_eq!(emulator.url(), format!("http://127.0.0.1:{port}"));
    assert_eq!(emulator.env()[0].1, format!("127.0.0.1:{port}"));
    assert!(emulator.addr().ip().is_unspecified());
}

#[test]
fn a_network_that_is_none_is_refused() {
    for text in ["10.0.0.0/33", "everybody", "10.1.2.3/8"] {
        let error = Emulator::builder().allow_from(text).start().unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("`{text}` is no network: ")),
            "{error}"
        );
    }
}

#[test]
fn a_host_that_is_no_name_is_refused() {
    for text in ["a b", "*", "http://example.com"] {
        let error = Emulator::builder().allow_host(text).start().unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("`{text}` is no host name: ")),
            "{error}"
        );
    }
}
