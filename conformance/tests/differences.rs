//! The differences from google-auth: well-formed where a judge reads them, and the same where
//! people read them. `GCE_AUTH_DIFFERENCES=write` writes what people read.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The rules that a difference may be justified by, as readers are told them.
const RULES: [&str; 10] = [
    "Typed failures.",
    "A valid token is kept.",
    "A failing side lookup never fails a request.",
    "The account that was named is the account that is used.",
    "502 is as transient as 503; one metric per request; errors carry `retryable`.",
    "Header names have no case.",
    "Nothing leaves the metadata server.",
    "An ID token for another audience is refused.",
    "Environment values that make no sense.",
    "A copy is the same credential.",
];

/// A difference, from either list.
struct Difference {
    id: String,
    rule: usize,
    reason: String,
    /// The recorded program that shows it, or a pattern; `None` where it is foretold in any.
    scenario: Option<String>,
    /// Whether it is bound to what one side does, exactly.
    exact: bool,
}

fn list(text: &str, name: &str) -> Vec<Difference> {
    let document: Value = serde_json::from_str(text).unwrap();
    let entries = document[name].as_array().unwrap();
    let read = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Difference {
            id: text("id"),
            rule: entry["rule"].as_u64().unwrap().try_into().unwrap(),
            reason: text("reason"),
            scenario: entry["scenario"].as_str().map(str::to_owned),
            exact: entry.get("truth").is_some() || entry.get("candidate").is_some(),
        }
    };
    entries.iter().map(read).collect()
}

fn allowed() -> Vec<Difference> {
    list(include_str!("../allow.json"), "allow")
}

fn foretold() -> Vec<Difference> {
    list(include_str!("../rules.json"), "rules")
}

/// Reasons, and where each shows.
type Reasons = Vec<(String, Vec<String>)>;

/// What differs under each rule that something differs under.
fn by_rule() -> Vec<(&'static str, Reasons)> {
    let all: Vec<Difference> = allowed().into_iter().chain(foretold()).collect();
    let mut rules = Vec::new();
    for (index, rule) in RULES.into_iter().enumerate() {
        let mut reasons = Reasons::new();
        for difference in all.iter().filter(|one| one.rule == index + 1) {
            let place = match difference.scenario.as_deref() {
                Some("*") => "everywhere".to_owned(),
                Some(scenario) => format!("`{scenario}`"),
                None => "any program".to_owned(),
            };
            match reasons
                .iter_mut()
                .find(|(reason, _)| *reason == difference.reason)
            {
                Some((_, places)) => places.push(place),
                None => reasons.push((difference.reason.clone(), vec![place])),
            }
        }
        if !reasons.is_empty() {
            rules.push((rule, reasons));
        }
    }
    rules
}

/// A reason as a sentence in a list.
fn sentence(reason: &str) -> String {
    let mut chars = reason.strip_suffix('.').unwrap().chars();
    // What begins with a name keeps its spelling.
    let first = chars.next().unwrap();
    let rest = chars.as_str();
    if rest.starts_with("oogle-auth") {
        format!("{first}{rest}")
    } else {
        format!("{}{rest}", first.to_uppercase())
    }
}

/// The list for this crate's README, with the places.
fn with_places() -> String {
    let mut text = String::new();
    for (rule, reasons) in by_rule() {
        text += &format!("\n**{rule}**\n\n");
        for (reason, places) in reasons {
            text += &format!("- {} ({})\n", sentence(&reason), places.join(", "));
        }
    }
    text
}

/// The list for the library's documentation.
fn without_places() -> String {
    let mut text = String::new();
    for (rule, reasons) in by_rule() {
        text += &format!("\n- **{rule}**\n");
        for (reason, _) in reasons {
            text += &format!("  - {}.\n", sentence(&reason));
        }
    }
    text
}

/// Compares the part of `file` between two marks with `wanted`, or writes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the one variable of this test, read to write files"
)]
fn check(file: &Path, wanted: &str) {
    const BEGIN: &str = "<!-- differences: written by tests/differences.rs -->\n";
    const END: &str = "\n<!-- end of differences -->";
    let text = fs::read_to_string(file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark of the list");
    let (found, after) = rest.split_once(END).expect("the mark of its end");
    if std::env::var_os("GCE_AUTH_DIFFERENCES").is_some_and(|value| value == "write") {
        fs::write(file, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        found,
        wanted,
        "{} says something else than allow.json and rules.json; GCE_AUTH_DIFFERENCES=write writes it",
        file.display()
    );
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_difference_names_its_rule_and_its_reason() {
    let mut ids = HashSet::new();
    for one in allowed() {
        assert!((1..=RULES.len()).contains(&one.rule), "{}", one.id);
        assert!(
            one.reason.len() > 20 && one.reason.ends_with('.'),
            "{}",
            one.id
        );
        assert!(ids.insert(one.id.clone()), "{} is there twice", one.id);
        let scenario = one.scenario.expect("a scenario, or a pattern");
        let wide = scenario.contains(['*', '?', '[']);
        assert!(
            !wide || one.exact,
            "{} is for many programs, and for anything in them",
            one.id
        );
    }
    let mut ids = HashSet::new();
    for one in foretold() {
        assert!((1..=RULES.len()).contains(&one.rule), "{}", one.id);
        assert!(
            one.reason.len() > 20 && one.reason.ends_with('.'),
            "{}",
            one.id
        );
        assert!(ids.insert(one.id.clone()), "{} is there twice", one.id);
    }
}

#[test]
fn the_readme_tells_each_difference_and_where_it_shows() {
    check(&workspace().join("conformance/README.md"), &with_places());
}

#[test]
fn the_documentation_tells_each_difference() {
    let page = workspace().join("gce-auth/src/docs/from_google_auth.md");
    check(&page, &without_places());
}
