//! What the document is made of: a profile or a text, then one layer after the other. It can be
//! made again when a file changed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    document::{limits::Extent, overlay, versions::Document},
    error::{StartError, TOO_LARGE},
    identity::accounts::Account,
    profiles::{self, Facts, Profile},
    text_source::TextSource,
};

/// What is put over a document.
#[derive(Clone, Debug)]
pub(crate) enum Layer {
    /// A value at a path.
    Value(String, String),
    /// A table of values in TOML.
    Table(TextSource),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct DocumentSource {
    pub(crate) profile: Profile,
    pub(crate) project_id: Option<String>,
    pub(crate) numeric_project_id: Option<u64>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) document: Option<TextSource>,
    pub(crate) layers: Vec<Layer>,
    /// Without a document of its own, to lie over another server's.
    pub(crate) bare: bool,
}

impl DocumentSource {
    /// The files it is made of.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let tables = self.layers.iter().filter_map(|layer| match layer {
            Layer::Table(source) => source.path(),
            Layer::Value(..) => None,
        });
        let document = self.document.as_ref().and_then(TextSource::path);
        document
            .into_iter()
            .chain(tables)
            .map(Path::to_owned)
            .collect()
    }

    pub(crate) fn make(&self) -> Result<Value, StartError> {
        let base = self.base()?;
        if Extent::of(&base).is_too_large() {
            return Err(StartError::document(TOO_LARGE));
        }
        let world = Document::new(base);
        for layer in &self.layers {
            match layer {
                Layer::Value(path, value) => world.set(path, value)?,
                Layer::Table(source) => {
                    let values = source.read(overlay::parse).map_err(StartError::overlay)?;
                    for (path, value) in values {
                        world.put(&path, value)?;
                    }
                }
            }
        }
        Ok(world.into_document())
    }

    fn base(&self) -> Result<Value, StartError> {
        let mut document = if let Some(source) = &self.document {
            source.read(parse).map_err(StartError::document)?
        } else if self.bare {
            json!({})
        } else {
            let facts = Facts::new(
                self.project_id.clone(),
                self.numeric_project_id,
                self.accounts.clone(),
            );
            return Ok(profiles::document(self.profile, &facts));
        };
        if let Some(id) = &self.project_id {
            document["project"]["projectId"] = id.as_str().into();
        }
        if let Some(number) = self.numeric_project_id {
            document["project"]["numericProjectId"] = number.into();
        }
        if !self.accounts.is_empty() {
            document["instance"]["serviceAccounts"] = Account::document(&self.accounts);
        }
        Ok(document)
    }
}

/// A document as a real machine prints it, or the same inside `computeMetadata`.
fn parse(text: &str) -> Result<Value, String> {
    let mut document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(inner) = document.pointer_mut("/computeMetadata/v1") {
        document = inner.take();
    }
    let Value::Object(top) = &mut document else {
        return Err("it is no object".into());
    };
    if !top.contains_key("instance") && !top.contains_key("project") {
        return Err("neither `instance` nor `project` is in it".into());
    }
    for place in ["instance", "project"] {
        if !top.entry(place).or_insert_with(|| json!({})).is_object() {
            return Err(format!("`{place}` is no object"));
        }
    }
    Ok(document)
}
