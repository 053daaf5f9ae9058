//! Reads files and standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use crate::exit::{Exit, Failure};

/// The longest token, key set or document to sign.
const LONGEST: u64 = 16 * 1024 * 1024;
/// The longest request of a tool to its credential helper.
pub(crate) const LONGEST_REQUEST: u64 = 1024 * 1024;
/// The longest token or key.
const LONGEST_SECRET: u64 = 1024 * 1024;

/// Reads `file`; standard input if there is none, or for `-`.
pub(crate) fn bytes(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let file = file.filter(|file| *file != Path::new("-"));
    let mut bytes = Vec::new();
    let read = match file {
        Some(file) => {
            fs::File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        }
        None => io::stdin().take(LONGEST + 1).read_to_end(&mut bytes),
    };
    let name = name(file);
    match read {
        Ok(length) if length as u64 > LONGEST => {
            let why = format!("{name} is longer than 16 MiB");
            Err(Failure::new(Exit::Usage, why))
        }
        Ok(_) => Ok(bytes),
        Err(error) => {
            let why = format!("cannot read {name}: {error}");
            Err(Failure::new(Exit::Usage, why))
        }
    }
}

/// Reads what a tool wrote on standard input.
pub(crate) fn request() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match io::stdin()
        .take(LONGEST_REQUEST + 1)
        .read_to_end(&mut bytes)
    {
        Ok(length) if length as u64 > LONGEST_REQUEST => Err(Failure::new(
            Exit::Usage,
            "standard input is longer than 1 MiB",
        )),
        Ok(_) => Ok(bytes),
        Err(error) => {
            let why = format!("cannot read standard input: {error}");
            Err(Failure::new(Exit::Usage, why))
        }
    }
}

/// Reads the same as text.
pub(crate) fn text(file: Option<&Path>) -> Result<String, Failure> {
    String::from_utf8(bytes(file)?).map_err(|_| {
        let why = format!("{} is not text (UTF-8)", name(file));
        Failure::new(Exit::Usage, why)
    })
}

/// Returns the name of the input in messages.
fn name(file: Option<&Path>) -> String {
    match file {
        Some(file) if file != Path::new("-") => file.display().to_string(),
        _ => "standard input".to_owned(),
    }
}

/// Returns whether other users can read this file.
#[cfg(unix)]
pub(crate) fn is_readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let others = |metadata: fs::Metadata| metadata.permissions().mode() & 0o044 != 0;
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && others(metadata))
}

#[cfg(not(unix))]
pub(crate) fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// Reads the text of a file that holds a token or a key.
pub(crate) fn secret(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read =
        fs::File::open(file).and_then(|file| file.take(LONGEST_SECRET).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => {
            let why = format!("cannot read {}: {error}", file.display());
            Err(Failure::new(Exit::Usage, why))
        }
    }
}
