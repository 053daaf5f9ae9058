//! One contestant to a file.

pub mod floor;
pub mod gce_auth;
#[cfg(feature = "peers")]
pub mod gcp_auth;
#[cfg(feature = "peers")]
pub mod google_cloud_auth;
#[cfg(feature = "peers")]
pub mod object_store;
#[cfg(feature = "peers")]
pub mod yup_oauth2;
