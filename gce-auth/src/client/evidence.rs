//! What can be known of where this is without asking the network.

use std::path::Path;

use crate::io::{env::Environment, firmware};

/// What can be known without asking the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes,
    No,
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

impl Evidence {
    pub(super) fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
        }
    }
}

/// What the environment says, if anything.
pub(super) fn said(environment: &Environment) -> Option<Evidence> {
    let (verdict, why) = match environment.detection.as_deref() {
        _ if environment.no_gce_check.as_deref() == Some("true") => {
            (Verdict::No, "NO_GCE_CHECK is true".to_owned())
        }
        Some("assume-present") => (
            Verdict::Yes,
            "METADATA_SERVER_DETECTION is assume-present".to_owned(),
        ),
        Some("none") => (Verdict::No, "METADATA_SERVER_DETECTION is none".to_owned()),
        // A setting comes before what the platform sets.
        _ => (Verdict::Yes, format!("{} is set", environment.serverless?)),
    };
    Some(Evidence::new(verdict, why))
}

/// What the firmware, of which `dmi_file` tells, says the machine is; costs one
/// small file.
pub(super) fn machine(dmi_file: &Path) -> Evidence {
    if cfg!(target_vendor = "apple") {
        return Evidence::new(Verdict::No, "Google Cloud runs no machine of this system");
    }
    match firmware::product_name(dmi_file) {
        Some(name) if name.starts_with("Google") => {
            Evidence::new(Verdict::Yes, format!("the firmware calls it {name:?}"))
        }
        Some(name) => Evidence::new(Verdict::No, format!("the firmware calls it {name:?}")),
        None => Evidence::new(Verdict::Unknown, "the firmware says nothing"),
    }
}
