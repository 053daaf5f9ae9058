//! The page for those who come from google-auth has a heading for each public name of its Compute
//! Engine code, as google-auth itself lists them.

mod foreign;

use std::collections::HashSet;

use gce_auth_conformance::interop;

const PAGE: &str = include_str!("../../gce-auth/src/docs/from_google_auth.md");

/// The headings of the page; what looks like one in an example is none.
fn headings() -> impl Iterator<Item = &'static str> {
    let mut inside = false;
    PAGE.lines().filter(move |line| {
        inside ^= line.starts_with("```");
        !inside && line.starts_with('#')
    })
}

/// The words of the headings in the part of the page whose own heading begins with `part`.
fn named(part: &str) -> HashSet<&'static str> {
    let from = headings().skip_while(|line| !line.starts_with(part));
    let inside = from.skip(1).take_while(|line| line.starts_with("##"));
    let words: HashSet<&str> = inside
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    assert!(words.len() > 10, "{part} is not a part of the page");
    words
}

#[test]
fn each_name_of_google_auth_has_a_heading() {
    let Some(program) = interop::ready_or_skip(interop::python(foreign::target(), "names.py"))
    else {
        return;
    };
    let emulator = foreign::emulator().start().expect("an emulator");
    let seen = foreign::run(&program, &emulator, &[]);
    let step = seen.step("names");
    for (list, part) in [
        ("Credentials", "# `compute_engine.Credentials`"),
        (
            "IDTokenCredentials",
            "# `compute_engine.IDTokenCredentials`",
        ),
        ("_metadata", "# `compute_engine._metadata`"),
    ] {
        let headings = named(part);
        let names = step[list].as_array().expect("names");
        assert!(names.len() >= 10, "{names:?}");
        for name in names {
            let name = name.as_str().expect("a name");
            assert!(headings.contains(name), "{part} says nothing of {name}");
        }
    }
    let headings: HashSet<&str> = headings()
        .flat_map(|line| line.split(['`', '.', '(']))
        .collect();
    for name in step["package"].as_array().expect("names") {
        assert!(headings.contains(name.as_str().expect("a name")), "{name}");
    }
}
