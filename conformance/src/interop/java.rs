//! Java: a program of one file, with the libraries that Maven finds for its `pom.xml`.

use std::{ffi::OsString, fs, path::Path, process::Command};

use super::{Client, Failure, INSTALL_LIMIT, Unavailable, clients, once::once, process, text};

/// Maven is a script on Windows, which has to be named in full.
const MAVEN: &str = if cfg!(windows) { "mvn.cmd" } else { "mvn" };

/// The Java client, with its libraries and classes under `target/interop/java`.
///
/// # Errors
///
/// When there is no JDK with Maven, or the libraries can't be fetched.
pub fn java(target: &Path) -> Result<Client, Unavailable> {
    prepare(&target.join("interop")).map_err(Unavailable::because("Java"))
}

fn prepare(place: &Path) -> Result<Client, Failure> {
    let sources = clients().join("java");
    let (pom, program) = (sources.join("pom.xml"), sources.join("Client.java"));
    let version = process::finish(Command::new("javac").arg("-version"), INSTALL_LIMIT)?;

    let folder = place.join("java");
    let libraries = folder.join("lib");
    once(&folder, &(version.clone() + &text(&pom)?), || {
        fs::create_dir_all(&libraries)
            .map_err(|error| Failure::new(format!("{}: {error}", libraries.display())))?;
        let mut output = OsString::from("-DoutputDirectory=");
        output.push(&libraries);
        process::finish(
            Command::new(MAVEN)
                .args(["--batch-mode", "--quiet", "--file"])
                .arg(&pom)
                .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
                .arg(output),
            INSTALL_LIMIT,
        )
        .map(drop)
    })?;

    let mut path = libraries.into_os_string();
    path.push(if cfg!(windows) { "\\*" } else { "/*" });
    let classes = place.join("java-classes");
    once(
        &classes,
        &(version + &text(&pom)? + &text(&program)?),
        || {
            process::finish(
                Command::new("javac")
                    .arg("-Werror")
                    .arg("-cp")
                    .arg(&path)
                    .arg("-d")
                    .arg(&classes)
                    .arg(&program),
                INSTALL_LIMIT,
            )
            .map(drop)
        },
    )?;

    path.push(if cfg!(windows) { ";" } else { ":" });
    path.push(&classes);
    Ok(Client {
        language: "Java",
        program: "java".into(),
        arguments: vec![
            // For a program of a second: the quick compiler only.
            "-XX:TieredStopAtLevel=1".into(),
            "-cp".into(),
            path,
            "Client".into(),
        ],
        home: place.join("home"),
    })
}
