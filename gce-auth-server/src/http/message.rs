//! Between the messages of hyper and those of the protocol.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    body::{Body, Bytes, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::Extensions,
};
use tokio::time::timeout;

use super::{
    activity::Busy,
    content::{Closed, Content, Pace},
};
use crate::protocol::{
    fields::Fields,
    reply::Reply,
    request::{Method, Request},
};

const MAX_BODY: usize = 1 << 20;

/// What a service has to know of a request, but for its body.
pub(super) fn understand(request: hyper::Request<Incoming>, secure: bool) -> (Request, Incoming) {
    let (parts, body) = request.into_parts();
    let request = Request {
        secure,
        method: Method::parse(parts.method.as_str()),
        authority: parts.uri.authority().map(|host| host.as_str().into()),
        path: parts.uri.path().into(),
        query: parts.uri.query().unwrap_or_default().into(),
        headers: fields(&parts.headers),
        body: Vec::new(),
    };
    (request, body)
}

/// The headers of a request; what is no text in them is replaced.
fn fields(headers: &HeaderMap) -> Fields {
    let length = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let mut fields = Fields::with_capacity(headers.len(), length.sum());
    for (name, value) in headers {
        match value.to_str() {
            Ok(text) => fields.push(name.as_str(), text),
            Err(_) => fields.push(name.as_str(), &String::from_utf8_lossy(value.as_bytes())),
        }
    }
    fields
}

/// The whole body, or `None` if it is too large. An error if it does not come in time.
pub(super) async fn read_body(body: Incoming, within: Duration) -> Result<Option<Vec<u8>>, Closed> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Ok(None);
    }
    let whole = Limited::new(body, MAX_BODY).collect();
    match timeout(within, whole).await {
        Ok(Ok(body)) => Ok(Some(body.to_bytes().into())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Closed),
    }
}

/// The answer as hyper sends it.
pub(super) fn response(
    reply: Reply,
    lines: Vec<(&'static str, Bytes)>,
    header_case: &Extensions,
    pace: Pace,
    busy: Busy,
) -> hyper::Response<Content> {
    let mut response = hyper::Response::new(Content::new(reply.body, pace, busy));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().clone_from(header_case);
    let headers = response.headers_mut();
    headers.reserve(lines.len());
    for (name, value) in lines {
        // A value that no header may hold is left out rather than sent.
        if let (Some(name), Some(value)) = (header_name(name), header_value(value)) {
            headers.append(name, value);
        }
    }
    response
}

/// A header's value, without a look into its letters where many answers have it.
fn header_value(value: Bytes) -> Option<HeaderValue> {
    const GOOGLE: HeaderValue = HeaderValue::from_static("Google");
    const TEXT: HeaderValue = HeaderValue::from_static("application/text");
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const NO_FILTER: HeaderValue = HeaderValue::from_static("0");
    const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("SAMEORIGIN");
    const SERVER: HeaderValue = HeaderValue::from_static("Metadata Server for VM");
    Some(match &*value {
        b"Google" => GOOGLE,
        b"application/text" => TEXT,
        b"application/json" => JSON,
        b"0" => NO_FILTER,
        b"SAMEORIGIN" => SAME_ORIGIN,
        b"Metadata Server for VM" => SERVER,
        _ => HeaderValue::from_maybe_shared(value).ok()?,
    })
}

/// A header's name, without a look into its letters where it is well known.
fn header_name(name: &'static str) -> Option<HeaderName> {
    const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
    Some(match name {
        "Metadata-Flavor" => FLAVOR,
        "Content-Type" => header::CONTENT_TYPE,
        "ETag" => header::ETAG,
        "Date" => header::DATE,
        "Server" => header::SERVER,
        "Content-Length" => header::CONTENT_LENGTH,
        "X-XSS-Protection" => header::X_XSS_PROTECTION,
        "X-Frame-Options" => header::X_FRAME_OPTIONS,
        other => return HeaderName::from_bytes(other.as_bytes()).ok(),
    })
}
