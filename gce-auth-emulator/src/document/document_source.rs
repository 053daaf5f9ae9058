//! What the document is made of: a profile or a text, then overlays, then what is set in code. It
//! can be made again when a file changed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    document::{limits::Extent, overlay, versions::Document},
    error::{StartError, TOO_LARGE},
    identity::{accounts::Account, mds_certificate},
    profiles::{self, Facts, Profile},
    text_source::TextSource,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct DocumentSource {
    pub(crate) profile: Profile,
    pub(crate) project_id: Option<String>,
    pub(crate) numeric_project_id: Option<u64>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) document: Option<TextSource>,
    /// Tables of values in TOML.
    pub(crate) overlays: Vec<TextSource>,
    /// Paths with their values. They lie over overlays, however late these came.
    pub(crate) values: Vec<(String, String)>,
    /// The certificate of a shielded machine, sealed.
    pub(crate) certificate: Option<String>,
    /// Without a document of its own, to lie over another server's.
    pub(crate) bare: bool,
}

impl DocumentSource {
    /// The files it is made of.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let texts = self.document.iter().chain(&self.overlays);
        texts
            .filter_map(TextSource::path)
            .map(Path::to_owned)
            .collect()
    }

    pub(crate) fn make(&self) -> Result<Value, StartError> {
        let base = self.base()?;
        if Extent::of(&base).is_too_large() {
            return Err(StartError::document(TOO_LARGE));
        }
        let given = self.given(&base);
        let world = Document::new(base);
        if let Some(certificate) = &self.certificate {
            world.set(mds_certificate::PLACE, certificate)?;
        }
        for source in &self.overlays {
            let values = source.read(overlay::parse).map_err(StartError::overlay)?;
            for (path, value) in values {
                world.put(&path, value)?;
            }
        }
        for (path, value) in given {
            world.put(path, value)?;
        }
        for (path, value) in &self.values {
            world.set(path, value)?;
        }
        Ok(world.into_document())
    }

    /// What code names by itself, as it stands in the base: overlays do not change it.
    fn given(&self, base: &Value) -> Vec<(&'static str, Value)> {
        let accounts = &base["instance"]["serviceAccounts"];
        [
            (
                self.project_id.is_some(),
                "project/project-id",
                &base["project"]["projectId"],
            ),
            (
                self.numeric_project_id.is_some(),
                "project/numeric-project-id",
                &base["project"]["numericProjectId"],
            ),
            (
                // A profile without accounts has none of these either.
                !self.accounts.is_empty() && *accounts != json!({}),
                "instance/service-accounts",
                accounts,
            ),
        ]
        .into_iter()
        .filter(|(is_given, ..)| *is_given)
        .map(|(_, path, value)| (path, value.clone()))
        .collect()
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
