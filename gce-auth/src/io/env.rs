//! The only file that reads environment variables.

/// What the environment says about the metadata server, read once.
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
    /// `GOOGLE_CLOUD_QUOTA_PROJECT`: the project that is billed; `None` where it
    /// is empty, as every Google client takes it.
    pub(crate) quota_project: Option<String>,
    /// `GCE_METADATA_MTLS_MODE`: `none`, `default` or `strict`.
    #[cfg(feature = "tls")]
    pub(crate) mtls_mode: Option<String>,
    /// `GOOGLE_API_CERTIFICATE_CONFIG`: where the configuration of client
    /// certificates is; `None` where it is empty.
    #[cfg(feature = "tls")]
    pub(crate) certificate_config: Option<String>,
    /// `CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH`: the same, said
    /// to gcloud; `None` where it is empty.
    #[cfg(feature = "tls")]
    pub(crate) context_aware_config: Option<String>,
    /// `GOOGLE_API_USE_CLIENT_CERTIFICATE`, else
    /// `CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE`, where not empty.
    #[cfg(feature = "tls")]
    pub(crate) use_client_certificate: Option<String>,
    /// `GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN`, where not blank, else the
    /// older `GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES`.
    #[cfg(feature = "tls")]
    pub(crate) bound_tokens: Option<String>,
    /// `GOOGLE_CLOUD_PROJECT`, else the older `GCLOUD_PROJECT`, where not empty.
    pub(crate) project: Option<String>,
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a file that this library does not
    /// read; `None` where it is empty.
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
const SERVERLESS: [&str; 6] = [
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "FUNCTION_TARGET",
    "FUNCTION_NAME",
    "GAE_SERVICE",
    "GAE_INSTANCE",
];

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
            quota_project: filled("GOOGLE_CLOUD_QUOTA_PROJECT"),
            #[cfg(feature = "tls")]
            mtls_mode: var("GCE_METADATA_MTLS_MODE"),
            #[cfg(feature = "tls")]
            certificate_config: filled("GOOGLE_API_CERTIFICATE_CONFIG"),
            #[cfg(feature = "tls")]
            context_aware_config: filled("CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH"),
            #[cfg(feature = "tls")]
            use_client_certificate: filled("GOOGLE_API_USE_CLIENT_CERTIFICATE")
                .or_else(|| filled("CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE")),
            #[cfg(feature = "tls")]
            bound_tokens: var("GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN")
                .filter(|value| !value.trim().is_empty())
                .or_else(|| var("GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES")),
            project: filled("GOOGLE_CLOUD_PROJECT").or_else(|| filled("GCLOUD_PROJECT")),
            application_credentials: filled("GOOGLE_APPLICATION_CREDENTIALS"),
            gcloud_config: filled("CLOUDSDK_CONFIG"),
            home: filled(if cfg!(windows) { "APPDATA" } else { "HOME" }),
            #[cfg(feature = "tls")]
            tilde: filled(if cfg!(windows) { "USERPROFILE" } else { "HOME" }),
            serverless: SERVERLESS.into_iter().find(|name| var(name).is_some()),
        }
    }
}

#[cfg(feature = "tls")]
impl Environment {
    /// Whether somebody wants, or does not want, client certificates shown;
    /// `None` where nobody says.
    pub(crate) fn wants_client_certificate(&self) -> Option<bool> {
        let said = self.use_client_certificate.as_ref()?;
        Some(said.eq_ignore_ascii_case("true"))
    }

    /// Whether somebody does not want tokens bound to a certificate.
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

/// A variable that is set to something.
fn filled(name: &str) -> Option<String> {
    var(name).filter(|value| !value.is_empty())
}

/// A variable that is set; bytes that are not UTF-8 become U+FFFD, so that
/// they are refused with their name and not passed over.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the environment"
)]
fn var(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
