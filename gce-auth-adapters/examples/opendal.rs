//! Reads an object: `cargo run --example opendal --features opendal-0_59 -- BUCKET OBJECT`

use gce_auth_adapters::opendal_0_59::Authorize;
use opendal::{Operator, services::Gcs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bucket), Some(object)) = (arguments.next(), arguments.next()) else {
        return Err("usage: opendal BUCKET OBJECT".into());
    };
    // Without opendal's default features, which install a transport themselves.
    opendal::install_default();
    let credentials = gce_auth::Credentials::new();
    let operator = Operator::new(Gcs::default().bucket(&bucket).authorize(&credentials))?;
    println!("{} bytes", operator.read(&object).await?.len());
    Ok(())
}
