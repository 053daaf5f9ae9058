//! Reads an object and signs its URL: `cargo run --example object_store --features
//! object_store-0_14 -- BUCKET OBJECT`

use std::time::Duration;

use gce_auth_adapters::object_store_0_14::Authorize;
use object_store::{ObjectStoreExt, gcp::GoogleCloudStorageBuilder, path::Path, signer::Signer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bucket), Some(object)) = (arguments.next(), arguments.next()) else {
        return Err("usage: object_store BUCKET OBJECT".into());
    };
    let object = Path::from(object);
    let credentials = gce_auth::Credentials::new();
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .authorize(&credentials)
        .build()?;
    let bytes = store.get(&object).await?.bytes().await?;
    let url = store
        .signed_url(http::Method::GET, &object, Duration::from_secs(600))
        .await?;
    println!("{} bytes; for 10 minutes also at {url}", bytes.len());
    Ok(())
}
