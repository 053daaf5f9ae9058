//! Files with secrets: read within bounds, and trusted only as far as others
//! cannot write them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::values::error::{Error, ErrorKind};

/// No credentials file and no subject token is longer, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Reads a regular file of at most 1 MiB. The error names it, and is of kind
/// `Config`.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    // A pipe would block when it is opened.
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(refused(path, "is a directory"));
    }
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file"));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    read_open(path, file, metadata.len())
}

/// Reads a file that is the caller's own and that no other user can write.
/// `None`: there is none, or none that this user may read.
pub(crate) fn read_own(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    // A pipe would block when it is opened.
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let Ok(file) = File::open(path) else {
        return Ok(None);
    };
    // Of the file that was opened, and not of what its name means by now.
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if let Some(why) = others_may_write(&metadata) {
        return Err(refused(path, why)
            .with_hint("let the executable create it anew: remove it, and see its umask"));
    }
    read_open(path, file, metadata.len()).map(Some)
}

#[cfg(unix)]
fn others_may_write(metadata: &fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Some("belongs to another user");
    }
    (metadata.mode() & 0o022 != 0).then_some("can be written by other users")
}

#[cfg(not(unix))]
fn others_may_write(_: &fs::Metadata) -> Option<&'static str> {
    None
}

fn read_open(path: &Path, file: File, length: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let capacity = usize::try_from(length.min(LONGEST)).unwrap_or_default();
    // Room for all of it and one more byte: nothing is moved while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity + 1));
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(refused(path, "is longer than 1 MiB"));
    }
    Ok(bytes)
}

/// How errors call a file.
pub(crate) fn name(path: &Path) -> String {
    format!("`{}`", path.display().to_string().escape_debug())
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{} {why}", name(path)))
        .with_hint("name a file that this program may read")
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let name = name(path);
    match error.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::Config, format!("{name} doesn't exist"))
            .with_hint("correct the path, or create the file"),
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Config, format!("{name} may not be read"))
                .with_hint("give the user that runs this program the right to read it")
        }
        _ => Error::new(ErrorKind::Config, format!("{name} cannot be read: {error}"))
            .with_hint("see whether the file is whole"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Folder;

    #[test]
    fn only_a_whole_regular_file_is_read() {
        let folder = Folder::new();
        let file = folder.join("f");
        fs::write(&file, "x").unwrap();
        assert_eq!(&read(&file).unwrap()[..], b"x");
        fs::write(&file, vec![b'x'; 1024 * 1024]).unwrap();
        assert_eq!(read(&file).unwrap().len(), 1024 * 1024);
        fs::write(&file, vec![b'x'; 1024 * 1024 + 1]).unwrap();
        for (path, why) in [
            (&file, "longer than 1 MiB"),
            (&folder.to_path_buf(), "is a directory"),
            (&folder.join("none"), "doesn't exist"),
        ] {
            let error = read(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let said = error.to_string();
            assert!(said.contains(why) && said.starts_with('`'), "{said}");
        }
    }

    #[test]
    fn an_error_says_what_to_do_about_the_file() {
        let path = Path::new("/a b");
        for (kind, what, hint) in [
            (io::ErrorKind::NotFound, "doesn't exist", "correct the path"),
            (
                io::ErrorKind::PermissionDenied,
                "may not be read",
                "the right",
            ),
            (io::ErrorKind::Other, "cannot be read", "whole"),
        ] {
            let error = unreadable(path, &kind.into());
            assert!(error.to_string().contains(what), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_is_not_ones_own() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new();
        let file = folder.join("f");
        assert!(read_own(&file).unwrap().is_none());
        fs::write(&file, "x").unwrap();
        let allow = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o644);
        assert!(read_own(&file).unwrap().is_some());
        for mode in [0o620, 0o602, 0o666] {
            allow(mode);
            let error = read_own(&file).unwrap_err();
            assert!(
                error.to_string().contains("written by other users"),
                "{error}"
            );
        }
        assert!(read_own(&folder).unwrap().is_none());
    }
}
