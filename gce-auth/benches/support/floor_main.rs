//! Prints a token with the standard library alone: what `print_token` in
//! `examples` is compared with.

mod floor;

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::var("GCE_METADATA_HOST")?.parse()?;
    let (bearer, _) = floor::Floor::connect(address)?.token()?;
    println!("{}", bearer.trim_start_matches("Bearer "));
    Ok(())
}
