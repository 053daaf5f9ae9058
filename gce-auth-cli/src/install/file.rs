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
    /// Reads the file, or the file that a link names. It need not exist. Refuses a device, which
    /// the edit would replace, and a pipe, which would be waited for.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        check_regular(path).map_err(|error| failure("edit", path, &error))?;
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

    /// Makes this the text of the file, which its owner alone can read.
    pub(crate) fn write_private(&self, text: &str) -> Result<(), Failure> {
        write(&self.path, text.as_bytes(), Mode::Private)
            .map_err(|error| failure("write", &self.path, &error))
    }

    /// Takes the rights of others from a file that stays as it is.
    pub(crate) fn make_private(&self) -> Result<(), Failure> {
        if self.bytes.is_none() {
            return Ok(());
        }
        restrict(&self.path).map_err(|error| failure("make private", &self.path, &error))
    }
}

/// Fails if this exists and is no regular file.
fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(known) if !known.is_file() => {
            let why = "it is no regular file";
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
        _ => Ok(()),
    }
}

/// Fails if the file exists and another user owns it, who would get the secret.
#[cfg(unix)]
fn check_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(path) {
        Ok(known) if known.uid() != rustix::process::geteuid().as_raw() => {
            let why = format!(
                "it belongs to the user {}, who would get the token; run as that user",
                known.uid()
            );
            Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
        }
        _ => Ok(()),
    }
}

/// Elsewhere a new file has the rights of its folder.
#[cfg(not(unix))]
fn check_owner(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    check_owner(path)?;
    let known = fs::metadata(path)?.permissions();
    if known.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes beside the file, and puts that in its place.
fn write(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    check_regular(path)?;
    if mode == Mode::Private {
        check_owner(path)?;
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    make_folder(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.gce-auth-{}", std::process::id()));
    // What stands there already is not ours to remove.
    let file = create(&temporary)?;
    let done = fill(file, bytes, path, mode).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Makes a new file that its owner alone can read.
fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        let why = format!("{}: {error}", path.display());
        io::Error::new(error.kind(), why)
    })
}

fn fill(mut file: fs::File, bytes: &[u8], like: &Path, mode: Mode) -> io::Result<()> {
    file.write_all(bytes)?;
    #[cfg(unix)]
    if mode == Mode::Kept
        && let Ok(known) = fs::metadata(like)
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (known.uid(), known.gid()) {
            fchown(&file, Some(known.uid()), Some(known.gid()))?;
        }
        file.set_permissions(known.permissions())?;
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;
    use crate::temporary::TemporaryDirectory;

    fn text(text: &str) -> After {
        After::Text(text.to_owned())
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_stays() {
        let folder = TemporaryDirectory::new().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), &link, folder.path()] {
            let refused = ConfigFile::read(path).unwrap_err();
            assert_eq!(refused.exit(), Exit::Usage);
            assert!(refused.to_string().contains("regular"), "{refused}");
        }
        // It became a directory after it was read.
        let path = folder.path().join("file");
        let file = ConfigFile::read(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for refused in [
            file.replace(&text("a"), Mode::Kept),
            file.write_private("a"),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("regular"), "{refused}");
        }
        assert!(path.is_dir());
    }

    #[test]
    fn a_temporary_file_of_another_stays() {
        let folder = TemporaryDirectory::new().unwrap();
        let other = format!(".file.gce-auth-{}", std::process::id());
        let other = folder.path().join(other);
        fs::write(&other, "theirs").unwrap();
        let file = ConfigFile::read(&folder.path().join("file")).unwrap();
        let failed = file.replace(&text("a"), Mode::Kept).unwrap_err();
        assert!(failed.to_string().contains(".file.gce-auth-"), "{failed}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }

    #[test]
    fn a_file_that_stays_loses_the_rights_of_others() {
        let folder = TemporaryDirectory::new().unwrap();
        let path = folder.path().join("file");
        ConfigFile::read(&path).unwrap().make_private().unwrap();
        assert!(!path.exists());
        fs::write(&path, "a").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        ConfigFile::read(&path).unwrap().make_private().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_new_file_is_its_owners_before_it_has_a_byte() {
        let folder = TemporaryDirectory::new().unwrap();
        let file = create(&folder.path().join("new")).unwrap();
        let known = file.metadata().unwrap();
        assert_eq!((known.len(), known.mode() & 0o777), (0, 0o600));
    }

    /// Only root can give a file to another user.
    #[test]
    fn a_secret_is_not_given_to_another_user() {
        let folder = TemporaryDirectory::new().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "theirs").unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let given = chown(&path, Some(1234), Some(1234));
        assert_eq!(given.is_ok(), is_root, "{given:?}");
        if !is_root {
            return;
        }
        let file = ConfigFile::read(&path).unwrap();
        for refused in [
            file.replace(&text("token"), Mode::Private),
            file.write_private("token"),
            file.make_private(),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("1234"), "{refused}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        // Without a secret the file stays its owner's.
        file.replace(&text("edited"), Mode::Kept).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "edited");
        assert_eq!(fs::metadata(&path).unwrap().uid(), 1234);
    }
}
