//! Which users and groups the kernel can name to this process.
//!
//! In a user namespace the kernel shows every user that the namespace does not map as one and the
//! same: the overflow user, 65534 unless `/proc/sys/kernel/overflowuid` names another
//! (user_namespaces(7)). In a container without root, those are all users outside of it.

use std::sync::LazyLock;

/// What the kernel shows for users that are not mapped, if there may be such users.
static OVERFLOW_USER: LazyLock<Option<u32>> = LazyLock::new(|| overflow("uid"));
static OVERFLOW_GROUP: LazyLock<Option<u32>> = LazyLock::new(|| overflow("gid"));

/// Returns the user that has this id, if only one can have it: `None` for the overflow user of a
/// user namespace that does not map all users.
#[must_use]
pub fn known_user(uid: u32) -> Option<u32> {
    (*OVERFLOW_USER != Some(uid)).then_some(uid)
}

/// Returns the group that has this id, if only one can have it, as [`known_user`] does.
#[must_use]
pub fn known_group(gid: u32) -> Option<u32> {
    (*OVERFLOW_GROUP != Some(gid)).then_some(gid)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn overflow(kind: &str) -> Option<u32> {
    /// Without `/proc/sys`.
    const DEFAULT: u32 = 65534;

    let map = std::fs::read_to_string(format!("/proc/self/{kind}_map"));
    let shown = || std::fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    (!is_whole(map)).then(|| {
        shown()
            .ok()
            .and_then(|id| id.trim().parse().ok())
            .unwrap_or(DEFAULT)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn overflow(_: &str) -> Option<u32> {
    None
}

/// Returns whether this process's namespace maps every id. False if that can't be told, such as for
/// want of a descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_whole(map: std::io::Result<String>) -> bool {
    match map {
        Ok(map) => maps_all(&map),
        // A kernel without user namespaces, if `/proc` is there.
        Err(error) => {
            error.kind() == std::io::ErrorKind::NotFound
                && std::path::Path::new("/proc/self/status").exists()
        }
    }
}

/// Returns whether a map holds every id. Each line is a first id inside, a first id outside, and a
/// length; lines do not overlap.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn maps_all(map: &str) -> bool {
    let lengths = map.lines().filter_map(|line| {
        let length = line.split_ascii_whitespace().nth(2)?;
        length.parse::<u64>().ok()
    });
    lengths.sum::<u64>() >= u64::from(u32::MAX)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_map_holds_every_user() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(maps_all(
            "0 0 2147483648\n2147483648 2147483648 2147483647\n"
        ));
        for part in [
            "",
            "0 1000 1\n",
            "0 1000 1\n1 100000 65536\n",
            "x",
            "0 0 nothing",
        ] {
            assert!(!maps_all(part), "{part:?}");
        }
    }

    #[test]
    fn a_map_that_cannot_be_read_is_not_whole() {
        let too_many_files = std::io::Error::from_raw_os_error(24);
        assert!(!is_whole(Err(too_many_files)));
        assert!(!is_whole(Err(std::io::ErrorKind::PermissionDenied.into())));
        assert!(is_whole(Err(std::io::ErrorKind::NotFound.into())));
    }

    #[test]
    fn ids_that_are_not_mapped_share_one_unless_all_are_mapped() {
        for kind in ["uid", "gid"] {
            let map = std::fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap();
            assert_eq!(overflow(kind).is_none(), maps_all(&map), "{kind}");
        }
    }

    #[test]
    fn users_that_are_mapped_are_known() {
        assert_eq!(known_user(0), Some(0));
        assert_eq!(known_user(1000), Some(1000));
        assert_eq!(known_group(1000), Some(1000));
    }
}
