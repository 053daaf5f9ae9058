//! [opendal] 0.59: its service `Gcs` with gce-auth's tokens.
//!
//! ```no_run
//! use gce_auth_adapters::opendal_0_59::Authorize;
//! use opendal::{Operator, services::Gcs};
//!
//! # fn operator() -> opendal::Result<Operator> {
//! let credentials = gce_auth::Credentials::new();
//! let operator = Operator::new(Gcs::default().bucket("b").authorize(&credentials))?;
//! # Ok(operator)
//! # }
//! ```
//!
//! opendal logs an error of a provider as a warning, and fails with "failed to load signing
//! credential". It signs through reqsign: see [`reqsign_core_3`](crate::reqsign_core_3).
//!
//! [opendal]: https://docs.rs/opendal

use gce_auth::Credentials;
use opendal::services::Gcs;

use crate::reqsign_core_3::{Provider, credential_provider};

/// Takes tokens and signatures of gce-auth.
pub trait Authorize: Sized {
    /// Sets gce-auth as the only source of tokens.
    ///
    /// Without that, opendal takes another identity where a provider fails: that of a credentials
    /// file, or of the machine.
    #[must_use]
    fn authorize(self, ours: &Credentials) -> Self {
        self.authorize_with(credential_provider(ours))
    }

    /// Does the same with a provider of your own, such as one that
    /// [signs URLs](Provider::with_signer_email).
    #[must_use]
    fn authorize_with(self, provider: Provider) -> Self;
}

impl Authorize for Gcs {
    fn authorize_with(self, provider: Provider) -> Self {
        self.disable_config_load()
            .disable_vm_metadata()
            .credential_provider(provider)
    }
}
