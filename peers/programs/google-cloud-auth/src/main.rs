//! Prints a token.

use std::error::Error;

use google_cloud_auth::credentials::mds;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = mds::Builder::default().build_access_token_credentials()?;
    println!("{}", credentials.access_token().await?.token);
    Ok(())
}
