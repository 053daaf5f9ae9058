//! Prints a token.

fn main() -> Result<(), gce_auth::Error> {
    let token = gce_auth::Credentials::new().blocking_token()?;
    println!("{}", token.secret());
    Ok(())
}
