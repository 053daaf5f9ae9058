//! Gives a library that takes gcp_auth's provider a token: `cargo run --example gcp_auth --features
//! gcp_auth-0_12`

use gce_auth_adapters::gcp_auth_0_12 as adapter;
use gcp_auth::TokenProvider;

/// What a library does that takes gcp_auth's provider.
async fn library(provider: &dyn TokenProvider) -> Result<usize, gcp_auth::Error> {
    let scopes = &["https://www.googleapis.com/auth/cloud-platform"];
    Ok(provider.token(scopes).await?.as_str().len())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let credentials = gce_auth::Credentials::new();
    let provider = adapter::token_provider(&credentials);
    println!("the token has {} characters", library(&*provider).await?);
    Ok(())
}
