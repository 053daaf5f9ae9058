//! The files with which a workload shows who it is: where they are, and when
//! they are to be used.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::io::env::Environment;
#[cfg(feature = "iam")]
use crate::io::{
    identity::ClientIdentity,
    transport::{TransportError, TransportErrorKind},
};

/// Where Google Cloud puts the certificates of workloads.
const WELL_KNOWN: &str = "/var/run/secrets/workload-spiffe-credentials";
/// Certificate and key in one file, as GKE writes them.
const BUNDLE: &str = "x509.credential-bundle.private-key.pem";

/// The files of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    directory: PathBuf,
}

impl Default for Workload {
    fn default() -> Self {
        Self::new(PathBuf::from(WELL_KNOWN))
    }
}

/// Where the certificate of an agent is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none.
    Nowhere,
    /// It is in this file.
    At(PathBuf),
    /// The platform is about to write it.
    Soon,
}

impl Workload {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Whether requests to Google's APIs are to show a client certificate, and
    /// so go to their mTLS hosts: as the variables say, else whether one is
    /// configured.
    #[cfg(feature = "iam")]
    pub(crate) fn uses_client_certificate(&self, environment: &Environment) -> bool {
        if let Some(wanted) = environment.wants_client_certificate() {
            return wanted;
        }
        match configured(environment) {
            Some(file) => read_json(&file)
                .is_some_and(|config| config["cert_configs"].get("workload").is_some()),
            None => self.bundle(environment).is_some(),
        }
    }

    /// What a request to an mTLS host of Google's APIs is sent with: the
    /// configured certificate and key, if there are any.
    #[cfg(feature = "iam")]
    pub(crate) fn client_identity(
        &self,
        environment: &Environment,
    ) -> Result<Option<ClientIdentity>, TransportError> {
        let Some(file) = configured(environment) else {
            let bundle = self.bundle(environment);
            return bundle
                .map(|bundle| ClientIdentity::read(None, &[&bundle]))
                .transpose();
        };
        let config = read_json(&file).unwrap_or_default();
        let workload = &config["cert_configs"]["workload"];
        match (
            workload["cert_path"].as_str(),
            workload["key_path"].as_str(),
        ) {
            (Some(certificate), Some(key)) => {
                let files = [Path::new(certificate), Path::new(key)];
                ClientIdentity::read(None, &files).map(Some)
            }
            _ => Err(TransportError::new(
                TransportErrorKind::Tls,
                format!(
                    "{} names no cert_path and key_path of a workload",
                    file.display()
                ),
            )),
        }
    }

    /// Whether the certificate may bind tokens: no variable opts out.
    pub(crate) fn may_bind(environment: &Environment) -> bool {
        !environment.opted_out_of_binding() && environment.wants_client_certificate() != Some(false)
    }

    /// Where the agent's certificate is now.
    pub(crate) fn agent_certificate(&self, environment: &Environment) -> Place {
        let Some(config) = environment.certificate_config.as_ref() else {
            let bundle = match configured(environment) {
                None => self.bundle(environment),
                Some(_) => None,
            };
            return bundle.map_or(Place::Nowhere, Place::At);
        };
        let config = Path::new(config);
        let late = if self.holds(config) {
            Place::Soon
        } else {
            Place::Nowhere
        };
        let Some(parsed) = read_json(config) else {
            return if config.exists() {
                Place::Nowhere
            } else {
                late
            };
        };
        let Some(Value::String(file)) = parsed["cert_configs"]["workload"].get("cert_path") else {
            return Place::Nowhere;
        };
        let file = PathBuf::from(file);
        if is_ready(&file) {
            Place::At(file)
        } else if self.holds(&file) {
            late
        } else {
            Place::Nowhere
        }
    }

    fn bundle(&self, environment: &Environment) -> Option<PathBuf> {
        let file = self.directory.join(BUNDLE);
        let explicit =
            environment.certificate_config.is_some() || environment.context_aware_config.is_some();
        (!explicit && is_ready(&file)).then_some(file)
    }

    /// Whether `path` is inside the directory, links followed as far as they
    /// lead.
    fn holds(&self, path: &Path) -> bool {
        resolved(path).starts_with(resolved(&self.directory))
    }
}

/// The certificate configuration that is there, if any.
fn configured(environment: &Environment) -> Option<PathBuf> {
    let named = environment
        .certificate_config
        .as_ref()
        .or(environment.context_aware_config.as_ref());
    let file = match named {
        Some(named) => match (named.strip_prefix("~/"), &environment.tilde) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(named),
        },
        None => environment
            .gcloud_directory()?
            .join("certificate_config.json"),
    };
    file.exists().then_some(file)
}

fn read_json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// A file that has something in it.
fn is_ready(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() > 0)
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = PathBuf::new();
    let mut existing = path;
    loop {
        if let Ok(found) = existing.canonicalize() {
            return found.join(rest);
        }
        let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
            return path.to_owned();
        };
        rest = if rest.as_os_str().is_empty() {
            PathBuf::from(name)
        } else {
            Path::new(name).join(rest)
        };
        existing = parent;
    }
}

#[cfg(all(test, feature = "iam", not(gce_auth_loom)))]
mod tests {
    use super::*;
    use crate::world::Folder;

    /// An environment that names a configuration of this workload.
    fn configured(folder: &Folder, workload: &Value) -> Environment {
        let config = serde_json::json!({ "cert_configs": { "workload": workload } });
        let file = folder.write("config.json", &config.to_string());
        Environment {
            certificate_config: file.to_str().map(str::to_owned),
            ..Environment::default()
        }
    }

    #[test]
    fn a_tilde_stands_for_the_home_of_the_user_and_not_for_gclouds() {
        let folder = Folder::new();
        folder.write("config.json", r#"{"cert_configs":{"workload":{}}}"#);
        let mut environment = Environment {
            certificate_config: Some("~/config.json".to_owned()),
            tilde: folder.to_str().map(str::to_owned),
            home: Some("/nonexistent".to_owned()),
            ..Environment::default()
        };
        let workload = Workload::default();
        let found = workload.uses_client_certificate(&environment);
        std::mem::swap(&mut environment.tilde, &mut environment.home);
        let missed = workload.uses_client_certificate(&environment);
        assert_eq!((found, missed), (true, false));
    }

    #[test]
    fn a_certificate_that_is_a_directory_or_still_empty_is_none() {
        let folder = Folder::new();
        let (empty, whole) = (folder.write("empty", ""), folder.write("whole", "x"));
        for (file, place) in [
            (&folder.to_path_buf(), Place::Nowhere),
            (&empty, Place::Nowhere),
            (&whole, Place::At(whole.clone())),
        ] {
            let environment = configured(&folder, &serde_json::json!({ "cert_path": file }));
            let elsewhere = Workload::default().agent_certificate(&environment);
            assert_eq!(elsewhere, place, "{file:?}");
        }
        // Where the platform writes it, it is waited for.
        let environment = configured(&folder, &serde_json::json!({ "cert_path": empty }));
        let workload = Workload::new(folder.to_path_buf());
        assert_eq!(workload.agent_certificate(&environment), Place::Soon);
        // And without a configuration, the bundle is found there once it is written.
        let none = Environment::default();
        folder.write(BUNDLE, "");
        assert_eq!(workload.agent_certificate(&none), Place::Nowhere);
        let bundle = folder.write(BUNDLE, "x");
        assert_eq!(workload.agent_certificate(&none), Place::At(bundle));
    }

    #[test]
    fn a_configured_certificate_is_shown_with_its_key() {
        let folder = Folder::new();
        let certificate = include_str!("../../tests/data/agent.pem");
        let key = include_str!("../../tests/data/agent.key");
        let files = serde_json::json!({
            "cert_path": folder.write("certificate", certificate),
            "key_path": folder.write("key", key),
        });
        let workload = Workload::default();
        let identity = workload
            .client_identity(&configured(&folder, &files))
            .unwrap()
            .unwrap();
        assert_eq!(
            identity.client_pem(),
            format!("{certificate}\n{key}\n").as_bytes()
        );
        assert!(
            identity.root_pem().is_empty(),
            "the system's roots are trusted"
        );
        let alone = serde_json::json!({ "cert_path": files["cert_path"] });
        let error = workload
            .client_identity(&configured(&folder, &alone))
            .unwrap_err();
        assert!(
            error.message().contains("names no cert_path and key_path"),
            "{error:?}"
        );
    }
}
