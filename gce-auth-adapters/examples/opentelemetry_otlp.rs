//! Exports one span: `cargo run --example opentelemetry_otlp --features opentelemetry-otlp-0_33 --
//! ENDPOINT`

use std::time::Duration;

use gce_auth_adapters::opentelemetry_otlp_0_33::interceptor;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args()
        .nth(1)
        .ok_or("usage: opentelemetry_otlp ENDPOINT")?;
    let credentials = gce_auth::Credentials::new();
    credentials.wait_ready(Duration::from_secs(30)).await?;
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_interceptor(interceptor(credentials))
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    provider.tracer("example").in_span("hello", |_| ());
    provider.shutdown()?;
    Ok(())
}
