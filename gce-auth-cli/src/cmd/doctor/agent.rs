//! Whether an agent answers in place of a metadata server, and who it takes this process for.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::cmd::doctor::{network, report::Finding};

/// What an agent says of its caller; metadata servers have nothing there.
const PATH: &str = gce_auth_agent::policy::request::CALLER;
/// More than an agent says.
const LONGEST: u64 = 64 * 1024;

/// Asks who the caller is.
pub(super) fn ask(addresses: &[SocketAddr], endpoint: &str, patience: Duration) -> Finding {
    let (_, Some(stream)) = network::connect(addresses, patience) else {
        return Finding::skipped("not asked for: no connection".to_owned());
    };
    match talk(stream, endpoint, patience) {
        Ok(answer) => judge(&answer),
        Err(error) => Finding::skipped(format!("not asked for: {error}")),
    }
}

fn talk(mut stream: TcpStream, endpoint: &str, patience: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {endpoint}\r\nMetadata-Flavor: Google\r\n\
         User-Agent: gce-auth-doctor\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(answer: &str) -> Finding {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    match (status, serde_json::from_str::<Value>(body)) {
        ("200", Ok(value)) if value["agent"].is_string() => Finding::good(introduction(&value)),
        ("403", _) if body.contains("gce-auth agent check") => Finding::warning(
            format!("an agent that refuses this process: {}", body.trim()),
            "ask the operator of the agent for a rule, or run as a user that has one",
        ),
        _ => Finding::good("none; the metadata server itself answers"),
    }
}

/// `an agent takes this process for uid 1000, pid 42, /usr/bin/x; rule web decides`
fn introduction(value: &Value) -> String {
    let caller = &value["caller"];
    let facts = [
        ("uid ", "uid"),
        ("gid ", "gid"),
        ("pid ", "pid"),
        ("", "exe"),
        ("container ", "container"),
        ("pod ", "pod"),
        ("from ", "address"),
    ];
    let known = facts.iter().filter_map(|(label, key)| match &caller[key] {
        Value::Null => None,
        Value::String(text) => Some(format!("{label}{text}")),
        other => Some(format!("{label}{other}")),
    });
    let known: Vec<_> = known.collect();
    let decides = match value["rule"].as_str() {
        Some("none") | None => "no rule names it".to_owned(),
        Some(rule) => format!("the rule {rule} decides"),
    };
    format!(
        "an agent takes this process for {}; {decides}",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_introduces_its_caller() {
        let found = |status: &str, body: &str| {
            let answer = format!("HTTP/1.1 {status} X\r\nA: b\r\n\r\n{body}");
            format!("{:?}", judge(&answer))
        };
        let body = r#"{"agent":"1","caller":{"uid":7,"pid":null,"exe":"/x","address":"::1"},"rule":"web"}"#;
        let known = "an agent takes this process for uid 7, /x, from ::1; the rule web decides";
        assert!(found("200", body).contains(known), "{}", found("200", body));
        let refusal = "/x is refused by `default`: no; see `gce-auth agent check /x`";
        assert!(found("403", refusal).contains("refuses this process"));
        for (status, body) in [("404", "not found"), ("200", "{}"), ("403", "forbidden")] {
            assert!(found(status, body).contains("none"), "{status}");
        }
    }
}
