//! Logs in to Cloud SQL: `cargo run --example sqlx --features sqlx-0_9 -- 127.0.0.1 DATABASE`

use gce_auth_adapters::sqlx_0_9::connect;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(host), Some(database)) = (arguments.next(), arguments.next()) else {
        return Err("usage: sqlx HOST DATABASE".into());
    };
    let credentials = gce_auth::Credentials::new();
    let options = PgConnectOptions::new().host(&host).database(&database);
    let pool = connect(PgPoolOptions::new(), options, &credentials).await?;
    let user: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(&pool)
        .await?;
    println!("logged in as {user}");
    pool.close().await;
    Ok(())
}
