//! A place where Google's names lead to an emulator.

use std::{path::PathBuf, process::Command};

use super::{INSTALL_LIMIT, Unavailable, clients, process};

/// The program that runs others in namespaces of their own, in which Google's names lead to an
/// emulator.
///
/// # Errors
///
/// When the system has no namespaces, or allows none.
pub fn namespace() -> Result<PathBuf, Unavailable> {
    let runner = clients().join("namespace").join("run.py");
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "--net", "--mount"]);
    inside.args(["ip", "link", "set", "lo", "up"]);
    process::finish(&mut inside, INSTALL_LIMIT)
        .map(|_| runner)
        .map_err(Unavailable::because("namespaced"))
}
