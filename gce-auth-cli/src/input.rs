//! What commands read: a file, or standard input.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use crate::exit::{Exit, Failure};

/// No token, key set or document to sign through IAM is longer.
const LONGEST: u64 = 16 * 1024 * 1024;
/// No token or key is longer.
const LONGEST_SECRET: u64 = 1024 * 1024;

/// The bytes of `file`; of standard input where there is none, or `-`.
pub(crate) fn bytes(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let file = file.filter(|file| *file != Path::new("-"));
    let mut bytes = Vec::new();
    let read = match file {
        Some(file) => {
            fs::File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        }
        None => io::stdin().take(LONGEST + 1).read_to_end(&mut bytes),
    };
    let name = file.map_or_else(
        || "standard input".to_owned(),
        |file| file.display().to_string(),
    );
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

/// The same, as text.
pub(crate) fn text(file: Option<&Path>) -> Result<String, Failure> {
    String::from_utf8(bytes(file)?)
        .map_err(|_| Failure::new(Exit::Usage, "what was read is not text (UTF-8)"))
}

/// The text of a file that holds a token or a key, and is read for its sake alone.
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
