//! Python has two forms of scopes, a text and a list of texts, and shows the one that it was given.
//! The library has lists only; here is remembered which of them were texts.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use http::Response;
use serde_json::Value;

/// The form in which a scenario gives scopes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Text,
    List,
}

impl Form {
    /// The form of `value`; `None` for null.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) => Some(Self::Text),
            Value::Array(_) => Some(Self::List),
            _ => None,
        }
    }
}

/// The scopes in `value`, of either form; `None` for null.
pub(super) fn read(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => Some(
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        _ => None,
    }
}

/// The scopes that the server wrote as texts.
#[derive(Default)]
pub(super) struct Texts(Mutex<HashSet<String>>);

impl Texts {
    /// Looks at what the server says of accounts.
    pub(super) fn note(&self, path: &str, response: &Response<Vec<u8>>) {
        if path.contains("/service-accounts/") && path.ends_with('/') {
            let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            if let Some(text) = document["scopes"].as_str() {
                let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                held.insert(text.to_owned());
            }
        }
    }

    /// What Python would show: the form that the program gave, else that of the server.
    pub(super) fn show(&self, scopes: Option<Vec<String>>, given: Option<Form>) -> Value {
        let Some(scopes) = scopes else {
            return Value::Null;
        };
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match &*scopes {
            [] => "",
            [one] => one,
            _ => return scopes.into(),
        };
        let is_text = given.map_or_else(|| held.contains(text), |form| form == Form::Text);
        if is_text { text.into() } else { scopes.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_list_is_no_empty_text_of_somebody_else() {
        let texts = Texts::default();
        let answer = Response::new(br#"{"email": "a@p", "scopes": ""}"#.to_vec());
        texts.note("/instance/service-accounts/default/", &answer);
        let given = Form::of(&json!([]));
        assert_eq!(texts.show(Some(Vec::new()), given), json!([]));
        assert_eq!(texts.show(Some(Vec::new()), None), json!(""));
        assert_eq!(texts.show(Some(vec!["a".into()]), None), json!(["a"]));
        let given = Form::of(&json!("a"));
        assert_eq!(texts.show(Some(vec!["a".into()]), given), json!("a"));
        assert_eq!(texts.show(None, None), Value::Null);
    }
}
