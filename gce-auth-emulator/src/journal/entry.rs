//! A request as it is kept: thousands of them, so in little memory.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use gce_auth_server::{
    protocol::{Method, Request, fields::Fields},
    service::Sent,
};
use serde_json::Value;

use crate::{
    clock::{Clock, Lap},
    peer_process::Client,
    recorded_request::{Explanation, RecordedAnswer, RecordedRequest},
    redact::{self, Seen},
};

/// What is kept of a path, a query, a header or a body, at most.
pub(super) const LONGEST: usize = 4096;

/// In so much of a body secrets are looked for: a token that begins in what is kept is known by its
/// end. The heads of requests are short.
const LOOKED_AT: usize = 2 * LONGEST;

/// A request that is kept.
pub(crate) struct Entry {
    id: u64,
    method: Method,
    /// The path, the query, and then the headers.
    pub(super) what: Fields,
    body: Option<Body>,
    body_length: usize,
    began: Lap,
    time: SystemTime,
    client: Arc<Client>,
    status: Option<u16>,
    duration: Option<Duration>,
    answer: Option<Box<Answer>>,
    fault: Option<(u64, String)>,
    web_tokens: Option<Box<[Value]>>,
    pub(crate) explanation: Option<Explanation>,
}

/// A body that is kept.
enum Body {
    Text(Box<str>),
    /// No text, in Base64.
    Bytes(Box<str>),
}

impl Body {
    /// Keeps a body. Keeps nothing of one that is no text and has secrets, or may have them as it
    /// is compressed.
    fn of(body: &[u8], is_encoded: bool, seen: &mut Seen) -> Option<Self> {
        if let Some(text) = kept_body(body, seen) {
            return Some(Self::Text(text));
        }
        let looked_at = &body[..body.len().min(LOOKED_AT)];
        let text = String::from_utf8_lossy(looked_at);
        let plain =
            !body.is_empty() && !is_encoded && redact::text(&text, &mut Seen::default()) == text;
        let kept = &body[..body.len().min(LONGEST)];
        plain.then(|| Self::Bytes(BASE64_STANDARD.encode(kept).into()))
    }

    fn length(&self) -> usize {
        let (Self::Text(body) | Self::Bytes(body)) = self;
        body.len()
    }
}

/// Its answer.
struct Answer {
    headers: Fields,
    body: Option<Box<str>>,
    body_length: usize,
    relayed: bool,
}

impl Entry {
    /// Keeps a request, in memory that another one has left.
    pub(super) fn new(
        id: u64,
        mut what: Fields,
        request: &Request,
        client: &Arc<Client>,
        fault: Option<(u64, String)>,
    ) -> Self {
        let mut seen = Seen::default();
        what.push("path", beginning(&redact::text(&request.path, &mut seen)));
        what.push("query", beginning(&redact::text(&request.query, &mut seen)));
        for (name, value) in request.headers.iter() {
            what.push(name, beginning(&redact::header(name, value, &mut seen)));
        }
        let is_encoded = request.header("content-encoding").is_some();
        let body = Body::of(&request.body, is_encoded, &mut seen);
        Self {
            id,
            method: request.method.clone(),
            what,
            body,
            body_length: request.body.len(),
            began: Clock::lap(),
            time: Clock::machine_time(),
            client: Arc::clone(client),
            status: None,
            duration: None,
            answer: None,
            fault,
            web_tokens: kept_tokens(seen),
            explanation: None,
        }
    }

    /// Keeps its answer.
    pub(super) fn answer(&mut self, sent: &Sent<'_>) {
        let known = self.web_tokens.take().map(Vec::from);
        let mut seen = Seen::new(known.unwrap_or_default());
        let length = sent
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let mut headers = Fields::with_capacity(sent.headers.len(), length.sum());
        for (name, value) in sent.headers {
            let value = String::from_utf8_lossy(value);
            let lower = name.to_ascii_lowercase();
            headers.push(name, beginning(&redact::header(&lower, &value, &mut seen)));
        }
        self.answer = Some(Box::new(Answer {
            headers,
            body: kept_body(sent.body, &mut seen),
            body_length: sent.body.len(),
            relayed: sent.relayed,
        }));
        self.web_tokens = kept_tokens(seen);
        self.end(Some(sent.status));
    }

    /// Keeps that it ended.
    pub(super) fn end(&mut self, status: Option<u16>) {
        self.status = status;
        self.duration = Some(self.began.elapsed());
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn path(&self) -> &str {
        self.what.get("path").unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.what.get("query").unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.duration.is_none()
    }

    /// The length of its texts.
    pub(super) fn length(&self) -> usize {
        let answer = self.answer.as_ref().map_or(0, |answer| {
            answer.headers.length() + answer.body.as_ref().map_or(0, |body| body.len())
        });
        self.what.length() + self.body.as_ref().map_or(0, Body::length) + answer
    }

    /// The request as the API shows it.
    pub(crate) fn show(&self) -> RecordedRequest {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let text = |text: &Option<Box<str>>| text.as_deref().map(Into::into);
        let body = |bytes: bool| match &self.body {
            Some(Body::Text(text)) if !bytes => Some(text.to_string()),
            Some(Body::Bytes(text)) if bytes => Some(text.to_string()),
            _ => None,
        };
        let (fault_id, fault) = self.fault.clone().unzip();
        let tokens = self.web_tokens.as_deref().unwrap_or_default();
        RecordedRequest {
            method: self.method.as_str().into(),
            path: self.path().into(),
            query: self.query().into(),
            headers: self.what.iter().skip(2).map(owned).collect(),
            body_length: self.body_length,
            body: body(false),
            body_base64: body(true),
            id: self.id,
            time: self.time,
            peer: self.client.address,
            process: self.client.process().cloned(),
            status: self.status,
            answer: self.answer.as_deref().map(|answer| RecordedAnswer {
                headers: answer.headers.iter().map(owned).collect(),
                body_length: answer.body_length,
                body: text(&answer.body),
                relayed: answer.relayed,
            }),
            duration: self.duration,
            fault,
            fault_id,
            hint: self.explanation.as_ref().map(ToString::to_string),
            explanation: self.explanation.clone(),
            web_tokens: Value::from(tokens.to_vec()).to_string(),
        }
    }
}

/// What is kept of a body; nothing of one that is no text.
fn kept_body(body: &[u8], seen: &mut Seen) -> Option<Box<str>> {
    if body.is_empty() {
        return None;
    }
    let looked_at = &body[..body.len().min(LOOKED_AT)];
    let text = match std::str::from_utf8(looked_at) {
        Ok(text) => text,
        // Only a character that was cut may be missing.
        Err(error) if body.len() > LOOKED_AT && error.error_len().is_none() => {
            std::str::from_utf8(&looked_at[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    Some(beginning(&redact::text(text, seen)).into())
}

fn kept_tokens(seen: Seen) -> Option<Box<[Value]>> {
    let tokens = seen.into_values();
    (!tokens.is_empty()).then(|| tokens.into())
}

/// What is kept of a text.
fn beginning(text: &str) -> &str {
    start(text, LONGEST)
}

fn start(text: &str, length: usize) -> &str {
    let end = (0..=text.len().min(length))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}
