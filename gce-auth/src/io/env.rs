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
            serverless: SERVERLESS.into_iter().find(|name| var(name).is_some()),
        }
    }
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
