//! Google's conformance vectors of signed URLs, out of the module that holds them for its own
//! tests: Go's client of Cloud Storage, as Go downloads it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{Failure, INSTALL_LIMIT, Unavailable, clients, process, text};

const MODULE: &str = "cloud.google.com/go/storage@v1.70.0";
/// What Go's checksum of the module is, so that everybody reads the same.
const SUM: &str = "h1:LQNHn0rRF94jVFfF3e416IzdQqIufa5GfF6HilQxb80=";

/// The vectors, and the service account that they are signed by.
#[derive(Debug)]
#[non_exhaustive]
pub struct Vectors {
    /// The file of vectors, as it is.
    pub document: Value,
    /// The account's address.
    pub email: String,
    /// Its key, public as it is, in PKCS #8 and PEM.
    pub private_key: String,
}

/// Reads the vectors.
///
/// # Errors
///
/// When there is no Go, the module can't be fetched, or does not hold them.
pub fn vectors() -> Result<Vectors, Unavailable> {
    read().map_err(Unavailable::because("Go"))
}

fn read() -> Result<Vectors, Failure> {
    let said = process::finish(
        Command::new("go")
            .args(["mod", "download", "-json", MODULE])
            // No module of anybody's.
            .current_dir(clients())
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", ""),
        INSTALL_LIMIT,
    )?;
    let said = json(&said, Path::new(MODULE))?;
    if said["Sum"] != SUM {
        return Err(Failure::new(format!("{MODULE} is not what it was: {said}")));
    }
    let folder = said["Dir"]
        .as_str()
        .map(|folder| PathBuf::from(folder).join("internal/test/conformance"))
        .ok_or_else(|| Failure::new(format!("{MODULE} is nowhere: {said}")))?;
    let read = |name: &str| {
        let path = folder.join(name);
        json(&text(&path)?, &path)
    };
    let account = read("service-account")?;
    let field = |name: &str| {
        let value = account[name].as_str().map(str::to_owned);
        value.ok_or_else(|| Failure::new(format!("the account of the vectors has no {name}")))
    };
    Ok(Vectors {
        document: read("v4_signatures.json")?,
        email: field("client_email")?,
        private_key: field("private_key")?,
    })
}

fn json(text: &str, path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}
