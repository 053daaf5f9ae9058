//! `gce-auth helper install`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    env,
    exit::{Exit, Failure},
    helper::hosts::{Hosts, Pattern},
    install::{
        edit::{After, Edit, refused},
        file::{ConfigFile, Mode},
        link::{Found, Link},
        places,
        tool::Tool,
    },
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gce-auth helper install docker --dry-run
  gce-auth helper install docker --registries us-docker.pkg.dev,gcr.io
  gce-auth helper install kubectl
  gce-auth helper install docker --undo

Prints what changes, lines with + and -. Other entries, comments and the mode of the file stay; after
--undo the file is byte for byte what it was. Docker, kubectl, the kubelet, Bazel and keyring run the
helper by a name of its own: a link, made beside this executable or in --bin-dir.";

/// Edits a tool's configuration so that it runs its helper.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Install {
    /// The tool
    #[arg(value_enum)]
    tool: Tool,
    /// The registries or servers, separated by commas. Default: Google's; for Cargo the names in
    /// its configuration
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    registries: Vec<String>,
    /// Accept this host in --registries, too. May be repeated
    #[arg(long, value_name = "HOST", value_parser = Pattern::parse)]
    allow_host: Vec<Pattern>,
    /// The configuration file. Default: the tool's own
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The directory for the name that the tool runs. Default: that of this executable
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what was installed
    #[arg(long, conflicts_with_all = ["registries", "allow_host"])]
    undo: bool,
}

impl Install {
    pub(crate) fn run(&self, out: &Output) -> Result<ExitCode, Failure> {
        let program = env::program().map_err(|error| {
            let why = format!("cannot find this executable: {error}");
            Failure::new(Exit::Failed, why)
        })?;
        if let Some(why) = places::turned_off(self.tool.name(), env::var)
            && self.file.is_none()
        {
            return Err(refused(format!("{why}; name the file with --file")));
        }
        let paths = match &self.file {
            Some(file) => vec![file.clone()],
            None => places::files(self.tool.name(), env::var),
        };
        let concerned: Vec<_> = match paths.len() {
            0 | 1 => paths.iter().collect(),
            _ => paths
                .iter()
                .filter(|path| self.concerns(path, &program))
                .collect(),
        };
        if concerned.is_empty() {
            return self.run_for(paths.first(), &program, out);
        }
        for path in concerned {
            self.run_for(Some(path), &program, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Returns whether this file of several is to be edited.
    fn concerns(&self, path: &Path, program: &Path) -> bool {
        let edit = || {
            let link = self.link(program)?;
            let target = link.as_ref().map_or(program, Link::path);
            self.edit(&ConfigFile::read(path)?, target)
        };
        edit().is_ok_and(|edit: Edit| edit.after != After::Same)
    }

    fn run_for(
        &self,
        path: Option<&PathBuf>,
        program: &Path,
        out: &Output,
    ) -> Result<ExitCode, Failure> {
        let link = self.link(program)?;
        let file = match path {
            Some(path) => Some((ConfigFile::read(path)?, path)),
            None => None,
        };
        if file.is_none() && !matches!(self.tool, Tool::Keyring | Tool::Kubelet) {
            return Err(refused("HOME is not set; name the file with --file"));
        }
        let target = link.as_ref().map_or(program, Link::path);
        let edit = match &file {
            Some((file, path)) => self.edit(file, target).map_err(|failure| {
                let why = format!("{}: {failure}", path.display());
                Failure::new(failure.exit(), why)
            })?,
            None => Edit::none(),
        };
        let changes_link = link.as_ref().is_some_and(|link| match self.undo {
            true => matches!(link.found(), Found::Own | Found::Stale),
            false => !matches!(link.found(), Found::Own | Found::Foreign),
        });
        if let Some(link) = link.as_ref().filter(|_| self.undo)
            && link.found() == Found::Foreign
        {
            let link = link.path().display();
            out.note(format_args!(
                "{link} stays, as it was not made by `install`"
            ));
        }
        if let Some((file, path)) = file.as_ref().filter(|_| self.undo)
            && let Some(named) = self.still_named(file, &edit.after)?
        {
            let path = path.display();
            out.note(format_args!(
                "{path} still names {named}: `install` did not write that, so it stays"
            ));
        }
        if edit.after == After::Same && !changes_link {
            let what = if self.undo {
                "not installed"
            } else {
                "installed"
            };
            out.note(format_args!(
                "{} is {what}; nothing changes",
                self.tool.name()
            ));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some((_, path)) = file.as_ref().filter(|_| edit.after != After::Same) {
            out.value(&path.display().to_string())?;
            edit.changes.iter().try_for_each(|line| out.value(line))?;
        }
        if let Some(link) = link.as_ref().filter(|_| changes_link) {
            let sign = if self.undo { '-' } else { '+' };
            let (link, program) = (link.path().display(), program.display());
            out.value(&format!("{sign} {link} -> {program}"))?;
        }
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        self.carry_out(link.as_ref(), file.as_ref().map(|(file, _)| file), &edit)?;
        if let Some(link) = link.filter(|_| !self.undo) {
            self.warn_of_path(&link, out);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn link(&self, program: &Path) -> Result<Option<Link>, Failure> {
        let Some(name) = self.tool.link() else {
            return Ok(None);
        };
        let folder = match &self.bin_dir {
            // The tool runs elsewhere.
            Some(folder) => std::path::absolute(folder)
                .map_err(|error| refused(format!("cannot find {}: {error}", folder.display())))?,
            None => program.parent().unwrap_or(program).to_owned(),
        };
        Ok(Some(Link::new(&folder, name, program)))
    }

    fn edit(&self, file: &ConfigFile, target: &Path) -> Result<Edit, Failure> {
        let text = file.text()?;
        match (self.undo, text) {
            (true, Some(text)) => self.tool.undo(text, target),
            (true, None) => Ok(Edit::none()),
            (false, text) => {
                let hosts = Hosts(self.allow_host.clone());
                self.tool.install(text, &self.registries, &hosts, target)
            }
        }
    }

    /// Returns the helper that the file names after the edit is undone.
    fn still_named(&self, file: &ConfigFile, after: &After) -> Result<Option<String>, Failure> {
        let text = match after {
            After::Same => file.text()?,
            After::Text(text) => Some(text.as_str()),
            After::Gone => None,
        };
        Ok(text.and_then(|text| self.tool.program_in(text)))
    }

    /// Makes the link before the file names it, and removes it after.
    fn carry_out(
        &self,
        link: Option<&Link>,
        file: Option<&ConfigFile>,
        edit: &Edit,
    ) -> Result<(), Failure> {
        if let Some(link) = link.filter(|_| !self.undo) {
            link.make()?;
        }
        if let Some(file) = file {
            file.replace(&edit.after, Mode::Kept)?;
        }
        match link.filter(|_| self.undo) {
            Some(link) => link.remove(),
            None => Ok(()),
        }
    }

    /// Docker and pip look for a name on PATH.
    fn warn_of_path(&self, link: &Link, out: &Output) {
        if !matches!(self.tool, Tool::Docker | Tool::Keyring) {
            return;
        }
        let path = env::var("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        if let Some(folder) = link.path().parent()
            && !folders.any(|known| known == folder)
        {
            let folder = folder.display();
            out.note(format_args!(
                "{folder} is not on PATH; add it, or use --bin-dir"
            ));
        }
    }
}
