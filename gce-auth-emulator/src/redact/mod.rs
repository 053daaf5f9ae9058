//! Takes secrets out of texts that people are shown: tokens, signatures, client secrets, private
//! keys. What a JSON Web Token says is kept, its signature is not.

mod names;
mod scan;
mod suspicion;
mod web_token;

pub(crate) use scan::{header, text};
pub(crate) use web_token::Seen;
