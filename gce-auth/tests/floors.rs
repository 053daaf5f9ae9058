//! The library is built in floors: a file imports only from lower floors or from
//! its own room. Rooms on the same floor do not know each other.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

#[path = "floors/circles.rs"]
mod circles;
#[path = "floors/command.rs"]
mod command;
#[path = "floors/house.rs"]
mod house;
#[path = "floors/server_side.rs"]
mod server_side;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rooms from the ground up; the two of the fifth floor are numbered alike.
const ROOMS: [(&str, u8); 17] = [
    ("values", 1),
    ("wire", 2),
    ("io", 3),
    ("task", 4),
    ("client", 5),
    ("refresh", 5),
    ("provide", 6),
    ("metadata", 7),
    ("tokens", 8),
    ("google_auth", 9),
    ("signer", 10),
    ("verifier", 11),
    ("middleware", 12),
    ("adc", 13),
    ("docs", 14),
    ("fuzzing", 14),
    ("world", 14),
];

/// What must not be named where: the whole crate but the listed files.
const NAMED_ONLY_IN: [(&str, &[&str]); 10] = [
    ("httparse", &["wire/http1.rs"]),
    ("rustls", &["io/tls.rs", "io/crypto.rs"]),
    ("aws_lc_rs", &["io/crypto.rs"]),
    ("tracing", &["io/events.rs"]),
    ("std::env", &["io/env.rs"]),
    (
        "std::net",
        &[
            "io/http/connection.rs",
            "io/http/dial.rs",
            "io/http/mod.rs",
            "io/lookup.rs",
            "values/endpoint.rs",
        ],
    ),
    (
        "std::thread",
        &["io/spawn.rs", "io/clock.rs", "io/process.rs"],
    ),
    ("rustix", &["io/clock.rs", "io/files.rs", "io/process.rs"]),
    ("windows_registry", &["io/firmware.rs"]),
    (
        "loom",
        &[
            "task/sync.rs",
            "task/shared_task/model.rs",
            "refresh/refreshes/model.rs",
        ],
    ),
];

fn source(krate: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace.join(krate).join("src")
}

/// Every source file of the library, by its path below `src`.
fn files() -> Vec<(String, String)> {
    files_of("gce-auth")
}

/// Every source file of a crate of the workspace, by its path below `src`.
fn files_of(krate: &str) -> Vec<(String, String)> {
    let root = source(krate);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                found.push((name.replace('\\', "/"), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn floor(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, floor)| *floor)
}

/// The rooms that a file's code reaches into, tests at its end left out.
fn reaches(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.split("#[cfg(all(test").next().unwrap_or_default();
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            rooms.extend(first_names_of_group(group));
        } else {
            rooms.push(first_name(rest));
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn first_name(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first names at the top level of `a::b, c::{d, e}}`.
fn first_names_of_group(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0u32, 0usize);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(first_name(&text[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(first_name(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// What is wrong with one file; the judge, so that it can be judged itself.
fn complaints(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_test = file.contains("tests") || file.ends_with("model.rs");
    if file != "lib.rs" && !is_test {
        let room = file.split(['/', '.']).next().unwrap_or_default();
        match floor(room) {
            None => found.push(format!("{file}: {room} is on no floor")),
            Some(own) => {
                for other in reaches(text) {
                    match floor(&other) {
                        Some(its) if its > own || (its == own && other != room) => {
                            found.push(format!("{file} reaches up into {other}"));
                        }
                        // A name of the crate's root is one of the top floor's.
                        None if file != "lib.rs" => {
                            found.push(format!("{file} takes {other} from the root of the crate"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    if !is_test {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.split("#[cfg(all(test").next().unwrap_or_default();
        for line in code.lines() {
            let line = line.split("//").next().unwrap_or_default();
            for (name, homes) in NAMED_ONLY_IN {
                let named =
                    line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"));
                if named && !homes.contains(&file) {
                    found.push(format!("{file} names {name}, which belongs to {homes:?}"));
                }
            }
        }
    }
    found
}

#[test]
fn no_file_reaches_up() {
    let files = files();
    assert!(files.len() > 25, "the walk found the source");
    let found: Vec<String> = files
        .iter()
        .flat_map(|(file, text)| complaints(file, text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Rooms whose files may name each other in a circle.
const CIRCLES_IN: [&str; 3] = ["adc/", "tokens/", "wire/credentials_file/"];

/// Circles among `files`, but for those inside of a room that may have them.
fn circles_outside_of_rooms(files: &[(String, String)]) -> Vec<Vec<String>> {
    let mut found = circles::circles(&circles::arrows(files));
    let inside = |room: &str, circle: &[String]| circle.iter().all(|it| it.starts_with(room));
    found.retain(|circle| !CIRCLES_IN.iter().any(|room| inside(room, circle)));
    found
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let mut files = files();
    let found = circles_outside_of_rooms(&files);
    assert!(found.is_empty(), "{found:#?}");
    files.retain(|(file, _)| file != "io/random.rs");
    files.push((
        "io/random.rs".to_owned(),
        "use crate::io::clock::Clock;".to_owned(),
    ));
    let found = circles_outside_of_rooms(&files);
    assert_eq!(found, [["io/clock.rs", "io/random.rs"]]);
}

#[test]
fn the_judge_sees_what_it_is_for() {
    for (file, text, what) in [
        (
            "values/token.rs",
            "use crate::wire::retry;",
            "reaches up into wire",
        ),
        (
            "wire/retry.rs",
            "use crate::{\n    io::clock,\n    values::{a, b},\n};",
            "into io",
        ),
        (
            "refresh/mod.rs",
            "fn f() { crate::client::call::call() }",
            "into client",
        ),
        (
            "io/clock.rs",
            "use crate::{values::x, tokens::{y}};",
            "into tokens",
        ),
        ("wire/x.rs", "use crate::Error;", "from the root"),
        ("attic/x.rs", "", "on no floor"),
        ("wire/x.rs", "use std::net::TcpStream;", "names std::net"),
        ("client/x.rs", "use crate::refresh::slot;", "into refresh"),
        ("client/x.rs", "use httparse::Request;", "names httparse"),
    ] {
        let found = complaints(file, text);
        assert!(
            found.iter().any(|line| line.contains(what)),
            "{file}: {found:?}"
        );
    }
    for (file, text) in [
        (
            "io/clock.rs",
            "use crate::values::x; // not crate::client::y",
        ),
        (
            "tokens/mod.rs",
            "use crate::{client::a, refresh::b, values::{c}};",
        ),
        (
            "wire/x.rs",
            "use crate::values::a;\n#[cfg(test)]\nmod t { use crate::io::b; }",
        ),
    ] {
        assert!(complaints(file, text).is_empty(), "{file}");
    }
}

#[test]
fn files_hold_one_idea_each() {
    for (file, text) in files() {
        let lines = text.lines().count();
        assert!(lines <= 480, "{file} has {lines} lines");
    }
}
