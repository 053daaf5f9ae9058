//! Links the unwinder into the command, where the C compiler's own copy of it is at hand.
//!
//! Else the command loads `libgcc_s.so.1` whenever it starts, to unwind panics that do not come,
//! and this library asks the processor for its features as it is loaded, which a virtual machine's
//! host has to answer each time: about a tenth of the time of `gce-auth token`. Without that copy
//! everything works as well.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts through the environment"
)]

use std::{env, path::Path, process::Command};

/// What gcc calls its unwinder as a static library.
const UNWINDER: &str = "libgcc_eh.a";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let linker = match env::var("RUSTC_LINKER") {
        Ok(linker) => linker,
        Err(_) if env::var("HOST") == env::var("TARGET") => "cc".to_owned(),
        Err(_) => return,
    };
    if let Some(folder) = unwinder(&linker) {
        println!("cargo::rustc-link-search=native={folder}");
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// The folder of the unwinder; `None` where the linker is no gcc, or has none.
fn unwinder(linker: &str) -> Option<String> {
    let ask = format!("-print-file-name={UNWINDER}");
    let answer = Command::new(linker).arg(ask).output().ok()?;
    let path = String::from_utf8(answer.stdout).ok()?;
    let path = Path::new(path.trim());
    let exists = path.is_absolute() && path.is_file();
    exists.then(|| path.parent()?.to_str().map(str::to_owned))?
}
