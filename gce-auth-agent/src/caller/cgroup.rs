//! `/proc/PID/cgroup`, of both versions (cgroups(7)), and what it says of containers and pods.
//!
//! The outermost container counts: what lies below it is named by the programs in it.

/// Returns the paths in the text of `/proc/PID/cgroup`, each once.
pub fn paths(text: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for line in text.lines() {
        // Hierarchy, controllers, path.
        if let Some(path) = line.splitn(3, ':').nth(2)
            && path.starts_with('/')
            && !paths.iter().any(|other| other == path)
        {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// Returns the id of the container to which a cgroup belongs: of Docker, containerd, CRI-O, or
/// Podman. Where a runtime takes systemd's `SLICE:PREFIX:ID` for a name, the id stands at its end.
pub fn container(path: &str) -> Option<&str> {
    const PREFIXES: [&str; 5] = ["docker-", "cri-containerd-", "crio-", "libpod-", "nerdctl-"];
    path.split('/').find_map(|step| {
        let step = step.rsplit(':').next().unwrap_or(step);
        let scope = step.strip_suffix(".scope").unwrap_or(step);
        let id = PREFIXES
            .iter()
            .find_map(|prefix| scope.strip_prefix(prefix))
            .unwrap_or(scope);
        let fits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (id.len() == 64 && id.bytes().all(fits)).then_some(id)
    })
}

/// Returns the uid of the Kubernetes pod to which a cgroup belongs, as Kubernetes spells it.
pub fn pod(path: &str) -> Option<String> {
    let mut steps = path.split('/');
    let is_own = |step: &&str| {
        matches!(*step, "kubepods" | "kubepods.slice")
            || (step.starts_with("kubepods-") && step.contains(".slice:"))
    };
    let own = steps.find(is_own)?;
    std::iter::once(own).chain(steps).find_map(|step| {
        let step = step.split(':').next().unwrap_or(step);
        // systemd separates the parts of a slice's name by dashes, so the uid has underscores.
        let id = match step.strip_suffix(".slice") {
            Some(slice) => {
                let parts = slice.strip_prefix("kubepods-")?;
                parts
                    .rsplit('-')
                    .next()?
                    .strip_prefix("pod")?
                    .replace('_', "-")
            }
            None => step.strip_prefix("pod")?.to_owned(),
        };
        is_uid(&id).then_some(id)
    })
}

/// Returns whether a cgroup is below systemd's slice of users, who make and name cgroups there.
pub fn is_named_by_user(path: &str) -> bool {
    path.split('/').any(|step| step == "user.slice")
}

/// A UUID, or, for a pod from a file of the node, the hash that stands in its place.
fn is_uid(id: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    (lengths == [8, 4, 4, 4, 12] || lengths == [32]) && id.split('-').all(hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f2a9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b";
    const UID: &str = "1234abcd-0000-4000-8000-00000000beef";

    #[test]
    fn lines_of_both_versions_are_read() {
        assert_eq!(
            paths("0::/system.slice/web.service\n"),
            ["/system.slice/web.service"]
        );
        let hybrid = "2:name=systemd:/a:b\n1:cpu,cpuacct:/\n0::/a:b\n";
        assert_eq!(paths(hybrid), ["/a:b", "/"]);
        assert!(paths("").is_empty());
        assert!(paths("nothing\n0:\n0::relative\n").is_empty());
    }

    #[test]
    fn containers_of_each_runtime_are_known() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/besteffort/pod{UID}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{ID}.scope",
                UID.replace('-', "_")
            ),
            format!("/kubepods.slice/x/crio-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            format!("/docker/{ID}/docker/{}", "0".repeat(64)),
            format!(
                "/system.slice/containerd.service/kubepods-pod{}.slice:cri-containerd:{ID}",
                UID.replace('-', "_")
            ),
        ] {
            assert_eq!(container(&path), Some(ID), "{path}");
        }
        for path in [
            "/".to_owned(),
            "/system.slice/docker.service".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/docker/{}", &ID[1..]),
            format!("/docker/{}", ID.to_uppercase()),
        ] {
            assert_eq!(container(&path), None, "{path}");
        }
    }

    #[test]
    fn pods_of_both_cgroup_drivers_are_known() {
        let with_underscores = UID.replace('-', "_");
        for path in [
            format!("/kubepods/pod{UID}"),
            format!("/kubepods/besteffort/pod{UID}/{ID}"),
            format!("/kubelet/kubepods/burstable/pod{UID}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{with_underscores}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod{with_underscores}.slice"),
            format!("/kubepods-burstable-pod{with_underscores}.slice:cri-containerd:{ID}"),
        ] {
            assert_eq!(pod(&path).as_deref(), Some(UID), "{path}");
        }
        let of_a_file = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            pod(&format!("/kubepods/pod{of_a_file}/{ID}")).as_deref(),
            Some(of_a_file)
        );
        for path in [
            format!("/pod{UID}"),
            format!("/user.slice/pod{UID}"),
            format!("/kubepods-of-a-user/pod{UID}"),
            format!("/my.slice:own:x/pod{UID}"),
            "/kubepods/burstable/pod77aa/c1".to_owned(),
            format!("/kubepods/burstable/tripod{UID}"),
        ] {
            assert_eq!(pod(&path), None, "{path}");
        }
    }

    #[test]
    fn users_name_what_is_below_their_slice() {
        let own = "/user.slice/user-1000.slice/user@1000.service/kubepods/x";
        assert!(is_named_by_user(own) && is_named_by_user("/user.slice"));
        assert!(!is_named_by_user("/system.slice/a") && !is_named_by_user("/my-user.slice"));
    }

    proptest! {
        #[test]
        fn what_runs_in_a_container_cannot_rename_it(below in "[ -~]{0,80}") {
            let path = format!("/kubepods/pod{UID}/{ID}/{below}");
            prop_assert_eq!(container(&path), Some(ID));
            let named = pod(&path);
            prop_assert_eq!(named.as_deref(), Some(UID));
        }

        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            for path in paths(&text) {
                prop_assert!(text.contains(&path));
                prop_assert!(container(&path).is_none_or(|id| path.contains(id)));
                let _ = pod(&path);
            }
        }
    }
}
