//! What is new: requests as they come and end, and the emulator's state, for pages that ask again
//! and again and for programs that listen.

mod news;
mod overview;
mod stream;

pub(crate) use news::{Since, news};
pub(crate) use stream::follow;
