//! Logs in to Cloud SQL: `cargo run --example tokio_postgres --features tokio-postgres-0_7 --
//! 'host=127.0.0.1 dbname=app'`

use gce_auth_adapters::tokio_postgres_0_7::login;
use tokio_postgres::{Config, NoTls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config: Config = std::env::args()
        .nth(1)
        .ok_or("usage: tokio_postgres CONFIG")?
        .parse()?;
    let credentials = gce_auth::Credentials::new();
    login(&mut config, &credentials).await?;
    // NoTls reaches the Auth Proxy on this machine. Give other hosts a TLS connector.
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    let row = client.query_one("SELECT current_user::text", &[]).await?;
    println!("logged in as {}", row.get::<_, String>(0));
    Ok(())
}
