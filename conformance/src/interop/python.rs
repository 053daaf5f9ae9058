//! Python: a virtual environment with the pinned google-auth.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Client, Failure, INSTALL_LIMIT, Unavailable, clients, once::once, process, text};

/// Prints what the environment depends on; fails when virtual environments can't be made.
const PROBE: &str = "import ensurepip, sys, venv; print(sys.executable, sys.version)";

/// One of the Python programs, with their virtual environment under `target/interop/python`.
///
/// # Errors
///
/// When there is no Python that can make virtual environments, or the packages can't be installed.
pub fn python(target: &Path, program: &str) -> Result<Client, Unavailable> {
    prepare(&target.join("interop"), program).map_err(Unavailable::because("Python"))
}

fn prepare(place: &Path, program: &str) -> Result<Client, Failure> {
    let sources = clients().join("python");
    let requirements = sources.join("requirements.txt");
    let wanted = text(&requirements)?;
    let (system, version) = find()?;

    let folder = place.join("python");
    let interpreter = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    once(&folder, &format!("{version}{wanted}"), || {
        process::finish(
            Command::new(system).args(["-m", "venv"]).arg(&folder),
            INSTALL_LIMIT,
        )?;
        process::finish(
            Command::new(&interpreter)
                .args(["-m", "pip", "install", "--quiet", "--no-input"])
                .args(["--disable-pip-version-check", "--requirement"])
                .arg(&requirements),
            INSTALL_LIMIT,
        )
        .map(drop)
    })?;

    Ok(Client {
        language: "Python",
        program: interpreter,
        // Without bytecode, which would be written beside the sources.
        arguments: vec!["-B".into(), sources.join(program).into_os_string()],
        home: place.join("home"),
    })
}

/// A Python that can make virtual environments, and what it calls itself.
fn find() -> Result<(PathBuf, String), Failure> {
    let mut tried = Vec::new();
    for name in ["python3", "python"] {
        let probe = process::finish(
            Command::new(name).args(["-c", PROBE]),
            Duration::from_secs(30),
        );
        match probe {
            Ok(version) => return Ok((name.into(), version)),
            Err(failure) => tried.push(failure.to_string()),
        }
    }
    Err(Failure::new(format!(
        "no Python with the modules venv and ensurepip ({})",
        tried.join("; ")
    )))
}
