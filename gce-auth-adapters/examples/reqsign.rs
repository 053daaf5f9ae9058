//! Signs a request: `cargo run --example reqsign --features reqsign-core-3 -- URL`

use gce_auth_adapters::reqsign_core_3 as adapter;
use reqsign_core::{Context, Signer};
use reqsign_google::RequestSigner;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: reqsign URL")?;
    let credentials = gce_auth::Credentials::new();
    let signer = Signer::new(
        Context::new(),
        adapter::credential_provider(&credentials),
        RequestSigner::new("storage"),
    );
    let (mut parts, ()) = http::Request::get(url).body(())?.into_parts();
    signer.sign(&mut parts, None).await?;
    println!("signed with {:?}", parts.headers);
    Ok(())
}
