//! Exports nothing over gRPC: `cargo run --example tonic --features tonic-0_14 -- ENDPOINT`

use std::time::Duration;

use gce_auth_adapters::tonic_0_14::interceptor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::args().nth(1).ok_or("usage: tonic ENDPOINT")?;
    let credentials = gce_auth::Credentials::new();
    credentials.wait_ready(Duration::from_secs(30)).await?;
    let channel = Endpoint::from_shared(endpoint)?.connect_lazy();
    let mut client = TraceServiceClient::with_interceptor(channel, interceptor(credentials));
    let answer = client.export(ExportTraceServiceRequest::default()).await?;
    println!("{:?}", answer.into_inner());
    Ok(())
}
