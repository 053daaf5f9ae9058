//! Python has two forms of scopes, a text and a list of texts, and shows which one it was given. The
//! library has lists only; this remembers which of them were texts.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::Response;
use serde_json::Value;

#[derive(Default)]
pub(super) struct Texts(Mutex<HashSet<String>>);

impl Texts {
    /// The scopes in `value`, of either form; `None` for null.
    pub(super) fn read(&self, value: &Value) -> Option<Vec<String>> {
        match value {
            Value::String(text) => {
                self.remember(text);
                Some(vec![text.clone()])
            }
            Value::Array(list) => Some(
                list.iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Looks at what the server says of accounts.
    pub(super) fn note(&self, path: &str, response: &Response<Vec<u8>>) {
        if path.contains("/service-accounts/") && path.ends_with('/') {
            let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            if let Some(text) = document["scopes"].as_str() {
                self.remember(text);
            }
        }
    }

    /// The form that Python would show.
    pub(super) fn show(&self, scopes: Option<Vec<String>>) -> Value {
        let Some(scopes) = scopes else {
            return Value::Null;
        };
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*scopes {
            [] if held.contains("") => "".into(),
            [one] if held.contains(one) => one.clone().into(),
            _ => scopes.into(),
        }
    }

    fn remember(&self, text: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(text.to_owned());
    }
}
