//! What the answers of APIs beside the metadata server have in common.

use std::time::Duration;

use http::{Response, header};

use crate::{values::error::Error, wire::retry};

/// An answer that was no success: the error, and how long its sender asks to
/// wait.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// What `response` failed with.
    pub(crate) fn of<B>(response: &Response<B>, error: Error) -> Self {
        let value = response.headers().get(header::RETRY_AFTER);
        Self {
            error: error.with_status(response.status().as_u16()),
            retry_after: value
                .and_then(|value| value.to_str().ok())
                .and_then(retry::retry_after),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}
