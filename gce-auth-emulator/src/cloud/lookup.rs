//! Which service accounts there are.

use crate::{identity::accounts::Identity, state::State};

/// The email of a service account, by email or unique id: one of the machine's, or one that exists
/// beside it.
pub(crate) fn account(state: &State, name: &str) -> Option<String> {
    state
        .document
        .read(|document| Identity::find_by_email(document, name).map(|account| account.email))
        .or_else(|| state.cloud.settings().account(name))
}
