//! Each adapter has a row in the README and an example, in which it is one line.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::fs;

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The adapters: every feature but `default`.
fn features() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let (_, features) = manifest.split_once("\n[features]\n").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    let names = features.lines().filter_map(|line| line.split_once(" = "));
    names
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "default")
        .collect()
}

#[test]
fn each_adapter_is_one_line_of_its_example() {
    let manifest = read("Cargo.toml");
    let features = features();
    assert!(features.len() >= 16, "{features:?}");
    for feature in features {
        let required = format!("required-features = [\"{feature}\"]");
        let (before, _) = manifest
            .split_once(&required)
            .unwrap_or_else(|| panic!("no example for {feature}"));
        let (_, name) = before.rsplit_once("name = \"").unwrap();
        let name = name.split('"').next().unwrap();
        let example = read(&format!("examples/{name}.rs"));
        let import = example
            .lines()
            .find(|line| line.starts_with("use gce_auth_adapters::"))
            .unwrap();
        let import = import.trim_end_matches(';');
        // Of several names the first is the adapter's.
        let import = import.split(',').next().unwrap();
        let item = import.rsplit([' ', ':', '{']).next().unwrap();
        // An extension trait is used by its method.
        let used = match item {
            "Authorize" => ".authorize(",
            item => item,
        };
        let uses = example
            .lines()
            .filter(|line| !line.starts_with("use ") && has_name(line, used));
        assert_eq!(uses.count(), 1, "{name} uses {item}");
    }
}

/// Returns whether a line has this name, not as the end of another.
fn has_name(line: &str, name: &str) -> bool {
    let is_end =
        |before: &str| before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    let mut before = line.match_indices(name).map(|(at, _)| &line[..at]);
    before.any(|before| name.starts_with('.') || !is_end(before))
}

/// The files of an adapter.
fn files(module: &str) -> Vec<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let inside = fs::read_dir(format!("{source}/{module}"));
    let inside = inside.into_iter().flatten().flatten();
    let inside = inside.map(|file| file.file_name().into_string().unwrap());
    let inside = inside.map(|name| format!("src/{module}/{name}"));
    inside.chain([format!("src/{module}.rs")]).collect()
}

/// Lines of code without imports, docs, attributes and tests.
fn lines_of_code(text: &str) -> usize {
    let (mut count, mut in_import) = (0, false);
    for line in text.split("#[cfg(test)]").next().unwrap().lines() {
        let line = line.trim();
        let begins = ["use ", "pub use ", "pub(crate) use "];
        in_import |= begins.iter().any(|begin| line.starts_with(begin));
        let counts = !in_import && !line.is_empty() && !line.starts_with("//");
        count += usize::from(counts && !line.starts_with('#'));
        in_import &= !line.ends_with(';');
    }
    count
}

#[test]
fn each_adapter_is_short_and_its_lines_are_counted() {
    let readme = read("README.md");
    let mut starred = 0;
    for feature in features() {
        let files = files(&feature.replace(['-', '.'], "_"));
        for file in &files {
            let lines = read(file).lines().count();
            assert!(lines <= 150, "{file} has {lines} lines");
        }
        let row = format!("| `{feature}` |");
        let row = readme.lines().find(|line| line.starts_with(&row)).unwrap();
        let stated = row.rsplit(" | ").nth(1).unwrap();
        if let Some(stated) = stated.strip_suffix('*') {
            let counted: usize = files.iter().map(|file| lines_of_code(&read(file))).sum();
            assert_eq!(stated, counted.to_string(), "{feature}");
            starred += 1;
        } else {
            assert!(stated.parse::<usize>().unwrap() > 1, "{row}");
        }
    }
    assert!(starred >= 5, "{starred}");
}

#[test]
fn each_adapter_has_a_row_in_the_readme() {
    let readme = read("README.md");
    for feature in features() {
        assert!(readme.contains(&format!("\n| `{feature}` |")), "{feature}");
        let module = feature.replace(['-', '.'], "_");
        assert!(
            read("src/lib.rs").contains(&format!("pub mod {module};")),
            "{module}"
        );
    }
}
