//! Which file of a crate names which other, and the circles among them.
//!
//! A file names another by a path in its code: `crate::`, `super::`, `self::`, a module that it
//! declares, or a name that it imported. Tests at the end of a file do not count.

use std::collections::{BTreeMap, BTreeSet};

type Path = Vec<String>;

/// Returns each file with the files that it names. `files` are paths below `src`, and their text.
pub(crate) fn arrows(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeMap<Path, &str> = files
        .iter()
        .map(|(file, _)| (module_of(file), file.as_str()))
        .collect();
    files
        .iter()
        .map(|(file, text)| {
            let mut named = named_files(&modules, &module_of(file), &code_of(text));
            named.remove(file);
            (file.clone(), named)
        })
        .collect()
}

/// Returns the circles, each as the files that lead from one another back to it.
pub(crate) fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = arrows
        .keys()
        .map(|file| (file.as_str(), reachable(arrows, file)))
        .collect();
    let mut found: Vec<Vec<String>> = reach
        .iter()
        .filter(|(file, reached)| reached.contains(*file))
        .map(|(file, reached)| {
            let back = |other: &&&str| reach[**other].contains(file);
            reached
                .iter()
                .filter(back)
                .map(|f| (*f).to_owned())
                .collect()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn reachable<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = arrows[from].iter().map(String::as_str).collect();
    while let Some(file) = next.pop() {
        if seen.insert(file) {
            next.extend(arrows[file].iter().map(String::as_str));
        }
    }
    seen
}

/// `a/b.rs` and `a/b/mod.rs` are module `a::b`; `lib.rs` and `main.rs` are the root.
fn module_of(file: &str) -> Path {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => Path::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    }
}

/// The code without comments, and without the tests at its end.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.split("#[cfg(all(test").next().unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn named_files(modules: &BTreeMap<Path, &str>, own: &Path, code: &str) -> BTreeSet<String> {
    let mut paths = paths(code);
    // A single word is no path: `pub(crate)`, or a variable.
    paths.retain(|path| path.len() > 1);
    let mut imported: BTreeMap<&str, Path> = BTreeMap::new();
    for name in declared(code) {
        let mut module = own.clone();
        module.push(name.to_owned());
        imported.insert(name, module);
    }
    let declarations: Vec<Path> = imported.values().cloned().collect();
    for path in &paths {
        let full = absolute(path, own, &imported);
        if let (Some(full), Some(last)) = (full, path.last())
            && modules.contains_key(&full)
        {
            imported.insert(last, full);
        }
    }
    let full = paths
        .iter()
        .filter_map(|path| absolute(path, own, &imported));
    full.chain(declarations)
        .filter_map(|path| {
            (0..=path.len())
                .rev()
                .find_map(|end| modules.get(&path[..end]))
        })
        .map(|file| (*file).to_owned())
        .collect()
}

/// The names in `mod name;`.
fn declared(code: &str) -> Vec<&str> {
    let lines = code.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (before, name) = line.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    });
    lines.collect()
}

/// The path from the crate's root; `None` for what is of no module here.
fn absolute(path: &Path, own: &Path, imported: &BTreeMap<&str, Path>) -> Option<Path> {
    let (mut base, mut rest) = match path.first()?.as_str() {
        "crate" => (Path::new(), &path[1..]),
        "self" => (own.clone(), &path[1..]),
        "super" => (own.clone(), &path[..]),
        name => (imported.get(name)?.clone(), &path[1..]),
    };
    while let Some(("super", after)) = rest
        .split_first()
        .map(|(first, after)| (first.as_str(), after))
    {
        base.pop();
        rest = after;
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// Every path in the code, groups written out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        at = path_at(&tokens, at, &Path::new(), &mut found).max(at + 1);
    }
    found
}

/// Reads the path that begins at a token, and returns where it ends.
fn path_at(tokens: &[&str], mut at: usize, prefix: &Path, found: &mut Vec<Path>) -> usize {
    let is_name = |at: usize| tokens.get(at).is_some_and(|t| t.starts_with(is_word));
    let (start, mut path) = (at, prefix.clone());
    while is_name(at) {
        if tokens[at] != "self" || path.is_empty() {
            path.push(tokens[at].to_owned());
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
        if tokens.get(at) == Some(&"{") {
            at += 1;
            while at < tokens.len() && tokens[at] != "}" {
                at = path_at(tokens, at, &path, found).max(at + 1);
            }
            return at + 1;
        }
    }
    if at > start {
        found.push(path);
    }
    // Another name for it is no path.
    if tokens.get(at) == Some(&"as") {
        at + 2
    } else {
        at
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, `::`, braces and commas; the rest only separates.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() {
            found.push(token);
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files: Vec<_> = files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect();
        circles(&arrows(&files))
    }

    #[test]
    fn circles_are_found_however_a_file_is_named() {
        for (a, b) in [
            ("use crate::b::B;", "use crate::a::A;"),
            ("use crate::{b::{self, C}};", "fn f() { crate::a::f() }"),
            ("use super::b::{B};", "use crate::a;"),
            (
                "use crate::b; fn f() { b::f() }",
                "use crate::{\n    a::{\n A, x::{D}, },\n};",
            ),
        ] {
            let found = circles_of(&[("a.rs", a), ("b.rs", b), ("lib.rs", "mod a;\nmod b;")]);
            assert_eq!(found, [["a.rs", "b.rs"]], "{a} {b}");
        }
    }

    #[test]
    fn a_circle_through_a_declaration_is_one() {
        let room = ("cmd/mod.rs", "pub(crate) mod man;");
        let found = circles_of(&[
            ("cli.rs", "use crate::cmd;\nfn f() { cmd::run() }"),
            room,
            ("cmd/man.rs", "use crate::cli::Args;"),
        ]);
        assert_eq!(found, [["cli.rs", "cmd/man.rs", "cmd/mod.rs"]]);
        assert_eq!(
            circles_of(&[room, ("cmd/man.rs", "use super::X;")]).len(),
            1
        );
    }

    #[test]
    fn siblings_comments_and_tests_are_no_circle() {
        let found = circles_of(&[
            ("main.rs", "mod a;\nmod b;\nmod e;"),
            (
                "a/mod.rs",
                "mod c;\nmod d;\npub(crate) use self::{c::C, d::D};",
            ),
            ("a/c.rs", "use super::d::D; // not crate::a::C"),
            (
                "a/d.rs",
                "fn d() {}\n#[cfg(test)]\nmod tests { use crate::a::c::C; }",
            ),
            ("b.rs", "use crate::a::C;\nfn f() { std::mem::take(a) }"),
            ("e/mod.rs", "mod f;\nmod g;"),
            ("e/f.rs", "use crate::e::{g as other};"),
            ("e/g.rs", ""),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
