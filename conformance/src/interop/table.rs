//! The tables of clients: what each library got right in `CLIENTS.md`, and in short in the README.
//! Written by runs, and held against each one.

use std::{
    fs::{self, File},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::env;

/// What stands above the rows.
const HEAD: &str = "\
# Clients

Which libraries were run against the emulator, unchanged from their registries, and what was found to \
be as the emulator was configured. Written by the tests of the clients themselves, which fail when a run \
says something else than this page:

```sh
GCE_AUTH_CLIENTS=write cargo test -p gce-auth-conformance
```

| language | library | version | passed |
| --- | --- | --- | --- |
";

/// What every client is asked for, by the name under which it is judged: the columns of the table
/// in the README.
const COLUMNS: [&str; 9] = [
    "access token",
    "ID token",
    "project",
    "zone",
    "attribute",
    "account",
    "scopes",
    "universe",
    "detection",
];

/// Between these lines of the README its table stands.
const BEGIN: &str = "<!-- clients, written by their tests -->\n";
const END: &str = "<!-- end of clients -->\n";

/// A line of the table.
pub(super) fn row(language: &str, library: &str, version: &str, passed: &str) -> String {
    format!("| {language} | {library} | {version} | {passed} |\n")
}

/// Holds the rows of a language against the tables, or puts them there when that is asked for.
///
/// # Panics
///
/// When they differ, or a table can't be read or written.
pub(super) fn settle(language: &str, rows: &[String]) {
    let write = env::write_clients();
    let mut tables = Tables::open(write);
    let table = with(&tables.table, language, rows);
    let readme = in_short(&tables.readme, &table);
    if write {
        tables.write(&table, &readme);
        return;
    }
    for (name, old, new) in [
        ("CLIENTS.md", tables.table, table),
        ("README.md", tables.readme, readme),
    ] {
        assert!(
            old == new,
            "{name} does not say what this run of the {language} client has shown:\n{}\n\
             Run the test again with GCE_AUTH_CLIENTS=write.",
            rows.concat()
        );
    }
}

/// Both tables as they are. No other test writes them meanwhile.
struct Tables {
    /// `CLIENTS.md`, locked.
    file: File,
    table: String,
    readme: String,
}

impl Tables {
    /// Waits for the lock, and reads both.
    ///
    /// # Panics
    ///
    /// When a table can't be read.
    fn open(write: bool) -> Self {
        let (path, readme) = (path(), readme());
        let file = File::options()
            .read(true)
            .write(write)
            .create(write)
            .truncate(false)
            .open(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let table = file
            .lock()
            .and_then(|()| io::read_to_string(&file))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let readme = fs::read_to_string(&readme)
            .unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
        Self {
            file,
            table,
            readme,
        }
    }

    /// # Panics
    ///
    /// When a table can't be written.
    fn write(&mut self, table: &str, short: &str) {
        let (path, readme) = (path(), readme());
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(table.as_bytes()))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::write(&readme, short).unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
    }
}

/// A README whose table says in short what this table of clients says.
///
/// # Panics
///
/// When the README has no place for it.
fn in_short(readme: &str, table: &str) -> String {
    let place = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = place.expect("the README has a place for the table of clients");
    let mut text = format!("{before}{BEGIN}| | library | {} |\n", COLUMNS.join(" | "));
    text.push_str(&format!("|{}\n", " --- |".repeat(COLUMNS.len() + 2)));
    for line in table.lines().filter(|line| is_row(line)) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, language, library, version, passed, _] = cells[..] else {
            continue;
        };
        let passed: Vec<&str> = passed.split(", ").collect();
        let marks = COLUMNS.map(|column| if passed.contains(&column) { "✓" } else { "" });
        text.push_str(&format!(
            "| {language} | {library} {version} | {} |\n",
            marks.join(" | ")
        ));
    }
    text + END + after
}

/// Whether a line of `CLIENTS.md` is one of a library.
fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !HEAD.contains(line)
}

/// Holds a page of this crate, whole, against what a run has shown, or writes it when that is asked
/// for.
///
/// # Panics
///
/// When they differ, or the page can't be read or written.
pub fn settle_page(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if env::write_clients() {
        fs::write(&path, page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let old =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let changed: Vec<&str> = page
        .lines()
        .filter(|line| !old.lines().any(|known| known == *line))
        .collect();
    assert!(
        old == page,
        "{name} does not say what this run has shown:\n{}\n\
         Run the test again with GCE_AUTH_CLIENTS=write.",
        changed.join("\n")
    );
}

/// The table with these rows for a language, the languages in order.
fn with(table: &str, language: &str, rows: &[String]) -> String {
    let ours = format!("| {language} |");
    let mut lines: Vec<&str> = table
        .lines()
        .filter(|line| is_row(line) && !line.starts_with(&ours))
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

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            // The yardstick of the command uses no library, and others' clients run in the
            // namespace.
            .filter(|folder| !["floor", "namespace"].contains(&folder.as_str()))
            .collect();
        let tables = Tables::open(false);
        let languages: BTreeSet<String> = tables
            .table
            .strip_prefix(HEAD)
            .expect("the table begins as its tests write it")
            .lines()
            // "Go, credentials files" is a row of Go's.
            .filter_map(|line| {
                let row = line.split('|').nth(1)?;
                Some(row.split(',').next()?.trim().to_lowercase())
            })
            .collect();
        assert_eq!(languages, folders);
    }

    #[test]
    fn the_readme_says_the_same_in_short() {
        let tables = Tables::open(false);
        assert!(
            in_short(&tables.readme, &tables.table) == tables.readme,
            "the README's table of clients is not that of CLIENTS.md"
        );

        let table = with("", "C", &[row("C", "c", "1", "zone, tags, access token")]);
        let text = in_short(&format!("a\n{BEGIN}old\n{END}b\n"), &table);
        assert!(text.starts_with("a\n") && text.ends_with(&format!("{END}b\n")));
        assert!(
            text.contains("| C | c 1 | ✓ |  |  | ✓ |  |  |  |  |  |\n"),
            "{text}"
        );
        assert!(!text.contains("old"));
    }
}
