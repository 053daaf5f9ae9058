//! Lists a bucket for its callers:
//! `BUCKET=.. cargo run --example service --features axum-0_8,reqwest-0_13 -- [ADDRESS]`

#![allow(clippy::disallowed_methods)] // it reads its environment

use axum::{Router, extract::State, http::StatusCode, routing::get};
use gce_auth::{Credentials, DefaultOptions};
use gce_auth_adapters::reqwest_0_13::Authorize;

#[derive(Clone)]
struct App {
    credentials: Credentials,
    http: reqwest::Client,
    list: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let found = gce_auth::default_credentials(DefaultOptions::new()).await?;
    println!("credentials from {}", found.source);
    let api = std::env::var("STORAGE").unwrap_or("https://storage.googleapis.com".into());
    let app = App {
        credentials: found.credentials,
        http: reqwest::Client::new(),
        list: format!("{api}/storage/v1/b/{}/o", std::env::var("BUCKET")?),
    };
    let router = Router::new()
        .route("/", get(objects))
        .route("/ready", get(ready))
        .with_state(app);
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Answers 200 once there is a token, for the readiness probe.
async fn ready(State(app): State<App>) -> StatusCode {
    match app.credentials.headers().await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn objects(State(app): State<App>) -> Result<String, (StatusCode, String)> {
    let failed = |why: String| (StatusCode::BAD_GATEWAY, why);
    let request = app.http.get(&app.list).authorize(&app.credentials).await;
    let request = request.map_err(|error| failed(error.to_string()))?;
    let answer = request
        .send()
        .await
        .map_err(|error| failed(error.to_string()))?;
    answer
        .text()
        .await
        .map_err(|error| failed(error.to_string()))
}
