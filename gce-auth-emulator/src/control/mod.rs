//! Requests below `/emulator/v1/`: what a program in another language may ask of the emulator that
//! runs for it.

use std::time::Duration;

use gce_auth_server::protocol::{Method, Reply, query::Query, tree::Node};
use serde_json::{Map, Value, json};

use crate::{
    clock::Instant,
    document::places::segments,
    error::SetError,
    events::event_config::ScheduleConfig,
    faults::fault_config::RuleConfig,
    feed::{self, Since},
    journal::Entry,
    policy::settings::CloudConfig,
    state::{LISTENERS, State},
};

/// How large a body may be but that of a document's part, which may have 1 MiB, as all requests.
const MAX_BODY: usize = 64 * 1024;

/// A request about the emulator itself.
pub(crate) struct ControlCall {
    pub(crate) method: Method,
    /// Below `/emulator/v1/`.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) body: Vec<u8>,
}

/// Answers a control request.
pub(crate) fn answer(state: &State, call: &ControlCall) -> Reply {
    if call.body.len() > MAX_BODY && !call.path.starts_with("document") {
        return refused(413, "the body is too large: at most 64 KiB are");
    }
    let Some(path) = decoded(&call.path) else {
        return refused(400, "the path must be UTF-8, percent-encoded");
    };
    let (resource, rest) = path.split_once('/').unwrap_or((&path, ""));
    let done = || Ok(json!({}));
    let answer = match (&call.method, resource, rest) {
        (Method::Get, "document", path) => read(state, path),
        (Method::Put, "document", path) => text(&call.body)
            .and_then(|json| {
                let set = state.document.set_json(path, json);
                set.map_err(|error| unset(&error))
            })
            .map(|()| json!({})),
        (Method::Delete, "document", path) => read(state, path)
            .and_then(|_| state.document.remove(path).map_err(|error| unset(&error)))
            .map(|()| json!({})),
        (Method::Get, "requests", "") => Ok(requests(state, call.query.get("path"))),
        (Method::Get, "requests", id) => request(state, id),
        (Method::Get, "news", "") => news(state, &call.query),
        (Method::Delete, "requests", "") => {
            state.journal().clear();
            done()
        }
        (Method::Post, "assertions", "") => assertion(state, &call.body),
        (Method::Get, "faults", "") => Ok(state.faults_as_json()),
        (Method::Post, "faults", "") => add_fault(state, &call.body),
        (Method::Delete, "faults", "") => {
            state.rules().clear();
            done()
        }
        (Method::Delete, "faults", id) => remove_fault(state, id),
        (Method::Get, "machine-events", "") => Ok(state.machine_events_as_json()),
        (Method::Post, "machine-events", "") => add_machine_event(state, &call.body),
        (Method::Delete, "machine-events", "") => {
            state.cancel_events();
            done()
        }
        (Method::Delete, "machine-events", id) => cancel_machine_event(state, id),
        (Method::Get, "openapi.json", "") => {
            return Reply::own("application/json", include_str!("openapi.json"));
        }
        (Method::Get, "clock", "") => Ok(time(state)),
        (Method::Post, "clock", "") => clock(state, &call.body),
        (Method::Get, "tokens", "") => Ok(tokens(state)),
        (Method::Post, "tokens", "") => set_tokens(state, &call.body),
        (Method::Get, "tokens", "current") => Ok(state.issued_tokens()),
        (Method::Delete, "tokens", rest) if rest.starts_with("current/") => {
            if state.revoke_issued(&rest["current/".len()..]) {
                done()
            } else {
                Err(refused(404, "there is no such token"))
            }
        }
        (Method::Post, "tokens", "rotate") => {
            state.issuer().rotate();
            done()
        }
        (Method::Post, "tokens", "revoke") => {
            state.issuer().revoke();
            done()
        }
        (Method::Get, "cloud", "") => Ok(cloud(state)),
        (Method::Get, "cloud", "openapi.json") => {
            return Reply::own("application/json", include_str!("cloud_openapi.json"));
        }
        (Method::Put, "cloud", "") => set_cloud(state, &call.body),
        (Method::Post, "reset", "") => {
            state.reset();
            done()
        }
        (_, resource, rest) => Err(no_such(resource, rest)),
    };
    answer.map_or_else(|reply| reply, |body| Reply::control(200, &body))
}

/// A path without its escapes: keys of the document may have `#`, `?` and spaces. A `%` that
/// escapes nothing stands for itself.
fn decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest
            .get(at + 1..at + 3)
            .filter(|code| code.bytes().all(|it| it.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                out.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).ok()
}

fn refused(status: u16, why: &str) -> Reply {
    Reply::control(status, &json!({ "error": why }))
}

/// 405 for a known place with another method, else 404.
fn no_such(resource: &str, rest: &str) -> Reply {
    let allow = match (resource, rest) {
        ("document", _) => "GET, PUT, DELETE",
        ("requests", "") => "GET, DELETE",
        ("faults" | "machine-events", "") => "GET, POST, DELETE",
        ("faults" | "machine-events", _) => "DELETE",
        ("clock" | "tokens", "") => "GET, POST",
        ("cloud", "") => "GET, PUT",
        ("tokens", rest) if rest.starts_with("current/") => "DELETE",
        ("requests", _)
        | ("tokens", "current")
        | ("events" | "news" | "openapi.json", "")
        | ("cloud", "openapi.json") => "GET",
        ("assertions" | "reset", "") | ("tokens", "rotate" | "revoke") => "POST",
        _ => return refused(404, "there is no such control request"),
    };
    refused(405, "this is asked with another method").with("Allow", allow)
}

fn unset(error: &SetError) -> Reply {
    refused(409, &error.to_string())
}

fn text(body: &[u8]) -> Result<&str, Reply> {
    std::str::from_utf8(body).map_err(|_| refused(400, "the body must be UTF-8"))
}

/// A JSON object with no other keys than these: a misspelt one is an error.
fn object(body: &[u8], keys: &[&str]) -> Result<Value, Reply> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => match unknown(&map, keys) {
            None => Ok(Value::Object(map)),
            Some(key) => Err(refused(400, &format!("`{key}` is not known here"))),
        },
        _ => Err(refused(400, "the body must be a JSON object")),
    }
}

fn unknown<'a>(map: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a String> {
    map.keys().find(|key| !keys.contains(&key.as_str()))
}

/// A part of the document as it is kept, with what the metadata server would hide.
fn read(state: &State, path: &str) -> Result<Value, Reply> {
    let segments = segments(path).map_err(|error| refused(404, &error.to_string()))?;
    state
        .document
        .read(|document| Node::find(document, &segments).map(|node| node.value.clone()))
        .ok_or_else(|| refused(404, "there is no such path"))
}

fn requests(state: &State, path: Option<&str>) -> Value {
    let mut shown = Vec::new();
    state.each_request(
        |entry| path.is_none_or(|path| entry.path() == path),
        |request| shown.push(request.to_json()),
    );
    json!({ "requests": shown })
}

/// One request, with everything that is known of it.
fn request(state: &State, id: &str) -> Result<Value, Reply> {
    let id = id.parse().unwrap_or(0);
    let shown = state.journal().get(id).map(Entry::show);
    shown
        .map(|request| request.to_json())
        .ok_or_else(|| refused(404, "there is no such request, or it was forgotten"))
}

/// What is new to a page that knows the requests up to `after`.
fn news(state: &State, query: &Query) -> Result<Value, Reply> {
    const MOST: usize = 1000;
    // As exact as JavaScript's numbers, and no sign before them.
    let whole = |text: &str| {
        let digits = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let number = |name: &str, default: u64| match query.get(name) {
        None => Ok(default),
        Some(text) => whole(text)
            .ok_or_else(|| refused(400, &format!("{name} must be a whole number below 10^15"))),
    };
    if let Some(name) = query.repeated() {
        return Err(refused(400, &format!("{name} stands more than once")));
    }
    let limit = number("limit", 200)?;
    if limit > MOST as u64 {
        return Err(refused(400, "limit must be at most 1000"));
    }
    let pending: Option<Vec<u64>> = match query.non_empty("pending") {
        None => Some(Vec::new()),
        Some(ids) => ids.split(',').map(whole).collect(),
    };
    let since = Since {
        after: number("after", 0)?,
        pending: pending
            .filter(|ids| ids.len() <= MOST)
            .ok_or_else(|| refused(400, "pending must be at most 1000 whole numbers"))?,
    };
    Ok(feed::news(state, since, limit))
}

/// The beginning of a stream of events.
pub(crate) fn stream() -> Reply {
    Reply::own("text/event-stream", "").with("Cache-Control", "no-store")
}

/// The refusal of a stream.
pub(crate) fn too_many_listeners() -> Reply {
    let why = format!(
        "{LISTENERS} listen already, which is the most: close one, or ask GET /emulator/v1/news?after=ID again and again"
    );
    refused(503, &why)
}

/// Whether a path was asked as often as a test expects, with the parameters it expects.
fn assertion(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let body = object(body, &["path", "times", "parameters"])?;
    let (Some(path), Some(times)) = (body["path"].as_str(), body["times"].as_u64()) else {
        return Err(refused(400, "path and times are needed"));
    };
    let mut parameters = Vec::new();
    match body.get("parameters") {
        None => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let value = value
                    .as_str()
                    .ok_or_else(|| refused(400, "parameters must be strings"))?;
                parameters.push((name.clone(), value.to_owned()));
            }
        }
        Some(_) => return Err(refused(400, "parameters must be an object")),
    }
    let count = state.matching_requests(path, &parameters);
    if u64::try_from(count) == Ok(times) {
        return Ok(json!({ "count": count }));
    }
    let why = format!("{path} was asked {count} times, not {times}");
    Err(Reply::control(409, &json!({"count": count, "error": why})))
}

fn time(state: &State) -> Value {
    json!({
        "now": state.clock.now().rfc3339_millis(),
        "frozen": state.clock.is_frozen(),
    })
}

/// Sets, moves and stops the clock, in this order.
fn clock(state: &State, body: &[u8]) -> Result<Value, Reply> {
    const CENTURY: i64 = 36_525 * 86_400;
    let body = object(body, &["now", "advanceSeconds", "frozen"])?;
    let wrong = |why: &str| refused(400, why);
    let given = |name: &str| body.get(name);
    let to = given("now").map(|now| {
        let time = now.as_str().and_then(Instant::parse_rfc3339);
        time.ok_or_else(|| wrong("now must be a time like 2026-01-31T12:00:00Z"))
    });
    let by = given("advanceSeconds").map(|by| {
        let seconds = by.as_i64().filter(|by| by.abs() <= CENTURY);
        seconds.ok_or_else(|| wrong("advanceSeconds must be a whole number, 100 years at most"))
    });
    let frozen = given("frozen").map(|frozen| {
        let frozen = frozen.as_bool();
        frozen.ok_or_else(|| wrong("frozen must be true or false"))
    });
    let (to, by, frozen) = (to.transpose()?, by.transpose()?, frozen.transpose()?);
    if to.is_none() && by.is_none() && frozen.is_none() {
        return Err(wrong("now, advanceSeconds or frozen is needed"));
    }
    if let Some(to) = to {
        state.clock.set(to);
    }
    if let Some(by) = by {
        let (now, length) = (state.clock.now(), Duration::from_secs(by.unsigned_abs()));
        let then = if by < 0 {
            now.minus(length)
        } else {
            now.plus(length)
        };
        state.clock.set(then);
    }
    if let Some(frozen) = frozen {
        state.clock.freeze(frozen);
    }
    Ok(time(state))
}

fn tokens(state: &State) -> Value {
    let issuer = state.issuer();
    json!({
        "lifetimeSeconds": issuer.lifetime().as_secs(),
        "renewalSeconds": issuer.margin().as_secs(),
    })
}

/// What was configured about the APIs beside the server, without its defaults.
fn cloud(state: &State) -> Value {
    json!(state.cloud.settings().config())
}

/// Replaces all that was configured about the APIs beside the server.
fn set_cloud(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let settings = CloudConfig::parse(text(body)?)
        .and_then(CloudConfig::compile)
        .map_err(|why| refused(400, &why))?;
    state.cloud.set(settings);
    Ok(cloud(state))
}

/// How long the access tokens live that are made from now on.
fn set_tokens(state: &State, body: &[u8]) -> Result<Value, Reply> {
    const YEAR: u64 = 365 * 86_400;
    let body = object(body, &["lifetimeSeconds", "renewalSeconds"])?;
    let seconds = |name: &str, least: u64| match body.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .filter(|seconds| (least..=YEAR).contains(seconds))
            .map(|seconds| Some(Duration::from_secs(seconds)))
            .ok_or_else(|| refused(400, &format!("{name} must be from {least} to {YEAR}"))),
    };
    let (lifetime, renewal) = (
        seconds("lifetimeSeconds", 1)?,
        seconds("renewalSeconds", 0)?,
    );
    let mut issuer = state.issuer();
    if let Some(lifetime) = lifetime {
        issuer.set_lifetime(lifetime);
    }
    if renewal.is_some() {
        issuer.set_margin(renewal);
    }
    drop(issuer);
    Ok(tokens(state))
}

/// Adds a fault; answers with its number.
fn add_fault(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let rule = serde_json::from_slice(body)
        .map_err(|error| error.to_string())
        .and_then(|form: RuleConfig| form.rule(0))
        .map_err(|why| refused(400, &why))?;
    Ok(json!({ "id": state.add_fault(rule) }))
}

fn remove_fault(state: &State, id: &str) -> Result<Value, Reply> {
    if id.parse().is_ok_and(|id| state.rules().remove(id)) {
        Ok(json!({}))
    } else {
        Err(refused(404, "there is no such fault"))
    }
}

/// Has something happen to the machine; answers with its number.
fn add_machine_event(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let schedule = serde_json::from_slice(body)
        .map_err(|error| error.to_string())
        .and_then(|form: ScheduleConfig| form.schedule())
        .map_err(|why| refused(400, &why))?;
    let scheduled = state.schedule(schedule);
    let id = scheduled.map_err(|error| refused(409, &error.to_string()))?;
    Ok(json!({ "id": id }))
}

fn cancel_machine_event(state: &State, id: &str) -> Result<Value, Reply> {
    if id.parse().is_ok_and(|id| state.cancel_event(id)) {
        Ok(json!({}))
    } else {
        Err(refused(404, "there is no such event"))
    }
}
