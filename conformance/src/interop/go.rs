//! Go: a program built from the modules of its `go.sum`.

use std::{fs, path::Path, process::Command};

use super::{
    BUILD_LIMIT, Client, Failure, INSTALL_LIMIT, Unavailable, clients, once::once, process, text,
};

/// The Go client, built under `target/interop/go`.
///
/// # Errors
///
/// When there is no Go that is new enough, or the modules can't be fetched.
pub fn go(target: &Path) -> Result<Client, Unavailable> {
    prepare(&target.join("interop")).map_err(Unavailable::because("Go"))
}

fn prepare(place: &Path) -> Result<Client, Failure> {
    let sources = clients().join("go");
    let version = process::finish(Command::new("go").arg("version"), INSTALL_LIMIT)?;
    let key: Vec<String> = ["go.mod", "go.sum", "main.go"]
        .iter()
        .map(|name| text(&sources.join(name)))
        .collect::<Result<_, _>>()?;

    let folder = place.join("go");
    let program = folder.join(if cfg!(windows) {
        "client.exe"
    } else {
        "client"
    });
    once(&folder, &(version + &key.concat()), || {
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        process::finish(
            Command::new("go")
                .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
                .arg(&program)
                .arg(".")
                .current_dir(&sources)
                // The Go that is there, and no C compiler.
                .env("GOTOOLCHAIN", "local")
                .env("CGO_ENABLED", "0"),
            BUILD_LIMIT,
        )
        .map(drop)
    })?;

    Ok(Client {
        language: "Go",
        program,
        arguments: Vec::new(),
        home: place.join("home"),
    })
}
