//! The verbs and properties of google-auth on our types, for code that comes
//! from there.

mod methods;
mod refresh;
mod request;
pub(crate) mod state;
