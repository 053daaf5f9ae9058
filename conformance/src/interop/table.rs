//! The table of clients in `CLIENTS.md`: written by runs, and held against each one.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::env;

/// What stands above the rows.
const HEAD: &str = "\
# Clients

Which libraries were run against the emulator, unchanged from their registries, and what was found to \
be as the emulator was told. Written by the tests of the clients themselves, which fail when a run \
says something else than this page:

```sh
GCE_AUTH_CLIENTS=write cargo test -p gce-auth-conformance
```

| language | library | version | passed |
| --- | --- | --- | --- |
";

/// A line of the table.
pub(super) fn row(language: &str, library: &str, version: &str, passed: &str) -> String {
    format!("| {language} | {library} | {version} | {passed} |\n")
}

/// Holds the rows of a language against the table, or puts them there when that is asked for.
///
/// # Panics
///
/// When they differ, or the table can't be read or written.
pub(super) fn settle(language: &str, rows: &[String]) {
    let path = path();
    let write = env::write_clients();
    let mut file = File::options()
        .read(true)
        .write(write)
        .create(write)
        .truncate(false)
        .open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Tests of several languages may run at once.
    let old = file
        .lock()
        .and_then(|()| io::read_to_string(&file))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));

    let new = with(&old, language, rows);
    if write {
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(new.as_bytes()))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    assert!(
        write || old == new,
        "CLIENTS.md does not say what this run of the {language} client has shown:\n{}\n\
         Run the test again with GCE_AUTH_CLIENTS=write.",
        rows.concat()
    );
}

/// The table with these rows for a language, the languages in order.
fn with(table: &str, language: &str, rows: &[String]) -> String {
    let ours = format!("| {language} |");
    let mut lines: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !HEAD.contains(line) && !line.starts_with(&ours))
        .chain(rows.iter().map(|row| row.trim_end()))
        .collect();
    lines.sort_by_key(|line| line.split('|').nth(1));
    let mut text = HEAD.to_owned();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("CLIENTS.md")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn a_language_has_its_own_rows() {
        let rows = |version| [row("Go", "a", version, "x"), row("Go", "b", version, "y")];
        let first = with("", "Go", &rows("1"));
        let both = with(&first, "C", &[row("C", "c", "1", "z")]);
        let table = with(&both, "Go", &rows("2"));
        assert_eq!(
            table.strip_prefix(HEAD).unwrap(),
            "| C | c | 1 | z |\n| Go | a | 2 | x |\n| Go | b | 2 | y |\n"
        );
    }

    #[test]
    fn every_client_stands_in_the_table() {
        let folders: BTreeSet<String> = fs::read_dir(super::super::clients())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        let table = fs::read_to_string(path()).unwrap();
        let languages: BTreeSet<String> = table
            .strip_prefix(HEAD)
            .expect("the table begins as its tests write it")
            .lines()
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_lowercase()))
            .collect();
        assert_eq!(languages, folders);
    }
}
