//! Which credential helpers are installed, and whether they answer.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::{
    cmd::doctor::{
        report::Finding,
        trial::{self, Trial},
    },
    install::{file::ConfigFile, places, tool::Tool},
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
    let files = places::files(name, var);
    let mut named = files.iter().filter_map(|file| {
        let read = ConfigFile::read(file).ok()?;
        let named = tool.program_in(read.text().ok()??)?;
        Some((file, named))
    });
    let advice = format!("run `gce-auth helper install {name}` again");
    let (program, place) = match (named.next(), tool.link()) {
        (Some((file, named)), _) => {
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
    Some(match Trial::of(tool, program).run(trial::LIMIT) {
        Ok(()) => Finding::good(format!("{place}; {} answers", program.display())),
        Err(why) => Finding::warning(
            format!("{place}; {} does not answer: {why}", program.display()),
            advice,
        ),
    })
}
