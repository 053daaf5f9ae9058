//! Greets callers by their ID token: `cargo run --example axum --features axum-0_8 -- AUDIENCE`

use axum::{Router, routing::get};
use gce_auth::IdTokenVerifier;
use gce_auth_adapters::axum_0_8::Identity;

async fn hello(Identity(caller): Identity) -> String {
    format!("hello, {}\n", caller.email().unwrap_or(caller.subject()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let audience = std::env::args().nth(1).ok_or("usage: axum AUDIENCE")?;
    let verifier = IdTokenVerifier::builder().audience(audience).build()?;
    let router = Router::new().route("/", get(hello)).with_state(verifier);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
