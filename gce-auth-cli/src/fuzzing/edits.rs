//! Edits of the configuration of tools, and their undoing.

use std::path::Path;

use crate::{
    fuzzing::marked::assert_refusal,
    helper::hosts::Hosts,
    install::{edit::After, tool::Tool},
};

/// The tools whose configuration is edited.
const EDITED: [Tool; 6] = [
    Tool::Docker,
    Tool::Git,
    Tool::Cargo,
    Tool::Kubectl,
    Tool::Goauth,
    Tool::Bazel,
];

/// Installs the helper of the tool that the first byte says in the text of the other bytes.
///
/// # Panics
///
/// If a second edit changes something, the doctor does not see the first, or after its undoing the
/// text, which may name the helper already, is not byte for byte what it was.
pub fn install(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let tool = EDITED[usize::from(*first) % EDITED.len()];
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let registries = match tool {
        Tool::Cargo => vec!["mine".to_owned()],
        _ => Vec::new(),
    };
    let program = Path::new(match tool {
        Tool::Kubectl => "/usr/bin/gce-auth-kubectl",
        Tool::Bazel => "/usr/bin/bazel-credential-gce-auth",
        _ => "/usr/bin/gce-auth",
    });
    // A text that an edit has made is an edit's to undo.
    if !matches!(tool.undo(text, program), Ok(edit) if edit.after == After::Same) {
        return;
    }
    let install = |text: &str| tool.install(Some(text), &registries, &Hosts::default(), program);
    let edited = match install(text) {
        Ok(edit) => edit.after,
        Err(failure) => return assert_refusal(&failure),
    };
    let After::Text(edited) = edited else {
        // A person named the helper, and undoing leaves it.
        assert!(
            text.contains("gce-auth"),
            "{tool:?} is installed in {text:?}"
        );
        return;
    };
    let again = install(&edited).map(|edit| edit.after);
    assert!(matches!(again, Ok(After::Same)), "{again:?} of {edited:?}");
    assert!(tool.program_in(&edited).is_some(), "{edited:?}");
    let undone = tool.undo(&edited, program).map(|edit| edit.after);
    let Ok(After::Text(undone)) = undone else {
        panic!("{undone:?} of {edited:?}");
    };
    assert_eq!(undone, text, "by {edited:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What edits write, and what stands beside it, so that texts are near to those of an edit.
    const PIECES: [&str; 30] = [
        "GOAUTH=",
        "/usr/bin/./gce-auth helper goauth",
        "/usr/bin/gce-auth helper goauth",
        "/opt/./gce-auth helper goauth",
        ";",
        " ",
        "\t",
        "netrc",
        "\n",
        "\r\n",
        "command: ",
        "- ",
        "/usr/bin/./gce-auth-kubectl",
        "/opt/./gce-auth-kubectl",
        "gke-gcloud-auth-plugin",
        " # gce-auth: was ",
        "\"",
        "[registries.mine]",
        "credential-provider = ",
        "['/usr/bin/gce-auth']",
        "['/opt/gce-auth']",
        " # by gce-auth helper install",
        "# >>> gce-auth helper git",
        "# <<< gce-auth helper git",
        " (new file)",
        "\u{feff}",
        "{",
        "}",
        "\"credHelpers\": {\"gcr.io\": \"gce-auth\"}",
        "\"plugins\": {}",
    ];

    proptest! {
        #[test]
        fn what_looks_like_an_edit_is_undone_as_one_or_not_at_all(
            tool in 0..EDITED.len(),
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)
        ) {
            let mut bytes = vec![u8::try_from(tool).unwrap_or_default()];
            bytes.extend(pieces.concat().bytes());
            install(&bytes);
        }
    }
}
