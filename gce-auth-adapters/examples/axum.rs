//! Greets callers by their ID token: `cargo run --example axum --features axum-0_8 -- AUDIENCE [ADDRESS]`

use axum::{Router, routing::get};
use gce_auth::IdTokenVerifier;
use gce_auth_adapters::axum_0_8::Identity;

async fn hello(Identity(caller): Identity) -> String {
    format!("hello, {}\n", caller.email().unwrap_or(caller.subject()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let audience = arguments.next().ok_or("usage: axum AUDIENCE [ADDRESS]")?;
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let verifier = IdTokenVerifier::builder().audience(audience).build()?;
    let router = Router::new().route("/", get(hello)).with_state(verifier);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
