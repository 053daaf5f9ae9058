//! The one error type: what happened, where, and what to do next.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

/// What went wrong, in a form that a program can match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// This machine is not on Google Cloud and no setting names a metadata
    /// server. Not retryable.
    NotOnGce,
    /// Nothing usable answered: refused, reset, closed early, or status 408 or
    /// 5xx (other than 501) on every attempt. Retryable.
    Unavailable,
    /// No whole answer came within the time limits. Retryable.
    Timeout,
    /// The server says that this path, or this service account, does not
    /// exist (404). Not retryable, though an account may be attached later.
    NotFound,
    /// The server refuses this path (403). Not retryable.
    Forbidden,
    /// The server asks to slow down (429). Retryable.
    RateLimited,
    /// What answered is not a metadata server: a success without
    /// `Metadata-Flavor: Google`, a redirect, or a refusal by a server that names
    /// itself Google's nowhere. Not retryable.
    NotMetadataServer,
    /// The answer has a shape or a value that cannot be used. Not retryable.
    InvalidResponse,
    /// The server handed out a token that has already expired. Retryable.
    Expired,
    /// A setting, in code, in the environment or in a credentials file, makes no
    /// sense. Not retryable.
    Config,
    /// A secure connection could not be made. Not retryable.
    Tls,
    /// A signature could not be made. Not retryable unless its cause is.
    Signing,
    /// The call makes no sense on this object. Not retryable.
    InvalidOperation,
    /// An endpoint beside the metadata server (IAM Credentials, the OAuth 2.0
    /// token endpoint, the Security Token Service) refused the request and said
    /// why. Not retryable.
    Refused,
    /// An ID token that was received is not to be trusted. Not retryable.
    Rejected,
    /// A [`ProvideHeaders`](crate::ProvideHeaders) of the program's own had no
    /// headers. Not retryable.
    Provider,
}

impl ErrorKind {
    /// Returns whether errors of this kind usually go away by themselves.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::Timeout | Self::RateLimited | Self::Expired
        )
    }

    /// What to do about errors of this kind.
    const fn advice(self) -> &'static str {
        match self {
            Self::NotOnGce => {
                "name a metadata server with GCE_METADATA_HOST, or run on Google Cloud"
            }
            Self::Unavailable => "ask again: the metadata server, or the way to it, is down",
            Self::Timeout => "ask again, or allow more time with Limits and RetryPolicy",
            Self::NotFound => "list the directory above to see what the server has",
            Self::Forbidden => {
                "see whether this endpoint is switched off for the instance, or the account disabled"
            }
            Self::RateLimited => {
                "ask less often: share one credential, and keep values that never change"
            }
            Self::NotMetadataServer => "see what answers at this address: it is no metadata server",
            Self::InvalidResponse => "look at what the server answers to this request",
            Self::Expired => "ask again, and see whether the clock of this machine is right",
            Self::Config => "correct the setting that is named",
            Self::Tls => {
                "see which certificates the server shows, and which roots this system trusts"
            }
            Self::Signing => "see whether the signer works at all",
            Self::InvalidOperation => "use credentials that have what was asked of them",
            Self::Refused => "see what the API says, and which role, scope or API it wants",
            Self::Rejected => "refuse the request that came with this token",
            Self::Provider => "look at the program's own source of headers",
        }
    }

    /// Returns the name of the kind, as written in this enum.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOnGce => "NotOnGce",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timeout",
            Self::NotFound => "NotFound",
            Self::Forbidden => "Forbidden",
            Self::RateLimited => "RateLimited",
            Self::NotMetadataServer => "NotMetadataServer",
            Self::InvalidResponse => "InvalidResponse",
            Self::Expired => "Expired",
            Self::Config => "Config",
            Self::Tls => "Tls",
            Self::Signing => "Signing",
            Self::InvalidOperation => "InvalidOperation",
            Self::Refused => "Refused",
            Self::Rejected => "Rejected",
            Self::Provider => "Provider",
        }
    }
}

/// An error of this crate.
///
/// [`Display`](fmt::Display) is one line that a person can act on: what
/// happened, where, after how many attempts, and what to do next. It never
/// holds a token, and of an answer at most a short, harmless beginning.
///
/// Cloning is cheap: callers that waited for the same request share one error.
///
/// # Examples
/// ```
/// use gce_auth::{Credentials, ErrorKind};
///
/// let credentials = Credentials::builder().endpoint("not a host").build();
/// let error = credentials.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert!(!error.is_retryable());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    location: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    attempts: u32,
    elapsed: Option<Duration>,
    hint: Option<Cow<'static, str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Returns the kind of this error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether a later call may succeed although nothing was changed.
    ///
    /// Nothing needs to be rebuilt in either case: no error ends a credential.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// Returns what to do next: about this error, where more is known, else about its
    /// kind. Only the former is a part of the text of the error.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        let general = self.0.kind.advice();
        Some(self.0.hint.as_deref().unwrap_or(general))
    }

    /// Returns the request that failed, as `METHOD URL`; never with a secret in it.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Returns the HTTP status of the last answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns how long the server asked to wait before the next request
    /// (`Retry-After`, RFC 9110), where it asked for anything.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns how many times the request was sent; 0 where nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns how long it took to fail, where anything was tried.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// Returns the error of a [`ProvideHeaders`](crate::ProvideHeaders) of the program's
    /// own, for this reason. The reason must hold nothing secret: it becomes a
    /// part of the message.
    #[must_use]
    pub fn of_provider(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self::new(
            ErrorKind::Provider,
            format!("there are no headers: {cause}"),
        )
        .with_source(cause.into())
    }

    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self::of(kind, what.into())
    }

    /// Stands once in a program, and not wherever an error is made.
    #[cold]
    fn of(kind: ErrorKind, what: Cow<'static, str>) -> Self {
        Self(Arc::new(Inner {
            kind,
            what,
            location: None,
            status: None,
            retry_after: None,
            attempts: 0,
            elapsed: None,
            hint: None,
            source: None,
        }))
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    pub(crate) fn at(self, location: impl Into<String>) -> Self {
        self.edit(|inner| inner.location = Some(location.into()))
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        self.edit(|inner| inner.status = Some(status))
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.edit(|inner| inner.retry_after = wait)
    }

    pub(crate) fn after(self, attempts: u32, elapsed: Duration) -> Self {
        self.edit(|inner| {
            inner.attempts = attempts;
            inner.elapsed = Some(elapsed);
        })
    }

    pub(crate) fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hinting(hint.into())
    }

    #[cold]
    fn hinting(self, hint: Cow<'static, str>) -> Self {
        self.edit(|inner| inner.hint = Some(hint))
    }

    /// A hint for errors that do not have a better one yet.
    pub(crate) fn or_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        if self.0.hint.is_some() {
            return self;
        }
        self.with_hint(hint)
    }

    pub(crate) fn with_source(self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.edit(|inner| inner.source = Some(source))
    }

    /// Puts `context` before what happened: `context: what`.
    pub(crate) fn context(self, context: &str) -> Self {
        self.edit(|inner| inner.what = format!("{context}: {}", inner.what).into())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.what)?;
        if let Some(location) = &inner.location {
            write!(f, " ({location}")?;
            if let Some(status) = inner.status {
                write!(f, ", status {status}")?;
            }
            match (inner.attempts, inner.elapsed) {
                (0, _) | (_, None) => {}
                (1, Some(elapsed)) => write!(f, ", 1 attempt in {}", Seconds(elapsed))?,
                (n, Some(elapsed)) => write!(f, ", {n} attempts in {}", Seconds(elapsed))?,
            }
            f.write_str(")")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("what", &inner.what);
        if let Some(location) = &inner.location {
            out.field("request", location);
        }
        if let Some(status) = inner.status {
            out.field("status", &status);
        }
        if let Some(elapsed) = inner.elapsed {
            out.field("attempts", &inner.attempts)
                .field("elapsed", &elapsed);
        }
        if let Some(hint) = &inner.hint {
            out.field("hint", hint);
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            Tenths(self.0).fmt(f)
        }
    }
}

/// Seconds with one digit behind the point. Without floats, whose formatting
/// would be a twentieth of what a small program gets from this library.
pub(crate) struct Tenths(pub(crate) Duration);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_millis().saturating_add(50) / 100;
        write!(f, "{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests;
