//! Logs in to Cloud SQL: `cargo run --example deadpool_postgres --features deadpool-postgres-0_14
//! -- 'host=127.0.0.1 dbname=app'`

use deadpool_postgres::{Manager, ManagerConfig, Pool};
use gce_auth_adapters::deadpool_postgres_0_14::IamConnect;
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args()
        .nth(1)
        .ok_or("usage: deadpool_postgres CONFIG")?
        .parse()?;
    let credentials = gce_auth::Credentials::new();
    // NoTls reaches the Auth Proxy on this machine. Give other hosts a TLS connector.
    let manager = Manager::from_connect(
        config,
        IamConnect::new(&credentials, NoTls),
        ManagerConfig::default(),
    );
    let pool = Pool::builder(manager).build()?;
    let row = pool
        .get()
        .await?
        .query_one("SELECT current_user::text", &[])
        .await?;
    println!("logged in as {}", row.get::<_, String>(0));
    Ok(())
}
