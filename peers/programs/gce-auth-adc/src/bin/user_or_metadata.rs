//! Prints a token of a user, or of the metadata server where no refresh token is given.

use std::env;

use gce_auth::{Credentials, Error};

fn main() -> Result<(), Error> {
    let mut arguments = env::args().skip(1);
    let credentials = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(client), Some(secret), Some(refresh_token)) => {
            Credentials::authorized_user(client, secret, refresh_token).build()?
        }
        _ => Credentials::new(),
    };
    println!("{}", credentials.blocking_token()?.secret());
    Ok(())
}
