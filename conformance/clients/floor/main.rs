//! The least that a program can do for a token: one request over one connection, with nothing but
//! the standard library. An access token, or with an audience as argument an ID token. `rustc -O
//! main.rs` builds it.

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default";

fn main() {
    let audience = env::args().nth(1);
    let path = match &audience {
        Some(audience) => format!("{ACCOUNT}/identity?audience={audience}"),
        None => format!("{ACCOUNT}/token"),
    };
    let host = env::var("GCE_METADATA_HOST").expect("GCE_METADATA_HOST names the server");
    let address: SocketAddr = host.parse().expect("it is an address and a port");
    let limit = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, limit).expect("it can be reached");
    stream.set_nodelay(true).expect("a socket has this option");
    stream
        .set_read_timeout(Some(limit))
        .expect("a socket has this option");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n"
    )
    .expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");

    let (head, body) = answer.split_once("\r\n\r\n").expect("it speaks HTTP");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nMetadata-Flavor: Google\r\n"), "{head}");
    if audience.is_some() {
        println!("{body}");
        return;
    }
    let (_, rest) = body
        .split_once("\"access_token\":\"")
        .expect("there is a token");
    let (token, _) = rest.split_once('"').expect("the token has an end");
    println!("{token}");
}
