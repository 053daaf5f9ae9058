//! Floor 6: google-auth's verbs and properties on our types, for code that
//! comes from there.

mod methods;
mod refresh;
mod request;
pub(crate) mod state;
