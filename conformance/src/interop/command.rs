//! The command `gce-auth`, under which programs find a metadata server of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{BUILD_LIMIT, Unavailable, process};
use crate::env;

/// How the command is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Build {
    /// Quickly.
    Debug,
    /// As its users have it.
    Release,
}

/// The command of this workspace as it stands, built in `target`.
///
/// # Errors
///
/// When it does not build.
pub fn gce_auth(target: &Path, build: Build) -> Result<PathBuf, Unavailable> {
    let (profile, folder) = match build {
        Build::Debug => ("dev", "debug"),
        Build::Release => ("release", "release"),
    };
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--quiet", "--locked", "-p", "gce-auth-cli"])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for variable in env::of_this_package() {
        cargo.env_remove(variable);
    }
    process::finish(&mut cargo, BUILD_LIMIT).map_err(Unavailable::because("gce-auth"))?;
    let name = if cfg!(windows) {
        "gce-auth.exe"
    } else {
        "gce-auth"
    };
    Ok(target.join(folder).join(name))
}

/// A program that is installed on this machine.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&env::path())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
