//! Reads a secret: `cargo run --example google_cloud_auth --features google-cloud-auth-1 --
//! projects/P/secrets/S/versions/latest`

use gce_auth_adapters::google_cloud_auth_1 as adapter;
use google_cloud_secretmanager_v1::client::SecretManagerService;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args()
        .nth(1)
        .ok_or("usage: google_cloud_auth VERSION")?;
    let credentials = gce_auth::Credentials::new();
    let client = SecretManagerService::builder()
        .with_credentials(adapter::credentials(&credentials))
        .build()
        .await?;
    let version = client.access_secret_version().set_name(name).send().await?;
    let bytes = version.payload.map_or(0, |payload| payload.data.len());
    println!("the secret has {bytes} bytes");
    Ok(())
}
