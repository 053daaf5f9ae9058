//! Reads a configuration file, and replaces it at once or not at all.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    exit::{Exit, Failure},
    install::edit::{After, refused},
};

/// A configuration file as it was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    bytes: Option<Vec<u8>>,
}

/// Whether others may read what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As the file was; 0600 for a new one.
    Kept,
    /// 0600.
    Private,
}

impl ConfigFile {
    /// Reads the file, or the file that a link names. It need not exist.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failure("read", path, &error)),
        };
        let is_link = path
            .symlink_metadata()
            .is_ok_and(|known| known.is_symlink());
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(error) if is_link => return Err(failure("follow", path, &error)),
            Err(_) => path.to_owned(),
        };
        Ok(Self { path, bytes })
    }

    /// Returns the text of the file, if it exists.
    pub(crate) fn text(&self) -> Result<Option<&str>, Failure> {
        let Some(bytes) = &self.bytes else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| refused(format!("{} is not text", self.path.display())));
        text.map(Some)
    }

    /// Makes the file what an edit says. Fails if it has changed since it was read.
    pub(crate) fn replace(&self, after: &After, mode: Mode) -> Result<(), Failure> {
        let text = match after {
            After::Same => return Ok(()),
            After::Text(text) => Some(text),
            After::Gone => None,
        };
        if fs::read(&self.path).ok() != self.bytes {
            let file = self.path.display();
            let why = format!("{file} has changed meanwhile; run the command again");
            return Err(Failure::new(Exit::Failed, why));
        }
        let done = match text {
            Some(text) => write(&self.path, text.as_bytes(), mode),
            None => fs::remove_file(&self.path),
        };
        done.map_err(|error| failure("write", &self.path, &error))
    }
}

/// Writes a file that its owner alone can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, text.as_bytes(), Mode::Private).map_err(|error| failure("write", path, &error))
}

/// Writes beside the file, and puts that in its place.
fn write(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    make_folder(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.gce-auth-{}", std::process::id()));
    let done = write_new(&temporary, bytes, path, mode).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

fn write_new(temporary: &Path, bytes: &[u8], like: &Path, mode: Mode) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temporary)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if let Ok(known) = fs::metadata(like) {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (known.uid(), known.gid()) {
            fchown(&file, Some(known.uid()), Some(known.gid()))?;
        }
        if mode == Mode::Kept {
            file.set_permissions(known.permissions())?;
        }
    }
    #[cfg(not(unix))]
    let _ = (like, mode);
    file.sync_all()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    let why = format!("cannot {what} {}: {error}", path.display());
    Failure::new(Exit::Usage, why)
}
