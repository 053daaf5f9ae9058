//! The source of a value, and the arguments of a fetch.

use std::time::Duration;

use crate::{
    io::threads::{LaneKey, WorkKind},
    refresh::value::Value,
    values::{error::Error, token::Now},
};

/// Where a value comes from.
pub(crate) trait Source: Send + Sync + 'static {
    type Value: Value;

    /// What is fetched, for events.
    const WHAT: &'static str = "token";

    /// Fetches a value; blocks.
    fn fetch(&self, departure: &FetchContext) -> Result<Self::Value, Error>;

    /// The whole time that a fetch may take.
    fn budget(&self) -> Duration;

    /// What kind of work a fetch is.
    fn kind(&self) -> WorkKind;

    /// The server that a fetch asks first.
    fn lane(&self) -> &LaneKey;
}

/// The arguments of a fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchContext {
    /// When the budget began to run.
    pub(crate) began: Now,
    /// Whether the program asked for everything to be asked anew.
    pub(crate) forced: bool,
    /// The number of waits between attempts since the last success:
    /// those of this fetch go on from there.
    pub(crate) waits: u32,
}

/// What a caller does about a stale token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshMode {
    /// A stale token is returned at once, and one refresh runs in the
    /// background. No caller waits while a token is valid.
    #[default]
    Background,
    /// A caller that finds the token stale waits for the refresh, and gets the
    /// old token if that fails and the token has not expired. What google-auth
    /// does by default.
    Blocking,
}
