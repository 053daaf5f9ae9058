//! Folders that are made once and kept, whatever the number of test processes.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::Failure;

/// Name of the file that says a folder is complete; it holds the key the folder was made for.
const MARKER: &str = ".ready";

/// Makes `folder` with `make`, unless it was already made for the same `key`.
///
/// A folder left half-made by a process that died, or made for another key, is made anew. Other
/// processes wait for the one at work.
pub(super) fn once(
    folder: &Path,
    key: &str,
    make: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("{}: {error}", folder.display()));

    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let lock = File::create(folder.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;

    let marker = folder.join(MARKER);
    if fs::read_to_string(&marker).is_ok_and(|made_for| made_for == key) {
        return Ok(());
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    make()?;
    fs::write(&marker, key).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, process};

    use super::*;

    #[test]
    fn made_once_for_a_key_and_again_after_a_failure() {
        let place = std::env::temp_dir().join(format!("gce-auth-once-{}", process::id()));
        let folder = place.join("tools");
        let made = Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            fs::create_dir(&folder).map_err(|error| Failure::new(error.to_string()))
        };

        once(&folder, "one", make).unwrap();
        once(&folder, "one", make).unwrap();
        assert_eq!(made.get(), 1, "the same key is made once");

        once(&folder, "two", make).unwrap();
        assert_eq!(made.get(), 2, "another key is made anew");

        let failing = || {
            make()?;
            Err(Failure::new("half-made"))
        };
        once(&folder, "three", failing).unwrap_err();
        once(&folder, "three", make).unwrap();
        assert_eq!(made.get(), 4, "a half-made folder is made anew");

        fs::remove_dir_all(&place).unwrap();
    }
}
