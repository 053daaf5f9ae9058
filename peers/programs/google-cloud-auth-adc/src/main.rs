//! Prints a token of Application Default Credentials, whatever they are.

use std::error::Error;

use google_cloud_auth::credentials::Builder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = Builder::default().build_access_token_credentials()?;
    println!("{}", credentials.access_token().await?.token);
    Ok(())
}
