//! The environment of a scenario, which its steps may change.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the driver's one door to the environment"
)]

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf};

use gce_auth::testing::set_variable;
use serde_json::{Map, Value};

/// The variable that decides about boundary lookups in google-auth since 2.63.
const BOUNDARIES: &str = "GOOGLE_SDK_EXPERIMENTAL_PYTHON_REGIONAL_ACCESS_BOUNDARY_LOOKUP_ENABLED";

/// The environment of the process, and what steps changed in it.
pub(super) struct Environment {
    changed: RefCell<BTreeMap<String, Option<String>>>,
    /// Whether the scenario says itself if boundaries are looked up.
    says_boundaries: bool,
}

impl Environment {
    pub(super) fn new(scenario: &Value) -> Self {
        Self {
            changed: RefCell::default(),
            says_boundaries: scenario["env"].get(BOUNDARIES).is_some(),
        }
    }

    /// Changes variables, for the library too; null unsets one.
    pub(super) fn set(&self, variables: &Map<String, Value>) {
        for (name, value) in variables {
            set_variable(name, value.as_str());
            let value = value.as_str().map(str::to_owned);
            self.changed.borrow_mut().insert(name.clone(), value);
        }
    }

    fn var(&self, name: &str) -> Option<String> {
        match self.changed.borrow().get(name) {
            Some(value) => value.clone(),
            None => std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        }
    }

    /// Whether a variable says where the metadata server is: otherwise google-auth asks by its
    /// name, and the library by its address.
    pub(super) fn names_metadata_server(&self) -> bool {
        ["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]
            .into_iter()
            .any(|name| self.var(name).is_some())
    }

    /// Where files of credentials may be that `default` reads.
    pub(super) fn credential_files(&self) -> Vec<PathBuf> {
        const NAME: &str = "application_default_credentials.json";
        let named = self
            .var("GOOGLE_APPLICATION_CREDENTIALS")
            .map(PathBuf::from);
        let configured = self
            .var("CLOUDSDK_CONFIG")
            .map(|folder| PathBuf::from(folder).join(NAME));
        let well_known = self
            .var("HOME")
            .map(|home| PathBuf::from(home).join(".config/gcloud").join(NAME));
        [named, configured, well_known]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether google-auth would look up boundaries. Scenarios older than the variable expect it
    /// to.
    pub(super) fn looks_up_boundaries(&self) -> bool {
        const YES: [&str; 6] = ["y", "yes", "t", "true", "on", "1"];
        if !self.says_boundaries {
            return true;
        }
        let value = self.var(BOUNDARIES).unwrap_or_default().to_lowercase();
        YES.contains(&value.trim())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scenario(value: &Value) -> Environment {
        let environment = Environment::new(&json!({"env": {BOUNDARIES: value}}));
        let variables = json!({BOUNDARIES: value});
        environment.set(variables.as_object().unwrap());
        environment
    }

    #[test]
    fn boundaries_are_looked_up_where_the_scenario_says_so_or_says_nothing() {
        assert!(Environment::new(&json!({"env": {}})).looks_up_boundaries());
        assert!(Environment::new(&json!({})).looks_up_boundaries());
        for value in ["y", "Yes", "t", "TRUE", " on ", "1"] {
            assert!(scenario(&json!(value)).looks_up_boundaries(), "{value}");
        }
        for value in ["", "0", "false", "2", "enabled"] {
            assert!(!scenario(&json!(value)).looks_up_boundaries(), "{value}");
        }
        assert!(!scenario(&Value::Null).looks_up_boundaries());
    }
}
