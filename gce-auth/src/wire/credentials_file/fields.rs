//! The members of a JSON object, typed; an error names the file, the member
//! and the remedy.

use serde_json::Value;
use zeroize::Zeroize;

use crate::{
    values::{
        error::{Error, ErrorKind},
        headers,
        secret::SecretText,
    },
    wire::credentials_file::written,
};

/// A parsed document whose texts are wiped when it is dropped.
pub(super) struct Wiped(pub(super) Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The members of one object of a credentials file.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    object: &'a Value,
    /// The file, for errors.
    place: &'a str,
    /// The object inside the file: empty, or a member's name and a full stop.
    within: &'static str,
    /// What to do about a member that is missing or wrong.
    remedy: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Value, place: &'a str) -> Self {
        Self {
            object,
            place,
            within: "",
            remedy: "create the file again",
        }
    }

    pub(super) fn with_remedy(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }

    /// What is wrong with the member `name`.
    pub(crate) fn wrong(&self, name: &str, what: &str) -> Error {
        let Self { place, within, .. } = self;
        Error::new(
            ErrorKind::Config,
            format!("{place}: the member `{within}{name}` {what}"),
        )
        .with_hint(self.remedy)
    }

    /// Whether the member is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the member is there, be it null.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.object.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A text, which may be empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is not a text")),
        }
    }

    /// A text, owned, where it is there and not empty.
    pub(crate) fn filled(&self, name: &str) -> Result<Option<String>, Error> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        Ok(text.map(str::to_owned))
    }

    /// The project to bill, where it is there and not empty.
    pub(crate) fn quota_project(&self) -> Result<Option<String>, Error> {
        const NAME: &str = "quota_project_id";
        let project = self.filled(NAME)?;
        match project.as_deref().map(headers::quota_project) {
            Some(Err(_)) => Err(self.wrong(NAME, "is not the id of a project")),
            _ => Ok(project),
        }
    }

    /// A text that must be there and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<&'a str, Error> {
        match self.text(name)? {
            Some("") => Err(self.wrong(name, "is empty")),
            Some(text) => Ok(text),
            None => Err(self.wrong(name, "is missing")),
        }
    }

    /// A secret text that must be there and not empty.
    pub(crate) fn secret(&self, name: &str) -> Result<SecretText, Error> {
        self.required(name).map(SecretText::new)
    }

    /// A secret text, where it is there and not empty.
    pub(crate) fn optional_secret(&self, name: &str) -> Result<Option<SecretText>, Error> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        Ok(text.map(SecretText::new))
    }

    /// A member of any type, as JSON.
    pub(crate) fn json(&self, name: &str) -> Option<SecretText> {
        self.get(name).map(written::json)
    }

    /// A whole number.
    pub(crate) fn whole(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "is not a whole number")),
            },
        }
    }

    /// A number, which may have a fraction.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "is not a number")),
            },
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let refuse = || self.wrong(name, "is not a list of texts");
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(refuse))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(refuse()),
        }
    }

    /// Scopes: a list of texts, or one text with blanks between them.
    pub(crate) fn scopes(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        match self.get(name) {
            Some(Value::String(text)) => {
                Ok(Some(text.split_whitespace().map(str::to_owned).collect()))
            }
            _ => self.texts(name),
        }
    }

    /// Names and texts of an object.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, SecretText)>, Error> {
        let refuse = || self.wrong(name, "is not an object of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| {
                    let value = value.as_str().ok_or_else(refuse)?;
                    Ok((key.clone(), SecretText::new(value)))
                })
                .collect(),
            Some(_) => Err(refuse()),
        }
    }

    /// An object inside this one; `within` is its name with a full stop.
    pub(crate) fn object(&self, name: &str, within: &'static str) -> Result<Option<Self>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(object @ Value::Object(_)) => Ok(Some(Self {
                object,
                within,
                ..*self
            })),
            Some(_) => Err(self.wrong(name, "is not an object")),
        }
    }
}
