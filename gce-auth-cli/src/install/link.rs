//! Links to this executable under the names that tools look for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    exit::{Exit, Failure},
    install::{edit::refused, marked::marked},
};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// The link that is made here.
    Own,
    /// A link that was made here, to where this executable was.
    Stale,
    /// This executable, but not as it is made here: the file itself, or a link of another
    /// installer.
    Foreign,
    /// Another program, or a broken link that was not made here.
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
        if is_made_here(&self.path, &self.program) {
            return Found::Own;
        }
        let own = self.program.canonicalize().ok();
        match self.path.canonicalize() {
            Ok(path) if own.as_ref() == Some(&path) => Found::Foreign,
            Ok(path) if is_same_file(&path, &self.program) => Found::Foreign,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_named() => {
                Found::Stale
            }
            _ => Found::Other,
        }
    }

    /// Returns whether the link was made here, to an executable of this name.
    fn is_named(&self) -> bool {
        let named = fs::read_link(&self.path).ok();
        named.is_some_and(|path| {
            path.file_name() == self.program.file_name()
                && path.as_os_str() == marked(&path).as_os_str()
        })
    }

    /// Makes the link, if it is not there.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        match self.found() {
            Found::Own | Found::Foreign => Ok(()),
            Found::Stale => {
                self.remove()?;
                self.make()
            }
            Found::Other => Err(refused(format!(
                "{} is another program, or a link that `install` did not make; remove it, or name \
                 another directory with --bin-dir",
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

    /// Removes the link, if it is the one that is made here, to this executable or to where it was.
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
    std::os::unix::fs::symlink(marked(program), path)
}

/// Elsewhere links need a privilege.
#[cfg(not(unix))]
fn link(program: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(program, path)
}

/// Returns whether this is a link to exactly this path of the program, with the mark: a link that a
/// person or a package made has none, and stays.
#[cfg(unix)]
fn is_made_here(path: &Path, program: &Path) -> bool {
    // Two paths that differ in the mark alone are equal.
    fs::read_link(path).is_ok_and(|named| named.as_os_str() == marked(program).as_os_str())
}

/// Elsewhere it is a second name of the file, or a copy.
#[cfg(not(unix))]
fn is_made_here(path: &Path, program: &Path) -> bool {
    path.canonicalize().ok() != program.canonicalize().ok() && is_same_file(path, program)
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
    let bytes = |path: &Path| fs::read(path).ok();
    bytes(one).is_some_and(|one| bytes(other) == Some(one))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::temporary::TemporaryDirectory;

    #[test]
    fn only_what_was_made_here_is_removed() {
        let folder = TemporaryDirectory::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let program = at("gce-auth");
        fs::write(&program, "program").unwrap();
        fs::hard_link(&program, at("hard")).unwrap();
        symlink("gce-auth", at("relative")).unwrap();
        symlink(at("relative"), at("chained")).unwrap();
        symlink(&program, at("by-hand")).unwrap();
        symlink(at("gone/./gce-auth"), at("stale")).unwrap();
        symlink(at("gone/gce-auth"), at("broken")).unwrap();
        symlink(at("gone/other"), at("dangling")).unwrap();
        fs::write(at("other"), "program").unwrap();
        for (name, found, stays) in [
            ("gce-auth", Found::Foreign, true),
            ("hard", Found::Foreign, true),
            ("relative", Found::Foreign, true),
            ("chained", Found::Foreign, true),
            ("by-hand", Found::Foreign, true),
            ("stale", Found::Stale, false),
            ("broken", Found::Other, true),
            ("dangling", Found::Other, true),
            ("other", Found::Other, true),
        ] {
            let link = Link::new(folder.path(), name, &program);
            assert_eq!(link.found(), found, "{name}");
            link.remove().unwrap();
            assert_eq!(at(name).symlink_metadata().is_ok(), stays, "{name}");
        }
        let link = Link::new(folder.path(), "made", &program);
        link.make().unwrap();
        assert_eq!(link.found(), Found::Own);
        link.remove().unwrap();
        assert_eq!(link.found(), Found::Nothing);
    }
}
