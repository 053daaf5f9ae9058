//! [opendal] 0.59: its service `Gcs` with gce-auth's tokens.
//!
//! ```no_run
//! use gce_auth_adapters::opendal_0_59 as adapter;
//! use opendal::{Operator, services::Gcs};
//!
//! # fn operator() -> opendal::Result<Operator> {
//! let credentials = gce_auth::Credentials::new();
//! let operator = Operator::new(Gcs::default().bucket("b").credential_provider(adapter::credential_provider(&credentials)))?;
//! # Ok(operator)
//! # }
//! ```
//!
//! opendal signs through reqsign: see [`reqsign_core_3`](crate::reqsign_core_3).
//!
//! [opendal]: https://docs.rs/opendal

pub use crate::reqsign_core_3::{Provider, credential_provider};
