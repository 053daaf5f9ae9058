//! A request as it is kept: thousands of them, so in little memory.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use gce_auth_server::{
    protocol::{Method, Request, fields::Fields},
    service::Sent,
};
use serde_json::Value;

use super::{bodies::SharedBodies, heads::SharedHeads};
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
    /// The path, and the query behind it.
    pub(super) target: String,
    path_length: usize,
    headers: Arc<Fields>,
    body: Option<Body>,
    body_length: usize,
    began: Lap,
    time: SystemTime,
    client: Arc<Client>,
    status: Option<u16>,
    duration: Option<Duration>,
    answer: Option<Answer>,
    fault: Option<Box<(u64, String)>>,
    web_tokens: Option<Box<[Value]>>,
    pub(crate) explanation: Option<Box<Explanation>>,
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
            return Some(Self::Text(text.into()));
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
    headers: Arc<Fields>,
    body: Option<Arc<str>>,
    body_length: usize,
    relayed: bool,
}

impl Entry {
    /// Keeps a request, in memory that another one has left.
    pub(super) fn new(
        id: u64,
        mut target: String,
        (request, client): (&Request, &Arc<Client>),
        fault: Option<(u64, String)>,
        heads: &mut SharedHeads,
    ) -> Self {
        let mut seen = Seen::default();
        target.clear();
        target.push_str(beginning(&redact::text(&request.path, &mut seen)));
        let path_length = target.len();
        target.push_str(beginning(&redact::text(&request.query, &mut seen)));
        let lines = request.headers.iter();
        let headers = heads.keep(
            lines.map(|(name, value)| (name, value.as_bytes())),
            |name, value| kept_header(name, value, &mut seen),
        );
        let is_encoded = !request.body.is_empty() && request.header("content-encoding").is_some();
        let body = Body::of(&request.body, is_encoded, &mut seen);
        Self {
            id,
            method: request.method.clone(),
            target,
            path_length,
            headers,
            body,
            body_length: request.body.len(),
            began: Clock::lap(),
            time: Clock::machine_time(),
            client: Arc::clone(client),
            status: None,
            duration: None,
            answer: None,
            fault: fault.map(Box::new),
            web_tokens: kept_tokens(seen),
            explanation: None,
        }
    }

    /// Keeps its answer.
    pub(super) fn answer(
        &mut self,
        sent: &Sent<'_>,
        bodies: &mut SharedBodies,
        heads: &mut SharedHeads,
    ) {
        let known = self.web_tokens.take().map(Vec::from);
        let mut seen = Seen::new(known.unwrap_or_default());
        let lines = sent.headers.iter();
        self.answer = Some(Answer {
            headers: heads.keep(
                lines.map(|(name, value)| (*name, &**value)),
                |name, value| kept_header(name, value, &mut seen),
            ),
            body: bodies.keep(sent.body, &mut seen, kept_body),
            body_length: sent.body.len(),
            relayed: sent.relayed,
        });
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
        &self.target[..self.path_length]
    }

    pub(crate) fn query(&self) -> &str {
        &self.target[self.path_length..]
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
            let body = answer.body.as_ref();
            answer.headers.length() + body.map_or(0, |body| body.len())
        });
        self.target.len()
            + self.headers.length()
            + self.body.as_ref().map_or(0, Body::length)
            + answer
    }

    /// The request as the API shows it.
    pub(crate) fn show(&self) -> RecordedRequest {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let body = |bytes: bool| match &self.body {
            Some(Body::Text(text)) if !bytes => Some(text.to_string()),
            Some(Body::Bytes(text)) if bytes => Some(text.to_string()),
            _ => None,
        };
        let (fault_id, fault) = self.fault.as_deref().cloned().unzip();
        let tokens = self.web_tokens.as_deref().unwrap_or_default();
        RecordedRequest {
            method: self.method.as_str().into(),
            path: self.path().into(),
            query: self.query().into(),
            headers: self.headers.iter().map(owned).collect(),
            body_length: self.body_length,
            body: body(false),
            body_base64: body(true),
            id: self.id,
            time: self.time,
            peer: self.client.address,
            process: self.client.process().cloned(),
            status: self.status,
            answer: self.answer.as_ref().map(|answer| RecordedAnswer {
                headers: answer.headers.iter().map(owned).collect(),
                body_length: answer.body_length,
                body: answer.body.as_deref().map(Into::into),
                relayed: answer.relayed,
            }),
            duration: self.duration,
            fault,
            fault_id,
            hint: self.explanation.as_ref().map(ToString::to_string),
            explanation: self.explanation.as_deref().cloned(),
            web_tokens: Value::from(tokens.to_vec()).to_string(),
        }
    }
}

/// What is kept of a body; nothing of one that is no text.
fn kept_body<'a>(body: &'a [u8], seen: &mut Seen) -> Option<Cow<'a, str>> {
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
    Some(match redact::text(text, seen) {
        Cow::Borrowed(text) => beginning(text).into(),
        Cow::Owned(text) => beginning(&text).to_owned().into(),
    })
}

/// What is kept of a header.
fn kept_header<'a>(name: &str, value: &'a [u8], seen: &mut Seen) -> Cow<'a, str> {
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => match redact::header(name, text, seen) {
            Cow::Borrowed(text) => beginning(text).into(),
            Cow::Owned(text) => beginning(&text).to_owned().into(),
        },
        Cow::Owned(text) => {
            let text = redact::header(name, &text, seen);
            beginning(&text).to_owned().into()
        }
    }
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
