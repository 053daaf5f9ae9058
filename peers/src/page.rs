//! Where what was measured is written down: between two marks, which a page
//! has for each section, and for the table of all.

use std::{fs, path::Path, process::Command};

use crate::{
    contestant::{Failure, Library},
    report::summary,
    sections,
};

/// Of whom the short table speaks.
const SHORT: [Library; 5] = [
    Library::GceAuth,
    Library::Floor,
    Library::GoogleCloudAuth,
    Library::GcpAuth,
    Library::ObjectStore,
];

/// The rows of all sections that were measured, in their order.
fn rows(results: &Path) -> Result<String, Failure> {
    let mut lines = String::new();
    for (name, _) in sections::ALL {
        match fs::read_to_string(results.join(format!("{name}.rows"))) {
            Ok(rows) => lines.push_str(&rows),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(lines)
}

/// The table of all, of what was measured last.
///
/// # Errors
/// If it can't be read.
pub fn all(results: &Path) -> Result<String, Failure> {
    Ok(summary(&rows(results)?, &Library::ALL, true))
}

/// What this was measured on.
fn machine() -> Result<String, Failure> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .and_then(|rest| rest.split_once(": "))
        .map_or("a processor", |pair| pair.1);
    let cores = std::thread::available_parallelism()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let rustc = Command::new("rustc").arg("--version").output()?;
    let rustc = String::from_utf8(rustc.stdout)?;
    Ok(format!(
        "Measured on {cores} cores of {model}, Linux {}, {}.\n",
        release.trim(),
        rustc.trim()
    ))
}

/// Puts `text` between the marks of this name.
fn put(page: &str, name: &str, text: &str) -> Result<String, Failure> {
    let (begin, end) = (
        format!("<!-- begin: {name} -->\n"),
        format!("<!-- end: {name} -->"),
    );
    let inside = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = inside.ok_or_else(|| format!("no marks for {name}"))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

/// Writes down what was measured last. Of what was not, the page keeps what it
/// has.
///
/// # Errors
/// If a page has no place for a section.
pub fn write(results: &Path, page: &Path, short: &Path) -> Result<(), Failure> {
    let mut text = fs::read_to_string(page)?;
    for (name, _) in sections::ALL {
        match fs::read_to_string(results.join(format!("{name}.md"))) {
            Ok(section) => text = put(&text, name, &section)?,
            Err(_) => eprintln!("{name} was never measured"),
        }
    }
    text = put(&text, "machine", &machine()?)?;
    text = put(&text, "all", &all(results)?)?;
    let readme = fs::read_to_string(short)?;
    let readme = put(&readme, "peers", &summary(&rows(results)?, &SHORT, false))?;
    fs::write(page, text)?;
    fs::write(short, readme)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced() {
        let page = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n";
        let new = put(page, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- begin: x -->\n\nnew\n\n<!-- end: x -->\nb\n");
        assert_eq!(put(&new, "x", "new").unwrap(), new);
        assert!(put(page, "y", "new").is_err());
    }
}
