//! Requests that drive an emulator which runs.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use serde_json::Value;

use crate::{
    env,
    exit::{Exit, Failure},
    options::ClientArgs,
};

/// The time for the connection, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST: u64 = 16 << 20;
/// The variable with the bearer token of control requests from other machines.
const TOKEN: &str = "GCE_AUTH_EMULATOR_CONTROL_TOKEN";

/// Asks the emulator that commands find as their metadata server.
pub(super) fn ask(
    server: &ClientArgs,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let endpoint = server.client_without_deadline()?.endpoint()?;
    let patience = server.timeout.unwrap_or(PATIENCE);
    let answer = talk(&endpoint, patience, method, path, body).map_err(|error| {
        let why = format!(
            "no emulator answers at {endpoint}: {error}; start one with `gce-auth emulate`, and name \
             it with --endpoint or GCE_METADATA_HOST"
        );
        Failure::new(Exit::NoServer, why)
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let other = || {
        let why = format!(
            "what answers at {endpoint} is no emulator of gce-auth; start one with `gce-auth emulate`, \
             and name it with --endpoint or GCE_METADATA_HOST"
        );
        Failure::new(Exit::Failed, why)
    };
    let answer: Value = serde_json::from_str(body).map_err(|_| other())?;
    let why = answer["error"].as_str();
    match (status, why) {
        ("200", _) => Ok(answer),
        ("401", _) => Err(Failure::new(
            Exit::Refused,
            format!("the emulator at {endpoint} needs the token that it printed: set {TOKEN}"),
        )),
        ("400", Some(why)) => Err(Failure::new(Exit::Usage, why)),
        ("403", Some(why)) => Err(Failure::new(Exit::Refused, why)),
        ("404", Some(why)) => Err(Failure::new(Exit::NotFound, why)),
        (_, Some(why)) => Err(Failure::new(Exit::Failed, why)),
        (_, None) => Err(other()),
    }
}

fn talk(
    endpoint: &str,
    patience: Duration,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<String> {
    let mut stream = connect(endpoint, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let token = env::var(TOKEN).filter(|token| !token.contains(['\r', '\n']));
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{method} /emulator/v1/{path} HTTP/1.1\r\nHost: {endpoint}\r\n{authorization}Content-Type: \
         application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Connects to a host with or without a port.
fn connect(endpoint: &str, patience: Duration) -> io::Result<TcpStream> {
    let addresses = endpoint
        .to_socket_addrs()
        .or_else(|_| (endpoint, 80).to_socket_addrs())?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
