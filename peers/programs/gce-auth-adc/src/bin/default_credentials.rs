//! Prints a token of Application Default Credentials, whatever they are.

use gce_auth::{DefaultOptions, Error, blocking_default_credentials};

fn main() -> Result<(), Error> {
    let found = blocking_default_credentials(DefaultOptions::new())?;
    println!("{}", found.credentials.blocking_token()?.secret());
    Ok(())
}
