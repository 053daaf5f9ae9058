//! Gives the `gcloud-*` crates a token: `cargo run --example google_cloud_token --features
//! google-cloud-token-0_1`

use gce_auth_adapters::google_cloud_token_0_1 as adapter;
use google_cloud_token::TokenSourceProvider;

/// What the configuration of a client of those crates has.
struct ClientConfig {
    token_source_provider: Option<Box<dyn TokenSourceProvider>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let credentials = gce_auth::Credentials::new();
    let config = ClientConfig {
        token_source_provider: Some(Box::new(adapter::token_source_provider(&credentials))),
    };
    if let Some(provider) = &config.token_source_provider {
        let header = provider.token_source().token().await?;
        println!("the header has {} characters", header.len());
    }
    Ok(())
}
