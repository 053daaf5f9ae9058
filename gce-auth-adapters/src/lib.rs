#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum-0_8")]
pub mod axum_0_8;
#[cfg(feature = "bb8-0_9")]
pub mod bb8_0_9;
#[cfg(feature = "deadpool-postgres-0_14")]
pub mod deadpool_postgres_0_14;
#[cfg(feature = "gcp_auth-0_12")]
pub mod gcp_auth_0_12;
#[cfg(feature = "google-cloud-auth-1")]
pub mod google_cloud_auth_1;
#[cfg(feature = "google-cloud-token-0_1")]
pub mod google_cloud_token_0_1;
#[cfg(feature = "object_store-0_14")]
pub mod object_store_0_14;
#[cfg(feature = "opendal-0_59")]
pub mod opendal_0_59;
#[cfg(feature = "opentelemetry-otlp-0_33")]
pub mod opentelemetry_otlp_0_33;
#[cfg(feature = "reqsign-core-3")]
pub mod reqsign_core_3;
#[cfg(feature = "reqwest-0_13")]
pub mod reqwest_0_13;
#[cfg(feature = "reqwest-middleware-0_5")]
pub mod reqwest_middleware_0_5;
#[cfg(feature = "sqlx-0_9")]
pub mod sqlx_0_9;
#[cfg(feature = "tokio-postgres-0_7")]
pub mod tokio_postgres_0_7;
#[cfg(feature = "tonic-0_14")]
pub mod tonic_0_14;
#[cfg(feature = "ureq-3")]
pub mod ureq_3;

#[cfg(any(feature = "sqlx-0_9", feature = "tokio-postgres-0_7"))]
mod cloud_sql;
#[cfg(any(feature = "bb8-0_9", feature = "deadpool-postgres-0_14"))]
mod cloud_sql_connect;
