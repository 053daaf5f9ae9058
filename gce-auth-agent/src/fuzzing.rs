//! What the fuzz targets call. Not part of the API.

use std::{io, path::Path};

use crate::{
    caller::{Caller, cgroup},
    policy::{Config, Decision, Request, system::System},
};

/// A machine where each name with a vowel is known, and there are no files.
struct Anywhere;

impl System for Anywhere {
    fn user(&self, name: &str) -> Option<u32> {
        name.contains(['a', 'e', 'i', 'o', 'u']).then_some(33)
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.user(name)
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Reads a configuration file, and decides about a few requests by it: an unknown caller is served
/// by `default = "allow"` alone.
///
/// # Panics
///
/// If an error has more than a line or names no place; if an unknown caller is served.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let config = match Config::parse(text, Path::new("/agent.toml"), 1000, &Anywhere) {
        Ok(config) => config,
        Err(why) => {
            let why = why.to_string();
            assert!(
                why.starts_with("/agent.toml:") && !why.contains('\n'),
                "{why}"
            );
            return;
        }
    };
    let unknown = Caller {
        local: true,
        ..Caller::default()
    };
    let known = Caller {
        uid: Some(33),
        ..unknown.clone()
    };
    for target in [
        "/",
        "/computeMetadata/v1/?recursive=true",
        "/computeMetadata/v1/instance/attributes/ssh-keys",
        "/computeMetadata/v1/instance/service-accounts/default/token?scopes=a",
        "/computeMetadata/v1/instance/service-accounts/a@b/identity?audience=https://a/b",
    ] {
        let request = Request::parse(target).expect("a plain target");
        for (caller, is_known) in [(&unknown, false), (&known, true)] {
            let fit = config.policy.fit(caller);
            let decision = config.policy.decide(fit, &request, Some("a@b"));
            let served = matches!(decision, Decision::Served(_));
            // The word may stand in quotes of any kind.
            let open = text.contains("allow\"") || text.contains("allow'");
            assert!(is_known || open || !served, "{decision:?}");
        }
    }
}

/// Reads `/proc/PID/cgroup`.
///
/// # Panics
///
/// If a path, a container or a pod is found that is not in the text.
pub fn cgroup(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for path in cgroup::paths(&text) {
        assert!(path.starts_with('/') && text.contains(&path));
        assert!(cgroup::container(&path).is_none_or(|id| id.len() == 64 && path.contains(id)));
        if let Some(pod) = cgroup::pod(&path) {
            assert!(path.replace('_', "-").contains(&pod));
        }
    }
}

/// Reads a request's target. What is understood has no odd spelling left.
///
/// # Panics
///
/// If a path with a segment of dots, an empty segment or an escape is understood.
pub fn target(bytes: &[u8]) {
    let Ok(target) = str::from_utf8(bytes) else {
        return;
    };
    if Request::parse(target).is_ok() {
        let path = target.split(['?', '#']).next().unwrap_or(target);
        let odd = ["//", "/./", "/../", "%", "\\"];
        assert!(!odd.iter().any(|odd| path.contains(odd)), "{path}");
    }
}
