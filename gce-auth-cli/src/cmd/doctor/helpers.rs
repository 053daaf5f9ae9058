//! Which credential helpers are installed, and whether they answer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::ValueEnum;

use crate::{
    cmd::doctor::report::Finding,
    install::{places, tool::Tool},
    next_program::on_path,
};

/// Returns a step for each helper that a tool's configuration names, or that is on PATH.
pub(crate) fn steps(var: impl Fn(&str) -> Option<String>, program: &Path) -> Vec<Finding> {
    let steps: Vec<_> = Tool::value_variants()
        .iter()
        .filter_map(|tool| step(*tool, &var, program))
        .collect();
    if steps.is_empty() {
        return vec![Finding::good("none is installed")];
    }
    steps
}

fn step(tool: Tool, var: impl Fn(&str) -> Option<String>, own: &Path) -> Option<Finding> {
    let name = tool.name();
    let file = places::file(name, var);
    let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
    let named = text.and_then(|text| tool.program_in(&text));
    let advice = format!("run `gce-auth helper install {name}` again");
    let (program, place) = match (named, tool.link()) {
        (Some(named), _) => {
            let file = file.unwrap_or_default();
            let place = format!("{name}: named in {}", file.display());
            let found = match Path::new(&named).is_absolute() {
                true => Some(named.clone().into()).filter(|path: &PathBuf| path.exists()),
                false => on_path(&named).next(),
            };
            let Some(found) = found else {
                let found = format!("{place}, but {named} is not there");
                return Some(Finding::warning(found, advice));
            };
            (found, place)
        }
        // Another program may have the same name.
        (None, Some(link)) => {
            let own = own.canonicalize().ok();
            let ours = on_path(link).next();
            let ours = ours.filter(|path| path.canonicalize().ok() == own)?;
            (ours, format!("{name}: on PATH"))
        }
        (None, None) => return None,
    };
    let program = program.as_path();
    Some(match answers(tool, program) {
        true => Finding::good(format!("{place}; {} answers", program.display())),
        false => Finding::warning(
            format!("{place}; {} does not run", program.display()),
            advice,
        ),
    })
}

/// Runs the helper without asking for a token.
fn answers(tool: Tool, program: &Path) -> bool {
    let arguments: &[&str] = match tool {
        Tool::Docker => &["version"],
        // What it is not asked for it would pass on.
        Tool::Keyring => return true,
        Tool::Kubectl | Tool::Kubelet | Tool::Bazel => &["--help"],
        Tool::Git => &["helper", "git", "store"],
        Tool::Cargo => &["helper", "cargo"],
        Tool::Goauth => &["helper", "goauth", "--help"],
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
