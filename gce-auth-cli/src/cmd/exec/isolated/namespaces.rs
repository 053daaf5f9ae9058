//! Namespaces of a process of its own, without privileges where the system allows that.

use std::{fs, io};

use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid};

/// Settings of the kernel that forbid namespaces, the value that does, and what to do.
const FORBID: [(&str, &str, &str); 5] = [
    (
        "kernel.unprivileged_userns_clone",
        "0",
        "set it to 1 as root",
    ),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "set it to 0 as root",
    ),
    ("user.max_user_namespaces", "0", "raise it as root"),
    ("user.max_net_namespaces", "0", "raise it as root"),
    ("user.max_mnt_namespaces", "0", "raise it as root"),
];

/// Moves this process into new network and mount namespaces: those of root, or, without privileges,
/// in a new user namespace with the same user and group. The process must have one thread.
///
/// Returns the step that failed.
pub(super) fn enter() -> Result<(), Refused> {
    let apart = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    // Of root's namespaces only root may make some. They keep all rights of the program.
    if unshare(apart).is_ok() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let step = |step| move |error| Refused { step, error };
    unshare(apart | CloneFlags::CLONE_NEWUSER)
        .map_err(io::Error::from)
        .map_err(step("unshare"))?;
    let write = |file, text: String| fs::write(file, text).map_err(step(file));
    // Without privileges groups can be mapped only once none can be given up.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// A step to isolation that the system refuses.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) step: &'static str,
    pub(super) error: io::Error,
}

impl Refused {
    /// Explains it in one sentence.
    pub(super) fn explain(&self) -> String {
        self.explain_with(|name| {
            let file = format!("/proc/sys/{}", name.replace('.', "/"));
            fs::read_to_string(file).ok()
        })
    }

    fn explain_with(&self, setting: impl Fn(&str) -> Option<String>) -> String {
        let forbids = FORBID
            .iter()
            .find(|(name, value, _)| setting(name).is_some_and(|found| found.trim() == *value));
        let cause = match forbids {
            Some((name, value, advice)) => format!("{name} is {value}: {advice}"),
            None => "most containers and chroots forbid them: allow them there".to_owned(),
        };
        let Self { step, error } = self;
        format!(
            "--isolated needs namespaces, which this system refuses ({step}: {error}); {cause}, or \
             use --as-proxy"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_forbids_is_named() {
        let refused = Refused {
            step: "unshare",
            error: io::Error::from_raw_os_error(1),
        };
        let with = |name: &'static str, value: &'static str| {
            refused.explain_with(|asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(
            with("kernel.apparmor_restrict_unprivileged_userns", "1\n"),
            "--isolated needs namespaces, which this system refuses (unshare: Operation not \
             permitted (os error 1)); kernel.apparmor_restrict_unprivileged_userns is 1: set it to \
             0 as root, or use --as-proxy"
        );
        assert!(with("user.max_user_namespaces", "0\n").contains("is 0: raise it as root, or"));
        assert!(with("user.max_user_namespaces", "96365\n").contains("most containers"));
    }
}
