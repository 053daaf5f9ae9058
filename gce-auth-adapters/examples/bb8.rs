//! Logs in to Cloud SQL: `cargo run --example bb8 --features bb8-0_9 -- 'host=127.0.0.1
//! dbname=app'`

use gce_auth_adapters::bb8_0_9::IamManager;
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args()
        .nth(1)
        .ok_or("usage: bb8 CONFIG")?
        .parse()?;
    let credentials = gce_auth::Credentials::new();
    // NoTls reaches the Auth Proxy on this machine. Give other hosts a TLS connector.
    let manager = IamManager::new(config, &credentials, NoTls);
    let pool = bb8::Pool::builder().build(manager).await?;
    let row = pool
        .get()
        .await?
        .query_one("SELECT current_user::text", &[])
        .await?;
    println!("logged in as {}", row.get::<_, String>(0));
    Ok(())
}
