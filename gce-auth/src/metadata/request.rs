//! A request to the metadata server of the program's own making.

use std::{fmt, time::Duration};

use http::{
    HeaderName, HeaderValue, Method, Request,
    header::{CONTENT_TYPE, ETAG},
};

use crate::{
    client::{
        config::{Config, MetadataClient},
        metadata,
    },
    io::threads::WorkKind,
    metadata::get::none_where_missing,
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        token::Now,
    },
    wire::{
        request::{self, MetadataPath, Query},
        response::{self, Answer},
        retry::RetryPolicy,
    },
};

/// A value of the metadata server: a text, or a JSON document.
///
/// `Debug` shows its size only: metadata may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataValue {
    text: String,
    json: bool,
    etag: Option<String>,
}

impl MetadataValue {
    /// Returns the answer as it was sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the answer as it was sent, without a copy.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Returns whether the server calls it `application/json`. The text was then
    /// checked to be a JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns what the server calls this version of the value (`ETag`), if it
    /// says: for `last_etag` of a later request.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }
}

impl fmt::Debug for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataValue")
            .field("bytes", &self.text.len())
            .field("json", &self.json)
            .finish()
    }
}

/// A request to the metadata server: see [`MetadataClient::request`].
#[derive(Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct MetadataRequest {
    client: MetadataClient,
    path: String,
    parameters: Vec<(String, String)>,
    recursive: bool,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
    retry: Option<RetryPolicy>,
    attempts: Option<u32>,
}

impl MetadataClient {
    /// Returns a request for `path`, written as it stands below
    /// `computeMetadata/v1/`.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call(client: gce_auth::MetadataClient) -> Result<(), gce_auth::Error> {
    /// let disks = client.request("instance/disks/").recursive(true).send().await?;
    /// assert!(disks.is_json());
    /// let missing = client.request("instance/attributes/none").send_optional().await?;
    /// assert!(missing.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, path: impl Into<String>) -> MetadataRequest {
        MetadataRequest {
            client: self.clone(),
            path: path.into(),
            parameters: Vec::new(),
            recursive: false,
            method: Method::GET,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            retry: None,
            attempts: None,
        }
    }
}

impl MetadataRequest {
    /// Adds a query parameter; escapes name and value.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Sets whether the whole subtree is requested, as JSON (`recursive=true`).
    /// Default: false.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Sets the method. Default: `GET`.
    ///
    /// A request whose method is not idempotent (RFC 9110, 9.2.2), such as `POST`,
    /// is not sent again once it may have arrived, whatever the retry policy;
    /// [`RetryPolicy::google_auth`] repeats it, as google-auth does.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Adds a header; replaces the library's header of that name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets the request body. Not allowed with `GET`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the time for one attempt. If it exceeds the budget of the operation,
    /// the budget grows to it, unless [`retry`](Self::retry) sets one. Default:
    /// the client's ([`Limits::attempt`](crate::transport::Limits::attempt)).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the retry policy. Default: the client's.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the highest number of attempts; 0 is refused, while
    /// [`RetryPolicy::attempts`] takes it for 1. Default: that of the retry
    /// policy.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Sends the request.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a path that leaves the tree, a body
    /// with `GET`, or no attempt at all;
    /// [`InvalidResponse`](ErrorKind::InvalidResponse) for an answer without a
    /// type, or of type JSON that is none; else as for
    /// [`get`](MetadataClient::get).
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing from anybody; the request, if it was
    /// sent, ends by itself.
    pub async fn send(self) -> Result<MetadataValue, Error> {
        let client = self.client.clone();
        let started = client.0.clock.now();
        let work = move |_: &_| self.sent_since(started);
        client.background(WorkKind::Other, work).await
    }

    /// [`send`](Self::send), waiting on this thread.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn blocking_send(self) -> Result<MetadataValue, Error> {
        let now = self.client.0.clock.now();
        self.sent_since(now)
    }

    fn sent_since(&self, started: Now) -> Result<MetadataValue, Error> {
        let request = self.made()?;
        let config = self.config();
        let config = config.as_ref().unwrap_or(&self.client.0);
        let mut budget = Budget::new(started, config.retry.total());
        // google-auth repeats every method.
        if request.method().is_idempotent() || config.retry.is_google_auth() {
            return metadata::fetch(config, &mut budget, &request, |answer, _| read(answer));
        }
        metadata::fetch_once(config, &mut budget, &request, |answer, _| read(answer))
    }

    /// Sends the request; returns `None` for status 404.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    pub async fn send_optional(self) -> Result<Option<MetadataValue>, Error> {
        none_where_missing(self.send().await)
    }

    /// [`send_optional`](Self::send_optional), waiting on this thread.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn blocking_send_optional(self) -> Result<Option<MetadataValue>, Error> {
        none_where_missing(self.blocking_send())
    }

    fn made(&self) -> Result<Request<Vec<u8>>, Error> {
        let refuse = |what| Err(Error::new(ErrorKind::Config, what));
        if self.attempts == Some(0) {
            return refuse("a request needs at least one attempt");
        }
        if self.method == Method::GET && !self.body.is_empty() {
            return refuse("a GET request has no body");
        }
        let mut query = Query::default();
        for (name, value) in &self.parameters {
            if !(self.recursive && name == "recursive") {
                query = query.with(name, value);
            }
        }
        if self.recursive {
            query = query.with("recursive", "true");
        }
        let path = MetadataPath::new(&self.path)?;
        let mut request = request::value(self.client.0.endpoint()?, &path, &query)?;
        *request.method_mut() = self.method.clone();
        request.body_mut().clone_from(&self.body);
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    /// The client's settings with those of this request, where they differ.
    fn config(&self) -> Option<Config> {
        if self.timeout.is_none() && self.retry.is_none() && self.attempts.is_none() {
            return None;
        }
        let mut config = self.client.0.for_one_request();
        if let Some(timeout) = self.timeout {
            config.limits.attempt = timeout;
            config.limits.first_byte = timeout;
            config.limits.connect = config.limits.connect.min(timeout);
            config.retry = config.retry.with_room_for(timeout);
        }
        if let Some(policy) = &self.retry {
            config.retry = policy.clone();
        }
        if let Some(attempts) = self.attempts {
            config.retry = config.retry.attempts(attempts);
        }
        Some(config)
    }
}

impl fmt::Debug for MetadataRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

pub(super) fn read(answer: &Answer) -> Result<MetadataValue, Error> {
    let Some(kind) = answer.header(CONTENT_TYPE) else {
        return Err(response::unusable("the answer does not say what it is"));
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let json = essence.eq_ignore_ascii_case("application/json");
    if json {
        answer.json()?;
    }
    Ok(MetadataValue {
        text: answer.text()?.to_owned(),
        json,
        etag: answer.header(ETAG).map(str::to_owned),
    })
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::io::fake::{HandClock, Reply, ScriptedTransport};

    fn world(reply: Reply) -> (MetadataClient, Arc<ScriptedTransport>) {
        let transport = Arc::new(ScriptedTransport::new([reply]));
        let client = MetadataClient::builder()
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::new(HandClock::at(1)))
            .endpoint("metadata")
            .build_without_environment();
        (client, transport)
    }

    fn typed(kind: &str, body: &str) -> Reply {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let flavor = header("Metadata-Flavor", "Google");
        Reply::Raw(
            200,
            vec![flavor, header("Content-Type", kind), header("ETag", "e1")],
            body.to_owned(),
        )
    }

    #[test]
    fn a_request_is_sent_as_it_was_described() {
        let (client, transport) = world(typed("Application/JSON; charset=utf-8", "{\"a\":1}"));
        let value = client
            .request("instance/x")
            .query("recursive", "false")
            .query("k", "a b")
            .recursive(true)
            .method(Method::POST)
            .header(CONTENT_TYPE, HeaderValue::from_static("text/x"))
            .body("b")
            .timeout(Duration::from_millis(7))
            .blocking_send()
            .unwrap();
        assert!(value.is_json() && value.text() == "{\"a\":1}");
        assert_eq!(value.etag(), Some("e1"));
        assert_eq!(
            format!("{value:?}"),
            "MetadataValue { bytes: 7, json: true }"
        );
        let sent = &transport.requests()[0];
        assert_eq!(
            sent.uri(),
            "http://metadata/computeMetadata/v1/instance/x?k=a%20b&recursive=true"
        );
        assert_eq!((sent.method(), &**sent.body()), (&Method::POST, &b"b"[..]));
        assert_eq!(sent.headers()[CONTENT_TYPE], "text/x");
        assert_eq!(transport.limits()[0].attempt, Duration::from_millis(7));
    }

    #[test]
    fn a_long_timeout_is_not_cut_by_the_budget() {
        let minute = Duration::from_secs(70);
        let (client, transport) = world(typed("text/plain", "x"));
        let request = || client.request("x").timeout(minute);
        request().blocking_send().unwrap();
        let policy = RetryPolicy::new().budget(Duration::from_secs(20));
        request().retry(policy).blocking_send().unwrap();
        let sent = transport.limits();
        assert_eq!((sent[0].first_byte, sent[0].attempt), (minute, minute));
        assert_eq!(sent[1].attempt, Duration::from_secs(20), "as somebody said");
    }

    #[test]
    fn what_makes_no_sense_is_not_sent() {
        let (client, transport) = world(Reply::text("x"));
        for request in [
            client.request("../x"),
            client.request("http://elsewhere/"),
            client.request("x").body("b"),
            client.request("x").attempts(0),
        ] {
            assert_eq!(
                request.blocking_send().unwrap_err().kind(),
                ErrorKind::Config
            );
        }
        assert!(transport.requests().is_empty());
    }

    #[test]
    fn missing_is_none_and_attempts_are_counted() {
        let (client, _) = world(Reply::status(404));
        assert_eq!(client.request("x").blocking_send_optional().unwrap(), None);
        let (client, transport) = world(Reply::status(503));
        assert!(client.request("x").attempts(2).blocking_send().is_err());
        assert_eq!(transport.requests().len(), 2);
    }

    #[test]
    fn a_task_that_waits_hears_of_what_is_missing_too() {
        let (client, _) = world(Reply::status(404));
        let found = futures_executor::block_on(client.request("x").send_optional());
        assert_eq!(found.unwrap(), None);
        let (client, _) = world(typed("text/plain", "there"));
        let request = client.request("instance/x");
        let shown = format!("{request:?}");
        assert!(shown.contains("instance/x"), "{shown}");
        let found = futures_executor::block_on(request.send_optional()).unwrap();
        assert_eq!(found.unwrap().into_text(), "there");
    }

    #[test]
    fn an_answer_says_what_it_is() {
        let (client, _) = world(Reply::text("x"));
        assert!(client.request("x").blocking_send().is_err());
        let (client, _) = world(typed("application/json", "{"));
        assert!(client.request("x").blocking_send().is_err());
        let (client, _) = world(typed("text/plain", "{"));
        assert!(!client.request("x").blocking_send().unwrap().is_json());
    }
}
