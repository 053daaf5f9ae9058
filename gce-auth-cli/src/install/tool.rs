//! The tools whose configuration names a helper, and what is edited for each.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    exit::Failure,
    helper::hosts::{self, BUILD, GIT, Hosts, Place, REGISTRIES},
    install::{
        block, cargo, docker,
        edit::{Edit, refused},
        goauth, kubectl,
        marked::marked,
    },
    text::shell_word,
};

/// A tool that runs a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// Docker: `credHelpers` in config.json
    Docker,
    /// Git: `credential.helper` of Google's servers
    Git,
    /// Cargo: `credential-provider` of the registries of --registries
    Cargo,
    /// kubectl: users that run gke-gcloud-auth-plugin run this
    Kubectl,
    /// pip, uv and pixi: the executable keyring
    Keyring,
    /// The kubelet: the executable gce-auth-kubelet
    Kubelet,
    /// Go: GOAUTH
    Goauth,
    /// Bazel: --`credential_helper` in .bazelrc
    Bazel,
}

/// The servers of Git without `--registries`. A `*` of Git is one label.
const GIT_SERVERS: [&str; 4] = [
    "source.developers.google.com",
    "googlesource.com",
    "*.googlesource.com",
    "*.*.sourcemanager.dev",
];

const BAZEL_LINK: &str = "bazel-credential-gce-auth";

impl Tool {
    /// Returns the name of the tool's helper.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Git => "git",
            Self::Cargo => "cargo",
            Self::Kubectl => "kubectl",
            Self::Keyring => "keyring",
            Self::Kubelet => "kubelet",
            Self::Goauth => "goauth",
            Self::Bazel => "bazel",
        }
    }

    /// Returns the name that the tool runs, where it passes no arguments.
    pub(crate) fn link(self) -> Option<&'static str> {
        match self {
            Self::Docker => Some("docker-credential-gce-auth"),
            Self::Kubectl => Some("gce-auth-kubectl"),
            Self::Kubelet => Some("gce-auth-kubelet"),
            Self::Bazel => Some(BAZEL_LINK),
            Self::Keyring => Some("keyring"),
            Self::Git | Self::Cargo | Self::Goauth => None,
        }
    }

    /// Names the helper in the text of the tool's configuration. `program` is its link, or else
    /// this executable.
    pub(crate) fn install(
        self,
        text: Option<&str>,
        registries: &[String],
        hosts: &Hosts,
        program: &Path,
    ) -> Result<Edit, Failure> {
        // What has no room for a comment, or loses it, is known again by the path.
        let marked = match self {
            Self::Kubectl | Self::Goauth => marked(program),
            _ => program.to_owned(),
        };
        let path = marked
            .to_str()
            .ok_or_else(|| refused(format!("{} is no text", program.display())))?;
        let named = |google: &[&str], default: &[&str]| {
            let default = default.iter().map(|host| (*host).to_owned());
            match registries.is_empty() {
                true => Ok(default.collect()),
                false => registries
                    .iter()
                    .map(|text| host(text, google, hosts))
                    .collect::<Result<Vec<_>, _>>(),
            }
        };
        match self {
            Self::Docker => docker::install(text, &named(REGISTRIES, &docker::DEFAULT)?),
            Self::Git => {
                let servers = named(GIT, &GIT_SERVERS)?;
                block::put(text, "git", '#', &git_lines(&servers, path))
            }
            Self::Bazel => {
                let lines = bazel_lines(&named(BUILD, BUILD)?, path)?;
                block::put(text, "bazel", '#', &lines)
            }
            Self::Cargo if registries.is_empty() => Err(refused(
                "name the registries of Cargo's configuration with --registries",
            )),
            Self::Cargo => cargo::install(text, registries, path),
            Self::Kubectl => kubectl::install(text, path),
            Self::Goauth => goauth::install(text, path),
            Self::Keyring | Self::Kubelet => Ok(Edit::none()),
        }
    }

    /// Removes the helper from the text of the tool's configuration.
    pub(crate) fn undo(self, text: &str, program: &Path) -> Result<Edit, Failure> {
        match self {
            Self::Docker => docker::undo(text),
            Self::Git => block::take(text, "git", '#'),
            Self::Bazel => block::take(text, "bazel", '#'),
            Self::Cargo => Ok(cargo::undo(text)),
            Self::Kubectl => Ok(kubectl::undo(text)),
            Self::Goauth => Ok(goauth::undo(text, &program.to_string_lossy())),
            Self::Keyring | Self::Kubelet => Ok(Edit::none()),
        }
    }

    /// Returns the program that the configuration names, by its path or, for Docker, its name.
    pub(crate) fn program_in(self, text: &str) -> Option<String> {
        let program = match self {
            Self::Docker if docker::installed(text).is_empty() => return None,
            Self::Docker => self.link(),
            Self::Cargo => cargo::program_in(text),
            Self::Kubectl => kubectl::program_in(text),
            Self::Goauth => goauth::program_in(text),
            Self::Git => {
                let quoted = text.split_once(" helper git\"\n")?.0.rsplit('"').next()?;
                Some(quoted.trim_start_matches('!').trim_matches('\''))
            }
            Self::Bazel => {
                let line = text.lines().find(|line| line.ends_with(BAZEL_LINK))?;
                line.rsplit('=').next()
            }
            Self::Keyring | Self::Kubelet => None,
        };
        program.map(str::to_owned)
    }
}

/// Reads a host of `--registries`.
fn host(text: &str, google: &[&str], hosts: &Hosts) -> Result<String, Failure> {
    let place = Place::of_host(text)
        .filter(|place| place.path().trim_matches('/').is_empty() && hosts.cover(google, place));
    let place = place.ok_or_else(|| {
        refused(format!(
            "{:?} is not one of Google's hosts for this tool; add it with --allow-host, and to \
             GCE_AUTH_HELPER_FLAGS, if it takes Google's tokens",
            hosts::shown(text)
        ))
    })?;
    Ok(place.authority())
}

fn git_lines(servers: &[String], program: &str) -> String {
    let word = shell_word(program);
    // Git runs an absolute path as it is, and everything else after `!` by the shell.
    let mark = if word == program { "" } else { "!" };
    let command = format!("{mark}{word} helper git");
    let command = command.replace('\\', "\\\\").replace('"', "\\\"");
    servers
        .iter()
        .map(|server| format!("[credential \"https://{server}\"]\n\thelper = \"{command}\"\n"))
        .collect()
}

fn bazel_lines(hosts: &[String], program: &str) -> Result<String, Failure> {
    if program.contains(char::is_whitespace) || program.contains(['\'', '"', '\\', '#']) {
        let why = format!("{program} has spaces or quotes; name another directory with --bin-dir");
        return Err(refused(why));
    }
    let lines = hosts
        .iter()
        .map(|host| format!("common --credential_helper={host}={program}\n"));
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{helper::hosts::Pattern, install::edit::After};

    fn install(tool: Tool, registries: &[&str], program: &str) -> Result<Edit, Failure> {
        let registries: Vec<_> = registries.iter().map(|name| (*name).to_owned()).collect();
        let hosts = Hosts(vec![Pattern::parse("git.example").unwrap()]);
        tool.install(None, &registries, &hosts, Path::new(program))
    }

    fn text(edit: Edit) -> String {
        match edit.after {
            After::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn git_runs_this_executable_for_googles_servers() {
        let made = text(install(Tool::Git, &[], "/usr/bin/gce-auth").unwrap());
        let server = "[credential \"https://source.developers.google.com\"]\n\
                      \thelper = \"/usr/bin/gce-auth helper git\"\n";
        assert!(made.contains(server), "{made}");
        assert_eq!(
            Tool::Git.program_in(&made).as_deref(),
            Some("/usr/bin/gce-auth")
        );
        let made = text(install(Tool::Git, &["git.example"], "/a b/gce-auth").unwrap());
        assert!(
            made.contains("\thelper = \"!'/a b/gce-auth' helper git\"\n"),
            "{made}"
        );
    }

    #[test]
    fn other_hosts_are_refused() {
        for (tool, registry) in [
            (Tool::Docker, "docker.io"),
            (Tool::Docker, "gcr.io/project"),
            (Tool::Docker, "http://gcr.io"),
            (Tool::Git, "github.com"),
            (Tool::Bazel, "evil.example"),
        ] {
            assert!(install(tool, &[registry], "/p").is_err(), "{registry}");
        }
        assert!(install(Tool::Cargo, &[], "/p").is_err());
        let refused = install(Tool::Docker, &["https://me:ya29.x@gcr.io"], "/p").unwrap_err();
        assert!(!refused.to_string().contains("ya29"), "{refused}");
        assert!(install(Tool::Bazel, &[], "/a b/p").is_err());
    }
}
