//! Node: the packages of the lock file.

use std::{ffi::OsString, fs, path::Path, process::Command};

use super::{Client, Failure, INSTALL_LIMIT, Unavailable, clients, once::once, process, text};

/// npm is a script on Windows, which has to be named in full.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// The programs, which stand beside their packages.
const SOURCES: [&str; 9] = [
    "package.json",
    "package-lock.json",
    "apis.js",
    "client.js",
    "access_token.js",
    "default.js",
    "files.js",
    "issue.js",
    "verify.js",
];

/// One of the Node programs, with their packages under `target/interop/node`.
///
/// # Errors
///
/// When there is no Node with npm, or the packages can't be installed.
pub fn node(target: &Path, program: &str) -> Result<Client, Unavailable> {
    prepare(&target.join("interop"), program).map_err(Unavailable::because("Node"))
}

fn prepare(place: &Path, script: &str) -> Result<Client, Failure> {
    let sources = clients().join("node");
    // Its version, and where it is, so that a test can do without a PATH.
    let found = process::finish(
        Command::new("node").args(["-p", "process.version + '\\n' + process.execPath"]),
        INSTALL_LIMIT,
    )?;
    let (version, program) = found
        .trim_end()
        .split_once('\n')
        .unwrap_or((&found, "node"));
    let key: Vec<String> = SOURCES
        .iter()
        .map(|name| text(&sources.join(name)))
        .collect::<Result<_, _>>()?;

    let folder = place.join("node");
    once(&folder, &(version.to_owned() + &key.concat()), || {
        fs::create_dir_all(&folder)
            .and_then(|()| {
                // Node looks for packages beside the program.
                SOURCES
                    .iter()
                    .try_for_each(|name| fs::copy(sources.join(name), folder.join(name)).map(drop))
            })
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        process::finish(
            Command::new(NPM)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&folder),
            INSTALL_LIMIT,
        )
        .map(drop)
    })?;

    Ok(Client {
        language: "Node",
        program: program.into(),
        arguments: vec![OsString::from(folder.join(script))],
        home: place.join("home"),
    })
}
