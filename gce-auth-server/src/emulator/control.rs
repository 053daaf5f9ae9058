//! Requests below `/emulator/v1/`: what a program in another language may ask of the emulator that runs for it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::error::SetError;
use super::faults::{Fault, Limit};
use super::journal::RecordedRequest;
use super::places::segments;
use super::state::State;
use crate::surface::route::ControlCall;
use crate::surface::tree::Node;
use crate::surface::{Method, Reply};

/// Answers a control request.
pub(crate) fn answer(state: &State, call: &ControlCall) -> Reply {
    let (room, rest) = call.path.split_once('/').unwrap_or((&call.path, ""));
    let done = || Ok(json!({}));
    let answer = match (&call.method, room, rest) {
        (Method::Get, "document", path) => read(state, path),
        (Method::Put, "document", path) => text(&call.body)
            .and_then(|json| {
                state
                    .world
                    .set_json(path, json)
                    .map_err(|error| unset(&error))
            })
            .map(|()| json!({})),
        (Method::Delete, "document", path) => read(state, path)
            .and_then(|_| state.world.remove(path).map_err(|error| unset(&error)))
            .map(|()| json!({})),
        (Method::Get, "requests", "") => Ok(requests(state, call.query.get("path"))),
        (Method::Delete, "requests", "") => {
            state.journal().clear();
            done()
        }
        (Method::Post, "assertions", "") => assertion(state, &call.body),
        (Method::Post, "faults", "") => fault(state, &call.body),
        (Method::Delete, "faults", "") => {
            state.faults().clear();
            done()
        }
        (Method::Get, "openapi.json", "") => {
            return Reply::describe(include_str!("openapi.json"));
        }
        (Method::Get, "clock", "") => Ok(json!({"now": state.clock.now().rfc3339()})),
        (Method::Post, "clock", "") => clock(state, &call.body),
        (Method::Post, "tokens", "rotate") => {
            state.mint().rotate();
            done()
        }
        (Method::Post, "tokens", "revoke") => {
            state.mint().revoke();
            done()
        }
        (Method::Post, "reset", "") => {
            state.reset();
            done()
        }
        (_, room, rest) => Err(no_such(room, rest)),
    };
    answer.map_or_else(|reply| reply, |body| Reply::control(200, &body))
}

fn refused(status: u16, why: &str) -> Reply {
    Reply::control(status, &json!({ "error": why }))
}

/// 405 for a known place with another method, else 404.
fn no_such(room: &str, rest: &str) -> Reply {
    let allow = match (room, rest) {
        ("document", _) => "GET, PUT, DELETE",
        ("requests", "") => "GET, DELETE",
        ("faults", "") => "POST, DELETE",
        ("clock", "") => "GET, POST",
        ("openapi.json", "") => "GET",
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

/// A JSON object with no other keys than these: a misspelt one shall not be overlooked.
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
        .world
        .read(|document| Node::find(document, &segments).map(|node| node.value.clone()))
        .ok_or_else(|| refused(404, "there is no such path"))
}

fn requests(state: &State, path: Option<&str>) -> Value {
    let show = |request: &RecordedRequest| {
        json!({
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": request.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "bodyLength": request.body_length,
        })
    };
    let all = state.journal().all();
    let shown: Vec<Value> = all
        .iter()
        .filter(|request| path.is_none_or(|path| request.path == path))
        .map(show)
        .collect();
    json!({ "requests": shown })
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
    let count = state.journal().matching(path, &parameters);
    if u64::try_from(count) == Ok(times) {
        return Ok(json!({ "count": count }));
    }
    let why = format!("{path} was asked {count} times, not {times}");
    Err(Reply::control(409, &json!({"count": count, "error": why})))
}

fn clock(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let by = object(body, &["advanceSeconds"])?["advanceSeconds"]
        .as_u64()
        .ok_or_else(|| refused(400, "advanceSeconds must be a whole number"))?;
    state.clock.advance(Duration::from_secs(by));
    Ok(json!({"now": state.clock.now().rfc3339()}))
}

/// `{"path": .., "fault": {"kind": ..}}` with `times`, or `forSeconds`, or `allowed` and `perSeconds`, or `probability` and `seed`;
/// without any, for good.
fn fault(state: &State, body: &[u8]) -> Result<Value, Reply> {
    let keys = [
        "path",
        "fault",
        "times",
        "forSeconds",
        "allowed",
        "perSeconds",
        "probability",
        "seed",
    ];
    let body = object(body, &keys)?;
    let path = body["path"]
        .as_str()
        .ok_or_else(|| refused(400, "path is needed"))?;
    let number = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| refused(400, &format!("{name} must be a whole number"))),
    };
    let chance = match body.get("probability") {
        None => None,
        Some(value) => {
            let probability = value
                .as_f64()
                .filter(|probability| (0.0..=1.0).contains(probability))
                .ok_or_else(|| refused(400, "probability must be between 0 and 1"))?;
            Some(Limit::Chance {
                probability,
                seed: number("seed")?.unwrap_or(0),
            })
        }
    };
    if chance.is_none() && body.get("seed").is_some() {
        return Err(refused(400, "seed goes with probability"));
    }
    let limit = match (
        number("times")?,
        number("forSeconds")?,
        number("allowed")?,
        number("perSeconds")?,
    ) {
        (None, None, None, None) => chance.unwrap_or(Limit::Times(usize::MAX)),
        _ if chance.is_some() => {
            return Err(refused(400, "probability does not go with other limits"));
        }
        (Some(times), None, None, None) => Limit::Times(saturated(times)),
        (None, Some(seconds), None, None) => {
            Limit::Until(state.clock.now().plus(Duration::from_secs(seconds)))
        }
        (None, None, Some(allowed), Some(seconds)) => Limit::Beyond {
            allowed: saturated(allowed),
            per: Duration::from_secs(seconds),
            span: None,
        },
        _ => {
            return Err(refused(
                400,
                "give times, or forSeconds, or allowed with perSeconds, or probability",
            ));
        }
    };
    let fault = parse_fault(&body["fault"])
        .ok_or_else(|| refused(400, "fault needs a known kind and its settings"))?;
    state.faults().add(path, limit, fault);
    Ok(json!({}))
}

fn parse_fault(fault: &Value) -> Option<Fault> {
    let text = |name: &str| fault[name].as_str().map(ToOwned::to_owned);
    let bytes = || fault["bytes"].as_u64().map(saturated);
    let pause = || fault["milliseconds"].as_u64().map(Duration::from_millis);
    let kind = fault["kind"].as_str()?;
    let keys: &[&str] = match kind {
        "status" => &["kind", "code", "retryAfter"],
        "delay" => &["kind", "milliseconds"],
        "wrong-flavor" => &["kind", "flavor"],
        "slow" => &["kind", "bytes", "milliseconds"],
        "truncate" => &["kind", "bytes"],
        "body" => &["kind", "contentType", "text"],
        _ => &["kind"],
    };
    if unknown(fault.as_object()?, keys).is_some() {
        return None;
    }
    Some(match kind {
        "status" => Fault::Status {
            code: fault["code"]
                .as_u64()
                .and_then(|code| u16::try_from(code).ok())
                .filter(|code| (200..1000).contains(code))?,
            retry_after: match fault.get("retryAfter") {
                None => None,
                Some(seconds) => Some(seconds.as_u64()?),
            },
        },
        "close" => Fault::Close,
        "reset" => Fault::Reset,
        "hang" => Fault::Hang,
        "delay" => Fault::Delay(pause()?),
        "missing-flavor" => Fault::MissingFlavor,
        "wrong-flavor" => Fault::WrongFlavor(text("flavor")?),
        "slow" => Fault::Slow {
            bytes: bytes()?,
            pause: pause()?,
        },
        "truncate" => Fault::Truncate(bytes()?),
        "body" => Fault::Body {
            content_type: text("contentType")?,
            bytes: text("text")?.into_bytes(),
        },
        _ => return None,
    })
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
