//! Gets a URL with hyper-util's client, through the library's own layer: `cargo run --example
//! hyper_util -- URL`

use gce_auth::{AuthLayer, Credentials};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower_layer::Layer;
use tower_service::Service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let url = std::env::args().nth(1).ok_or("usage: hyper_util URL")?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
    let mut client = AuthLayer::new(Credentials::new())
        .resend_clones()
        .layer(client);
    let answer = client
        .call(http::Request::get(url).body(Empty::new())?)
        .await?;
    println!("{}", answer.status());
    Ok(())
}
