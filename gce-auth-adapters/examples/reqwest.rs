//! Gets a URL: `cargo run --example reqwest --features reqwest-0_13 -- URL`

use gce_auth_adapters::reqwest_0_13::Authorize;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: reqwest URL")?;
    let credentials = gce_auth::Credentials::new();
    let client = reqwest::Client::new();
    let answer = client
        .get(url)
        .authorize(&credentials)
        .await?
        .send()
        .await?;
    println!("{}", answer.status());
    Ok(())
}
