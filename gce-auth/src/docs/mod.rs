//! Starts here: which page answers which question. The only code is
//! [`VARIABLES`](environment::VARIABLES), the environment variables that this crate reads.
//!
//! | you want to | read |
//! | --- | --- |
//! | find credentials for a program | [`choosing_a_source`] |
//! | use them well: async, interceptors, 401, watches, tests | [`patterns`] |
//! | know what an error means, and what is repeated | [`errors`] |
//! | know each environment variable | [`environment`] |
//! | know every limit, and what happens in an outage | [`limits`] |
//! | know what it costs | [`performance`], [`scale`] |
//! | move from another library | [`from_google_auth`], [`from_google_cloud_auth`], [`from_gcp_auth`], [`from_google_cloud_metadata`] |

#[doc = include_str!("choosing_a_source.md")]
pub mod choosing_a_source {}

#[doc = include_str!("environment.md")]
pub mod environment {
    pub use crate::io::env::VARIABLES;
}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("from_gcp_auth.md")]
pub mod from_gcp_auth {}

#[doc = include_str!("from_google_auth.md")]
pub mod from_google_auth {}

#[doc = include_str!("from_google_cloud_auth.md")]
pub mod from_google_cloud_auth {}

#[doc = include_str!("from_google_cloud_metadata.md")]
pub mod from_google_cloud_metadata {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("patterns.md")]
pub mod patterns {}

#[doc = include_str!("performance.md")]
pub mod performance {}

// The picture comes first: rustdoc carries no files, so it takes the plot from here.
#[doc = include_str!("scale.link")]
#[doc = include_str!("scale.md")]
pub mod scale {}
