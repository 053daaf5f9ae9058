//! Every variable that is read stands in the table of the documentation, and
//! nothing else does.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::collections::BTreeSet;

use gce_auth::docs::environment::VARIABLES;

/// What google-auth 2.63.0 reads on Compute Engine (`environment_vars`, and
/// who imports them).
const GOOGLE_AUTH: [&str; 19] = [
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH",
    "CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE",
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
    "HOME",
    "NO_GCE_CHECK",
];

/// What stands between two marks and looks like the name of a variable.
fn names(text: &str, mark: char) -> BTreeSet<&str> {
    let is_name = |name: &&str| {
        name.len() > 3
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    text.split(mark)
        .skip(1)
        .step_by(2)
        .filter(is_name)
        .collect()
}

#[test]
fn the_table_of_variables_is_whole_and_names_nothing_else() {
    let table = include_str!("../src/docs/environment.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let first: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    let first = first.join(", ");
    let told = names(&first, '`');
    let all: BTreeSet<&str> = VARIABLES.iter().copied().collect();
    assert_eq!(told, all);
    let missing: Vec<_> = GOOGLE_AUTH
        .iter()
        .filter(|name| !told.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        assert!(
            !row[2].is_empty() && !row[3].is_empty(),
            "who else? {row:?}"
        );
    }
}
