//! A program of a user, built from the packaged crates: it runs on a laptop's file and against the
//! emulator.

use gce_auth::{DefaultOptions, IdTokenVerifier, MetadataClient};
use gce_auth_emulator::{AdcKind, Emulator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let emulator = Emulator::builder().project_id("my-project").start()?;
    let address = emulator.addr().to_string();

    // Against the emulator.
    let client = MetadataClient::builder().endpoint(&address).build()?;
    assert_eq!(client.blocking_project_id()?, "my-project");
    let credentials = gce_auth::Credentials::builder()
        .client(client.clone())
        .build()?;
    assert!(credentials.blocking_token()?.expires_at().is_some());
    let id_token = credentials
        .id_token("https://service.example")?
        .blocking_token()?;
    let keys = format!("http://{address}/oauth2/v3/certs");
    let verifier = IdTokenVerifier::builder()
        .audience("https://service.example")
        .jwks_url(keys)
        .build()?;
    println!(
        "ID token of {:?}",
        verifier.blocking_verify(id_token.secret())?.email()
    );

    // On a laptop's file.
    let folder = std::env::args().nth(1).ok_or("usage: consumer FOLDER")?;
    let file = emulator.write_adc(folder, AdcKind::AuthorizedUser)?;
    let options = DefaultOptions::new().trust_host(format!("http://{address}"));
    let credentials = options.load_file(file)?.credentials;
    println!(
        "token of a user until {:?}",
        credentials.blocking_token()?.expires_at()
    );
    Ok(())
}
