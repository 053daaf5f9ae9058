//! Rust: a workspace of its own, built with the crates of its own lock file.

use std::{path::Path, process::Command};

use super::{BUILD_LIMIT, Client, Failure, Unavailable, clients, process};
use crate::env;

/// The Rust client, built under `target/interop/rust`.
///
/// Cargo knows what has to be built again.
///
/// # Errors
///
/// When cargo is too old for the crates, or they can't be fetched.
pub fn rust(target: &Path) -> Result<Client, Unavailable> {
    prepare(&target.join("interop")).map_err(Unavailable::because("Rust"))
}

fn prepare(place: &Path) -> Result<Client, Failure> {
    let sources = clients().join("rust");
    let folder = place.join("rust");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(&folder)
        .current_dir(&sources)
        // Built once: what an incremental build writes is never read.
        .env("CARGO_INCREMENTAL", "0");
    for variable in env::of_this_package() {
        cargo.env_remove(variable);
    }
    process::finish(&mut cargo, BUILD_LIMIT)?;

    Ok(Client {
        language: "Rust",
        program: folder.join("debug").join(if cfg!(windows) {
            "metadata-client.exe"
        } else {
            "metadata-client"
        }),
        arguments: Vec::new(),
        home: place.join("home"),
    })
}
