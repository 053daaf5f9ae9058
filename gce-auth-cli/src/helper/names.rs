//! The names under which other tools run this command: each is a helper of `gce-auth helper`.

use std::{ffi::OsString, path::Path};

/// The variable with options for every helper, as tools pass none.
pub(crate) const FLAGS: &str = "GCE_AUTH_HELPER_FLAGS";

/// The names of the executable, and the helper that each is.
pub(crate) const NAMES: [(&str, &str); 7] = [
    ("docker-credential-gce-auth", "docker"),
    ("gce-auth-kubectl", "kubectl"),
    ("gce-auth-kubelet", "kubelet"),
    ("git-credential-gce-auth", "git"),
    ("cargo-credential-gce-auth", "cargo"),
    ("bazel-credential-gce-auth", "bazel"),
    ("keyring", "keyring"),
];

/// Returns the arguments as of `gce-auth helper NAME`, whatever name the executable has, with the
/// options of [`FLAGS`] before them.
pub(crate) fn arguments(given: Vec<OsString>, flags: Option<String>) -> Vec<OsString> {
    let mut given = given.into_iter();
    let program = given.next().unwrap_or_default();
    let mut given = given.peekable();
    let name = helper_of(&program).or_else(|| {
        // Cargo runs a provider with this alone.
        given
            .next_if(|first| first == "--cargo-plugin")
            .map(|_| "cargo")
    });
    let is_link = name.is_some();
    let name = match name {
        Some(name) => OsString::from(name),
        None if given.next_if(|first| first == "helper").is_some() => {
            let Some(name) = given.next() else {
                return vec![program, "helper".into()];
            };
            name
        }
        None => return std::iter::once(program).chain(given).collect(),
    };
    // `keyring` has options of its own.
    let separator = (is_link && name == "keyring").then(|| OsString::from("--"));
    let flags = flags.filter(|_| name != "install" && name != "help");
    let flags = flags.unwrap_or_default();
    let flags = flags.split_whitespace().map(OsString::from);
    [program, "helper".into(), name]
        .into_iter()
        .chain(flags)
        .chain(separator)
        .chain(given)
        .collect()
}

fn helper_of(program: &OsString) -> Option<&'static str> {
    let name = Path::new(program).file_name()?.to_str()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let (_, helper) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(helper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &str, flags: Option<&str>) -> String {
        let given = given.split(' ').map(OsString::from).collect();
        let read = arguments(given, flags.map(str::to_owned));
        let read: Vec<_> = read.iter().map(|it| it.to_str().unwrap()).collect();
        read.join(" ")
    }

    #[test]
    fn each_name_is_its_helper() {
        for (given, expected) in [
            ("gce-auth token", "gce-auth token"),
            ("gce-auth", "gce-auth"),
            ("gce-auth helper", "gce-auth helper"),
            ("gce-auth helper docker get", "gce-auth helper docker get"),
            (
                "/usr/bin/docker-credential-gce-auth get",
                "/usr/bin/docker-credential-gce-auth helper docker get",
            ),
            (
                "git-credential-gce-auth.exe --as a get",
                "git-credential-gce-auth.exe helper git --as a get",
            ),
            (
                "cargo-credential-gce-auth --cargo-plugin",
                "cargo-credential-gce-auth helper cargo --cargo-plugin",
            ),
            ("gce-auth --cargo-plugin", "gce-auth helper cargo"),
            (
                "keyring --mode creds get x",
                "keyring helper keyring -- --mode creds get x",
            ),
        ] {
            assert_eq!(read(given, None), expected, "{given}");
        }
    }

    #[test]
    fn options_of_the_variable_come_before_those_of_the_tool() {
        let flags = Some("--as a@b.c  --timeout 3");
        assert_eq!(
            read("docker-credential-gce-auth get", flags),
            "docker-credential-gce-auth helper docker --as a@b.c --timeout 3 get"
        );
        assert_eq!(
            read("keyring get x", flags),
            "keyring helper keyring --as a@b.c --timeout 3 -- get x"
        );
        assert_eq!(
            read("gce-auth helper git get", flags),
            "gce-auth helper git --as a@b.c --timeout 3 get"
        );
        for other in [
            "gce-auth token",
            "gce-auth helper install docker",
            "gce-auth helper",
        ] {
            assert_eq!(read(other, flags), other);
        }
    }
}
