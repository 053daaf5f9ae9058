//! The only file that reads environment variables.

#[cfg(any(test, feature = "test-util"))]
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Every environment variable that the library reads, with any features, on
/// any system. A test that must not hear the machine's own removes them all.
pub const VARIABLES: &[&str] = &[
    "APPDATA",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH",
    "CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE",
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_WORKER_POOL",
    "FUNCTION_NAME",
    "FUNCTION_TARGET",
    "GAE_INSTANCE",
    "GAE_SERVICE",
    "GCE_AUTH_TRUST_HOSTS",
    "GCE_METADATA_DETECT_RETRIES",
    "GCE_METADATA_HOST",
    "GCE_METADATA_IP",
    "GCE_METADATA_MTLS_MODE",
    "GCE_METADATA_ROOT",
    "GCE_METADATA_TIMEOUT",
    "GCLOUD_PROJECT",
    "GOOGLE_API_CERTIFICATE_CONFIG",
    "GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN",
    "GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
    "HOME",
    "K_SERVICE",
    "METADATA_SERVER_DETECTION",
    "NO_GCE_CHECK",
    // Read by rustls-native-certs, which finds the certificates of the system.
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "USERPROFILE",
];

/// What the environment says about the metadata server, read once. An empty
/// variable is an unset one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `GCE_METADATA_HOST`, as every Google client reads it.
    pub(crate) metadata_host: Option<String>,
    /// `GCE_METADATA_ROOT`, as gcloud and google-auth read it.
    pub(crate) metadata_root: Option<String>,
    /// `GCE_METADATA_IP`: where google-auth looks when it detects.
    pub(crate) metadata_ip: Option<String>,
    /// `GCE_METADATA_TIMEOUT`: seconds for one attempt.
    pub(crate) metadata_timeout: Option<String>,
    /// `GCE_METADATA_DETECT_RETRIES`: attempts of a ping.
    pub(crate) detect_retries: Option<String>,
    /// `NO_GCE_CHECK`: `true` says that this is not Google Cloud.
    pub(crate) no_gce_check: Option<String>,
    /// `METADATA_SERVER_DETECTION`: `assume-present`, `none`, `bios-only` or
    /// `ping-only`, as Google's Node client reads it.
    pub(crate) detection: Option<String>,
    /// `GOOGLE_CLOUD_QUOTA_PROJECT`: the project that is billed.
    pub(crate) quota_project: Option<String>,
    /// `GCE_METADATA_MTLS_MODE`: `none`, `default` or `strict`.
    #[cfg(feature = "tls")]
    pub(crate) mtls_mode: Option<String>,
    /// `GOOGLE_API_CERTIFICATE_CONFIG`: where the configuration of client
    /// certificates is.
    #[cfg(feature = "tls")]
    pub(crate) certificate_config: Option<String>,
    /// `CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH`: the same, said
    /// to gcloud.
    #[cfg(feature = "tls")]
    pub(crate) context_aware_config: Option<String>,
    /// `GOOGLE_API_USE_CLIENT_CERTIFICATE`, else
    /// `CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE`.
    #[cfg(feature = "tls")]
    pub(crate) use_client_certificate: Option<String>,
    /// `GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN`, where not blank, else the
    /// older `GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES`.
    #[cfg(feature = "tls")]
    pub(crate) bound_tokens: Option<String>,
    /// `GOOGLE_CLOUD_PROJECT`, else the older `GCLOUD_PROJECT`.
    pub(crate) project: Option<String>,
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a file that this library does not
    /// read.
    pub(crate) application_credentials: Option<String>,
    /// `CLOUDSDK_CONFIG`: gcloud's directory.
    pub(crate) gcloud_config: Option<String>,
    /// `HOME`, or `APPDATA` on Windows: what gcloud's directory is in.
    pub(crate) home: Option<String>,
    /// `HOME`, or `USERPROFILE` on Windows: what `~` stands for.
    #[cfg(feature = "tls")]
    pub(crate) tilde: Option<String>,
    /// The variable of a serverless platform that is set, if any.
    pub(crate) serverless: Option<&'static str>,
}

/// Variables that only Cloud Run, Cloud Run functions and App Engine set.
const SERVERLESS: [&str; 7] = [
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_WORKER_POOL",
    "FUNCTION_TARGET",
    "FUNCTION_NAME",
    "GAE_SERVICE",
    "GAE_INSTANCE",
];

fn serverless(is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    SERVERLESS.into_iter().find(|name| is_set(name))
}

impl Environment {
    /// The environment of this process, now.
    pub(crate) fn read() -> Self {
        Self {
            metadata_host: var("GCE_METADATA_HOST"),
            metadata_root: var("GCE_METADATA_ROOT"),
            metadata_ip: var("GCE_METADATA_IP"),
            metadata_timeout: var("GCE_METADATA_TIMEOUT"),
            detect_retries: var("GCE_METADATA_DETECT_RETRIES"),
            no_gce_check: var("NO_GCE_CHECK"),
            detection: var("METADATA_SERVER_DETECTION"),
            quota_project: var("GOOGLE_CLOUD_QUOTA_PROJECT"),
            #[cfg(feature = "tls")]
            mtls_mode: var("GCE_METADATA_MTLS_MODE"),
            #[cfg(feature = "tls")]
            certificate_config: var("GOOGLE_API_CERTIFICATE_CONFIG"),
            #[cfg(feature = "tls")]
            context_aware_config: var("CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH"),
            #[cfg(feature = "tls")]
            use_client_certificate: var("GOOGLE_API_USE_CLIENT_CERTIFICATE")
                .or_else(|| var("CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE")),
            #[cfg(feature = "tls")]
            bound_tokens: var("GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN")
                .filter(|value| !value.trim().is_empty())
                .or_else(|| var("GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES")),
            project: var("GOOGLE_CLOUD_PROJECT").or_else(|| var("GCLOUD_PROJECT")),
            application_credentials: var("GOOGLE_APPLICATION_CREDENTIALS"),
            gcloud_config: var("CLOUDSDK_CONFIG"),
            home: var(if cfg!(windows) { "APPDATA" } else { "HOME" }),
            #[cfg(feature = "tls")]
            tilde: var(if cfg!(windows) { "USERPROFILE" } else { "HOME" }),
            serverless: serverless(|name| var(name).is_some()),
        }
    }
}

#[cfg(feature = "tls")]
impl Environment {
    /// Whether client certificates are to be shown; `None` where no variable says.
    pub(crate) fn wants_client_certificate(&self) -> Option<bool> {
        let said = self.use_client_certificate.as_ref()?;
        Some(said.eq_ignore_ascii_case("true"))
    }

    /// Whether a variable opts out of tokens bound to a certificate.
    pub(crate) fn opted_out_of_binding(&self) -> bool {
        let said = self.bound_tokens.as_ref();
        said.is_some_and(|said| said.trim().eq_ignore_ascii_case("false"))
    }
}

impl Environment {
    /// Where gcloud keeps its configuration.
    pub(crate) fn gcloud_directory(&self) -> Option<std::path::PathBuf> {
        if let Some(directory) = &self.gcloud_config {
            return Some(std::path::PathBuf::from(directory));
        }
        let home = std::path::PathBuf::from(self.home.as_ref()?);
        Some(if cfg!(windows) {
            home.join("gcloud")
        } else {
            home.join(".config").join("gcloud")
        })
    }
}

/// What the environment says about files with credentials, and about where
/// secrets in them may go.
#[cfg(feature = "adc")]
#[derive(Clone, Debug, Default)]
pub(crate) struct AdcEnvironment {
    /// `GCE_AUTH_TRUST_HOSTS`: hosts that files may name, with commas between.
    pub(crate) trust_hosts: Option<String>,
    /// `GOOGLE_CLOUD_UNIVERSE_DOMAIN`.
    pub(crate) universe_domain: Option<String>,
    /// `CLOUDSDK_ACTIVE_CONFIG_NAME`: gcloud's configuration.
    pub(crate) gcloud_configuration: Option<String>,
}

#[cfg(feature = "adc")]
impl AdcEnvironment {
    pub(crate) fn read() -> Self {
        Self {
            trust_hosts: var("GCE_AUTH_TRUST_HOSTS"),
            universe_domain: var("GOOGLE_CLOUD_UNIVERSE_DOMAIN"),
            gcloud_configuration: var("CLOUDSDK_ACTIVE_CONFIG_NAME"),
        }
    }
}

/// What the environment says about identities of other providers, read for
/// each exchange.
#[cfg(feature = "adc")]
#[derive(Debug)]
pub(crate) struct FederationEnvironment {
    /// `GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES`.
    pub(crate) allow_executables: Option<String>,
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub(crate) aws_region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub(crate) aws_keys: Option<crate::wire::aws::Keys>,
}

#[cfg(feature = "adc")]
impl FederationEnvironment {
    pub(crate) fn read() -> Self {
        use zeroize::Zeroizing;

        use crate::{values::secret::SecretText, wire::aws::Keys};
        let secret = |name| {
            let value = var(name).map(Zeroizing::new);
            value.map(|value| SecretText::new(&value))
        };
        let keys = var("AWS_ACCESS_KEY_ID").zip(secret("AWS_SECRET_ACCESS_KEY"));
        Self {
            allow_executables: var("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"),
            aws_region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")),
            aws_keys: keys.map(|(id, secret_key)| Keys {
                id,
                secret: secret_key,
                session_token: secret("AWS_SESSION_TOKEN"),
            }),
        }
    }
}

/// Returns the value of a variable; an empty one counts as unset. Bytes that are not UTF-8 become
/// U+FFFD, so that the value is refused under the variable's name, not passed over.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the environment"
)]
fn var(name: &str) -> Option<String> {
    debug_assert!(VARIABLES.contains(&name), "{name} is not in VARIABLES");
    #[cfg(any(test, feature = "test-util"))]
    if let Some(value) = changed().get(name) {
        return value.clone().filter(|value| !value.is_empty());
    }
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

/// The variables that [`set_variable`] changed.
#[cfg(any(test, feature = "test-util"))]
fn changed() -> std::sync::MutexGuard<'static, BTreeMap<String, Option<String>>> {
    static CHANGED: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets an environment variable for this library alone, or unsets it with
/// `None`. The environment of the process, which only `unsafe` code may change,
/// stays as it is.
///
/// All credentials and clients of the process see the change when they read
/// their environment next. Use it in a process that runs one test.
#[cfg(any(test, feature = "test-util"))]
pub fn set_variable(name: &str, value: Option<&str>) {
    changed().insert(name.to_owned(), value.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_variable_replaces_that_of_the_process() {
        // Read on Windows alone, so no other test of this process is disturbed.
        set_variable("APPDATA", Some("here"));
        assert_eq!(var("APPDATA").as_deref(), Some("here"));
        set_variable("APPDATA", None);
        assert_eq!(var("APPDATA"), None);
    }

    #[test]
    fn each_serverless_platform_has_a_variable_that_tells_it() {
        let of = |set: &'static str| serverless(|name| name == set);
        for name in [
            "K_SERVICE",
            "CLOUD_RUN_JOB",
            "CLOUD_RUN_WORKER_POOL",
            "FUNCTION_TARGET",
            "FUNCTION_NAME",
            "GAE_SERVICE",
            "GAE_INSTANCE",
        ] {
            assert_eq!(of(name), Some(name));
        }
        assert_eq!(of("KUBERNETES_SERVICE_HOST"), None);
    }

    #[test]
    fn gclouds_directory_is_the_one_named_else_in_the_home() {
        let of = |config: Option<&str>, home: Option<&str>| {
            let environment = Environment {
                gcloud_config: config.map(str::to_owned),
                home: home.map(str::to_owned),
                ..Environment::default()
            };
            environment.gcloud_directory()
        };
        let (named, home) = (std::path::Path::new("named"), std::path::Path::new("home"));
        let usual = if cfg!(windows) {
            "gcloud"
        } else {
            ".config/gcloud"
        };
        assert_eq!(of(Some("named"), Some("home")).as_deref(), Some(named));
        assert_eq!(of(None, Some("home")), Some(home.join(usual)));
        assert_eq!(of(None, None), None);
    }

    #[test]
    fn every_variable_that_is_read_is_listed() {
        // `var` asserts it for each.
        let _ = Environment::read();
        #[cfg(feature = "adc")]
        let _ = (AdcEnvironment::read(), FederationEnvironment::read());
        assert!(VARIABLES.is_sorted(), "the list is in order");
    }
}
