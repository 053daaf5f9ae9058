//! Credentials files, written: what credentials say by now, in the form that
//! they are read in.

use std::io::{self, Write};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{values::secret::SecretText, wire::credentials_file::fields::Wiped};

/// A credentials file in memory; its texts are wiped when it is dropped.
pub(crate) struct Written(Wiped);

impl Written {
    /// A file of this type, with nothing in it yet.
    pub(crate) fn new(kind: &str) -> Self {
        let map = Map::from_iter([("type".to_owned(), Value::from(kind))]);
        Self(Wiped(Value::Object(map)))
    }

    /// An object inside a file.
    #[cfg(feature = "adc")]
    pub(crate) fn object() -> Self {
        Self(Wiped(Value::Object(Map::new())))
    }

    /// Adds a member, unless there is no value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let (Value::Object(map), Some(value)) = (&mut self.0.0, value) {
            map.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Adds a member that is a file or an object of its own.
    pub(crate) fn with_file(self, name: &str, mut file: Self) -> Self {
        self.with(name, Some(file.0.0.take()))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0.0
    }

    /// Returns the member `name`, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.0.get(name)?.as_str()
    }

    pub(crate) fn to_json(&self) -> SecretText {
        json(&self.0.0)
    }
}

/// Writes a value into a buffer that never moves.
pub(super) fn json(value: &Value) -> SecretText {
    let mut length = Length(0);
    // Neither writer fails.
    let _ = serde_json::to_writer(&mut length, value);
    let mut buffer = Zeroizing::new(Vec::with_capacity(length.0));
    let _ = serde_json::to_writer(&mut *buffer, value);
    SecretText::new(std::str::from_utf8(&buffer).unwrap_or_default())
}

/// Counts bytes.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
