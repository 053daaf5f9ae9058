//! The mark of a path that `install` wrote: `/./` before its last part. It leads to the same file,
//! stays when a tool writes its configuration anew without comments, and no person writes it.

use std::{
    borrow::Cow,
    path::{MAIN_SEPARATOR, Path, PathBuf},
};

/// Returns the path with the mark.
pub(crate) fn marked(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => folder.join(".").join(name),
        _ => path.to_owned(),
    }
}

/// Returns the path without the mark. `None` if it has none.
pub(crate) fn without_mark(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once(MAIN_SEPARATOR)?;
    let folder = folder.strip_suffix('.')?;
    let folder = folder.ends_with(MAIN_SEPARATOR).then_some(folder)?;
    Some([folder, name].concat())
}

/// Returns whether both are the same path, with the mark or without.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let plain = |path| without_mark(path).map_or(Cow::Borrowed(path), Cow::Owned);
    plain(one) == plain(other)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_seen_in_the_text_alone() {
        let path = marked(Path::new("/usr/bin/gce-auth"));
        assert_eq!(path.to_str(), Some("/usr/bin/./gce-auth"));
        assert_eq!(path, Path::new("/usr/bin/gce-auth"), "the same place");
        let plain = without_mark("/usr/bin/./gce-auth");
        assert_eq!(plain.as_deref(), Some("/usr/bin/gce-auth"));
        assert_eq!(marked(Path::new("/gce-auth")).to_str(), Some("/./gce-auth"));
        assert_eq!(without_mark("/./gce-auth").as_deref(), Some("/gce-auth"));
        for unmarked in [
            "/usr/bin/gce-auth",
            "gce-auth",
            "./gce-auth",
            "/a./b",
            "",
            "/",
        ] {
            assert_eq!(without_mark(unmarked), None, "{unmarked}");
        }
        assert!(is_same("/usr/bin/./gce-auth", "/usr/bin/gce-auth"));
        assert!(!is_same("/usr/bin/./gce-auth", "/opt/gce-auth"));
    }
}
