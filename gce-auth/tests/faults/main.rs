//! Answers that are odd, wrong or never whole, byte by byte over real sockets:
//! what becomes a token, what becomes which error, and how often it is asked.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod access_tokens;
mod bodies;
mod connections;
mod heads;
mod id_tokens;
mod server;
mod statuses;
mod universes;

use std::thread;

use gce_auth::{Credentials, Error, ErrorKind, MetadataClient};
use server::{Server, Step};

const GOOD: &str = r#"{"access_token":"ya29.good","expires_in":3599,"token_type":"Bearer"}"#;
const AUDIENCE: &str = "https://service.example";

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A token, after so many requests.
    Token(usize),
    /// An error of this kind, after one request: it is final for the call.
    Final(ErrorKind),
    /// An error of this kind, after several requests.
    Transient(ErrorKind),
    /// No metadata server, after it was also asked for `/`.
    Impostor,
}

use Due::{Final, Impostor, Token, Transient};

/// Asks for what `ask` asks for, and says what is not as it is due.
fn judge<T>(
    name: &str,
    script: Vec<Vec<Step>>,
    due: Due,
    ask: impl FnOnce(&MetadataClient) -> Result<T, Error>,
    expected: impl FnOnce(&T) -> bool,
) -> Option<String> {
    let server = Server::new(script);
    let outcome = ask(&server.client());
    let requests = server.requests();
    let wrong = match (due, &outcome) {
        (Token(times), Ok(value)) => !expected(value) || requests != times,
        (Final(kind), Err(error)) => error.kind() != kind || requests != 1,
        (Transient(kind), Err(error)) => error.kind() != kind || requests < 2,
        (Impostor, Err(error)) => error.kind() != ErrorKind::NotMetadataServer || requests != 2,
        _ => true,
    };
    let outcome = outcome.map(|_| "a value");
    wrong.then(|| format!("{name}: due {due:?}, got {outcome:?} after {requests} requests"))
}

/// Every case at once: most of the time they wait.
fn all<T, C: Send + Sync>(
    cases: &[(&'static str, C, Due)],
    script: impl Fn(&C) -> Vec<Vec<Step>> + Sync,
    ask: impl Fn(&MetadataClient) -> Result<T, Error> + Sync,
    expected: impl Fn(&T) -> bool + Sync,
) {
    let wrong: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|(name, case, due)| {
                let (script, ask, expected) = (&script, &ask, &expected);
                scope.spawn(move || judge(name, script(case), *due, ask, expected))
            })
            .collect();
        running
            .into_iter()
            .filter_map(|case| case.join().unwrap())
            .collect()
    });
    assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
}

/// Unshared, as a port that was free is another case's soon, and an entry lingers.
fn access_token(client: &MetadataClient) -> Result<String, Error> {
    let credentials = Credentials::builder()
        .client(client.clone())
        .shared(false)
        .build()?;
    Ok(credentials.blocking_token()?.secret().to_owned())
}

fn access_tokens(cases: &[(&'static str, Vec<Vec<Step>>, Due)]) {
    all(cases, Clone::clone, access_token, |token| {
        token == "ya29.good"
    });
}

fn repeated(text: &str, times: usize) -> String {
    text.repeat(times)
}
