//! Links to this executable under the names that tools look for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    exit::{Exit, Failure},
    install::edit::refused,
};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// This executable.
    Own,
    /// A link to where this executable was.
    Stale,
    Other,
}

/// A name of this executable.
#[derive(Debug)]
pub(crate) struct Link {
    path: PathBuf,
    program: PathBuf,
}

impl Link {
    /// Returns the link `name` in `folder` to `program`.
    pub(crate) fn new(folder: &Path, name: &str, program: &Path) -> Self {
        Self {
            path: folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)),
            program: program.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn found(&self) -> Found {
        if self.path.symlink_metadata().is_err() {
            return Found::Nothing;
        }
        let own = self.program.canonicalize().ok();
        match self.path.canonicalize() {
            Ok(path) if own.as_ref() == Some(&path) => Found::Own,
            Ok(path) if is_same_file(&path, &self.program) => Found::Own,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_named() => {
                Found::Stale
            }
            _ => Found::Other,
        }
    }

    /// Returns whether the link names an executable of this name.
    fn is_named(&self) -> bool {
        let named = fs::read_link(&self.path).ok();
        named.is_some_and(|path| path.file_name() == self.program.file_name())
    }

    /// Makes the link, if it is not there.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        match self.found() {
            Found::Own => Ok(()),
            Found::Stale => {
                self.remove()?;
                self.make()
            }
            Found::Other => Err(refused(format!(
                "{} is another program; name another directory with --bin-dir",
                self.path.display()
            ))),
            Found::Nothing => link(&self.program, &self.path).map_err(|error| {
                let path = self.path.display();
                let why =
                    format!("cannot make {path}: {error}; name a directory on PATH with --bin-dir");
                Failure::new(Exit::Failed, why)
            }),
        }
    }

    /// Removes the link, if it is one to this executable, or to where it was.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        if !matches!(self.found(), Found::Own | Found::Stale) {
            return Ok(());
        }
        fs::remove_file(&self.path).map_err(|error| {
            let why = format!("cannot remove {}: {error}", self.path.display());
            Failure::new(Exit::Failed, why)
        })
    }
}

#[cfg(unix)]
fn link(program: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(program, path)
}

/// Elsewhere links need a privilege.
#[cfg(not(unix))]
fn link(program: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(program, path)
}

#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(one: &Path, other: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).map(|known| known.len()).ok();
    length(one).is_some() && length(one) == length(other)
}
