//! Gets a URL without a runtime: `cargo run --example ureq --features ureq-3 -- URL`

use gce_auth_adapters::ureq_3::Auth;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: ureq URL")?;
    let credentials = gce_auth::Credentials::new();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .middleware(Auth::new(credentials))
        .build()
        .into();
    println!("{}", agent.get(&url).call()?.status());
    Ok(())
}
