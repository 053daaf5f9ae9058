//! What the answers of APIs beside the metadata server have in common.

use http::Response;

use crate::{values::error::Error, wire::retry};

/// An answer that was no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
}

impl Refusal {
    /// What `response` failed with.
    pub(crate) fn of<B>(response: &Response<B>, error: Error) -> Self {
        let asked = retry::after::asked_for(response.headers(), None);
        let error = error.with_status(response.status().as_u16());
        Self {
            error: error.with_retry_after(asked),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error }
    }
}
