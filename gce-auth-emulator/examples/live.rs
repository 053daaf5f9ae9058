//! An emulator with its live page, until the process is ended:
//! `cargo run -p gce-auth-emulator --example live`. The first argument is an address to listen on.

#![allow(clippy::print_stdout, reason = "an example prints")]

use gce_auth_emulator::Emulator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Emulator::builder().on_event(|event| println!("{event}"));
    if let Some(address) = std::env::args().nth(1) {
        builder = builder.address(address.parse()?);
    }
    let emulator = builder.start()?;
    println!("open {}/emulator/", emulator.url());
    loop {
        std::thread::park();
    }
}
