//! Metadata that is concealed unless a rule names it: keys, scripts and credentials of the machine.

use super::glob::Key;

/// Below `attributes/` of the instance and the project. One that ends in `*` is a beginning.
const ATTRIBUTES: [&str; 9] = [
    "kube-env",
    "kubeconfig",
    "ssh-keys",
    "sshKeys",
    "block-project-ssh-keys",
    "startup-script*",
    "shutdown-script*",
    "windows-startup-script*",
    "user-data",
];

/// Directories of the instance, with all that is below.
const DIRECTORIES: [&str; 3] = [
    "gce-workload-certificates",
    "credentials",
    "partner-attributes",
];

/// Returns which segment conceals a path, and how a pattern must begin there to name it.
pub(super) fn key(path: &str) -> Option<Key<'static>> {
    let mut steps = path.split('/');
    match (steps.next()?, steps.next()?) {
        ("instance" | "project", "attributes") => {
            let name = steps.next()?;
            ATTRIBUTES
                .iter()
                .map(|concealed| match concealed.strip_suffix('*') {
                    Some(beginning) => (beginning, name.starts_with(beginning)),
                    None => (*concealed, name == *concealed),
                })
                .find_map(|(beginning, fits)| fits.then_some((2, beginning)))
        }
        ("instance", name) => DIRECTORIES
            .iter()
            .find(|concealed| name == **concealed)
            .map(|concealed| (1, *concealed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scripts_and_credentials_are_concealed() {
        for path in [
            "instance/attributes/kube-env",
            "project/attributes/sshKeys",
            "instance/attributes/startup-script-url",
            "instance/attributes/windows-startup-script-ps1",
            "instance/attributes/ssh-keys/deeper",
            "instance/gce-workload-certificates",
            "instance/credentials/mds-client-certificate",
            "instance/partner-attributes/iam.googleapis.com/x",
        ] {
            assert!(key(path).is_some(), "{path}");
        }
        for path in [
            "",
            "instance/attributes",
            "instance/attributes/kube-env2",
            "instance/zone",
            "project/project-id",
            "project/credentials",
            "instance/network-interfaces/0/attributes/ssh-keys",
        ] {
            assert!(key(path).is_none(), "{path}");
        }
    }
}
