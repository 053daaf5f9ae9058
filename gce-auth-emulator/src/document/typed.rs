//! Values that come as text or from tables: they get the type that their place has.

use gce_auth_server::protocol::{render, tree::Node};
use serde_json::Value;

use crate::{
    document::{
        places::{list, segments},
        versions::Document,
    },
    error::SetError,
};

impl Document {
    /// Sets a leaf from text, in the type that the place has already, or as a string where nothing
    /// was.
    pub(crate) fn set(&self, path: &str, text: &str) -> Result<(), SetError> {
        self.change(path, |old| match old {
            None | Some(Value::String(_) | Value::Null) => Ok(text.into()),
            Some(Value::Number(_)) => match serde_json::from_str(text) {
                Ok(number @ Value::Number(_)) => Ok(number),
                _ => Err(SetError::new(path, "a number is needed here")),
            },
            Some(Value::Array(_)) => list(text).ok_or_else(|| {
                SetError::new(path, "a JSON array or a list of lines is needed here")
            }),
            Some(Value::Bool(_)) => match text {
                "true" | "TRUE" => Ok(true.into()),
                "false" | "FALSE" => Ok(false.into()),
                _ => Err(SetError::new(path, "TRUE or FALSE is needed here")),
            },
            Some(Value::Object(_)) => match serde_json::from_str(text) {
                Ok(object @ Value::Object(_)) => Ok(object),
                _ => Err(SetError::new(
                    path,
                    "this is a directory: a JSON object is needed",
                )),
            },
        })
    }

    /// Puts a value at a place in the type that the place has, as [`set`](Self::set) does for text.
    /// What did not exist gets the type of the value, except among the attributes, which are all
    /// text.
    pub(crate) fn put(&self, path: &str, value: Value) -> Result<(), SetError> {
        let attribute = segments(path)?
            .get(1)
            .is_some_and(|directory| directory == "attributes");
        let place = segments(path)?;
        let old = self.read(|document| {
            Node::find(document, &place).map(|node| (node.value.is_string(), node.value.is_array()))
        });
        let text = match (&value, old) {
            (Value::Number(_) | Value::Bool(_), Some((true, _))) => render::plain(&value),
            (Value::Number(_) | Value::Bool(_), None) if attribute => render::plain(&value),
            (Value::String(text), Some(_)) => text.clone(),
            (Value::Array(_), Some((_, true))) => value.to_string(),
            _ => return self.change(path, |_| Ok(value)),
        };
        self.set(path, &text)
    }
}
