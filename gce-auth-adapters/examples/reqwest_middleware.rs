//! Gets a URL, again after a 401: `cargo run --example reqwest_middleware --features
//! reqwest-middleware-0_5 -- URL`

use gce_auth_adapters::reqwest_middleware_0_5::Auth;
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("usage: reqwest_middleware URL")?;
    let credentials = gce_auth::Credentials::new();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(Auth::new(credentials))
        .build();
    println!("{}", client.get(url).send().await?.status());
    Ok(())
}
