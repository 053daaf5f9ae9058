//! The command: arguments on top, options below, output at the bottom.

use crate::circles::{arrows, circles};

/// Rooms from the ground up; a file imports from its own floor or from lower ones.
const FLOORS: [&[&str]; 7] = [
    &["env", "exit", "sdk_environment", "signals", "text"],
    &["clock", "output"],
    &["deadline", "input", "temporary"],
    &["real_tokens"],
    &["options"],
    &["cmd"],
    &["cli", "main"],
];

fn floor(file: &str) -> Option<usize> {
    let room = file.split(['/', '.']).next()?;
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn complaints(files: &[(String, String)]) -> Vec<String> {
    let arrows = arrows(files);
    let mut found: Vec<String> = files
        .iter()
        .filter(|(file, _)| floor(file).is_none())
        .map(|(file, _)| format!("{file} is on no floor"))
        .collect();
    for (file, named) in &arrows {
        // The root declares all rooms, so it is above them.
        for other in named.iter().filter(|other| floor(other) > floor(file)) {
            found.push(format!("{file} reaches up into {other}"));
        }
    }
    let circles = circles(&arrows);
    found.extend(
        circles
            .iter()
            .map(|circle| format!("a circle: {}", circle.join(", "))),
    );
    for (file, text) in files {
        for (macros, home) in [("println!", "output.rs"), ("std::env::var", "env.rs")] {
            if text.contains(macros) && file != home {
                found.push(format!("{file} has {macros}, which belongs to {home}"));
            }
        }
    }
    found
}

#[test]
fn no_file_of_the_command_reaches_up_or_in_a_circle() {
    let files = crate::files_of("gce-auth-cli");
    assert!(files.len() > 40, "the walk found the source");
    let found = complaints(&files);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_judge_of_the_command_sees_what_it_is_for() {
    let judged = |file: &str, text: &str| {
        let mut files = crate::files_of("gce-auth-cli");
        files.retain(|(name, _)| name != file);
        files.push((file.to_owned(), text.to_owned()));
        complaints(&files).join("\n")
    };
    for (file, text, complaint) in [
        (
            "output.rs",
            "use crate::options::Verbosity;",
            "output.rs reaches up into options/mod.rs",
        ),
        (
            "options/client.rs",
            "use crate::cmd::token;",
            "reaches up into cmd/token.rs",
        ),
        (
            "cmd/man.rs",
            "use crate::cli::Args;",
            "a circle: cli.rs, cmd/man.rs, cmd/mod.rs",
        ),
        (
            "options/seconds.rs",
            "use crate::options::client::X;",
            "a circle: options/client.rs",
        ),
        ("attic.rs", "", "attic.rs is on no floor"),
        (
            "cmd/get.rs",
            "fn f() { println!(); }",
            "belongs to output.rs",
        ),
    ] {
        let found = judged(file, text);
        assert!(found.contains(complaint), "{file}: {found}");
    }
}
