//! A program that only the standard library has a part in, built by the compiler alone.

use std::{fs, path::Path, process::Command};

use super::{BUILD_LIMIT, Client, Failure, Unavailable, clients, once::once, process, text};

/// The program that does the least for a token, built under `target/interop/floor`.
///
/// # Errors
///
/// When there is no Rust compiler.
pub fn floor(target: &Path) -> Result<Client, Unavailable> {
    prepare(&target.join("interop")).map_err(Unavailable::because("Rust"))
}

fn prepare(place: &Path) -> Result<Client, Failure> {
    let source = clients().join("floor").join("main.rs");
    let version = process::finish(Command::new("rustc").arg("--version"), BUILD_LIMIT)?;
    let folder = place.join("floor");
    let program = folder.join(if cfg!(windows) { "floor.exe" } else { "floor" });
    once(&folder, &(version + &text(&source)?), || {
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-C", "opt-level=3", "-o"]);
        process::finish(rustc.arg(&program).arg(&source), BUILD_LIMIT).map(drop)
    })?;
    Ok(Client {
        language: "Rust",
        program,
        arguments: Vec::new(),
        home: place.join("home"),
    })
}
