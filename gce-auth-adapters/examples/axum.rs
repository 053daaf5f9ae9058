//! Greets callers by their ID token, and lets one of them in further:
//! `cargo run --example axum --features axum-0_8 -- AUDIENCE ADMIN [ADDRESS [KEYS]]`

use axum::{Router, routing::get};
use gce_auth::IdTokenVerifier;
use gce_auth_adapters::axum_0_8::{Identity, RequireIdentity};

async fn hello(Identity(caller): Identity) -> String {
    format!("hello, {}\n", caller.email().unwrap_or(caller.subject()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: axum AUDIENCE ADMIN [ADDRESS [KEYS]]";
    let (audience, admin) = (arguments.next(), arguments.next().ok_or(usage)?);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let mut verifier = IdTokenVerifier::builder().audience(audience.ok_or(usage)?);
    if let Some(keys) = arguments.next() {
        // Of an emulator; without a URL the keys are Google's.
        verifier = verifier.jwks_url(keys);
    }
    let verifier = verifier.build()?;
    let is_admin = RequireIdentity::new(verifier.clone())
        .allow(move |caller| caller.is_email_verified() && caller.email() == Some(&admin));
    let router = Router::new()
        .route("/", get(hello))
        .route("/admin", get(|| async { "welcome\n" }).layer(is_admin))
        .with_state(verifier);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
