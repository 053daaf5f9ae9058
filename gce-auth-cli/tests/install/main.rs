//! `helper install`: what it writes, and that `--undo` leaves each byte as it was.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod private;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{Ran, closed_port, gce_auth};

/// A home directory, and a directory for links that is on PATH.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("install-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("bin")).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn mode(&self, name: &str) -> u32 {
        let known = fs::metadata(self.path(name)).unwrap();
        known.permissions().mode() & 0o777
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gce_auth(arguments);
        for name in [
            "DOCKER_CONFIG",
            "GIT_CONFIG_GLOBAL",
            "CARGO_HOME",
            "KUBECONFIG",
            "GOENV",
            "XDG_CONFIG_HOME",
            "npm_config_userconfig",
            "NPM_CONFIG_USERCONFIG",
        ] {
            command.env_remove(name);
        }
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env("HOME", &self.0).env("PATH", path);
        command.env("GCE_METADATA_HOST", closed_port().to_string());
        command
    }

    /// Installs with links in the directory of this home.
    fn install(&self, tool: &str, more: &[&str]) -> Ran {
        let bin = self.path("bin");
        let linked = ["--bin-dir", bin.to_str().unwrap()];
        self.run(&[&["helper", "install", tool], &linked[..], more].concat())
    }
}

/// Each tool, its file, what may be in it, and the registries to name.
const TOOLS: [(&str, &str, &str, &[&str]); 6] = [
    (
        "docker",
        ".docker/config.json",
        "{\n  \"auths\": {\"a.example\": {\"auth\": \"c2VjcmV0\"}},\n  \"credHelpers\": {\"b.example\": \"other\"}\n}",
        &[],
    ),
    ("git", ".gitconfig", "[user]\n\tname = x # y", &[]),
    (
        "cargo",
        ".cargo/config.toml",
        "# mine\n[registries.mine]\nindex = \"sparse+https://crates.example/\"\n",
        &["--registries", "mine"],
    ),
    (
        "kubectl",
        ".kube/config",
        "users:\n- name: gke\n  user:\n    exec:\n      command: gke-gcloud-auth-plugin\n      env: null # x\n",
        &[],
    ),
    ("goauth", ".config/go/env", "GOPROXY=direct\n", &[]),
    ("bazel", ".bazelrc", "build --jobs=1", &[]),
];

#[test]
fn install_then_undo_leaves_the_file_as_it_was() {
    let home = Home::new("undo");
    for (tool, file, text, more) in TOOLS {
        home.write(file, text, 0o640);
        let dry = home.install(tool, &[more, &["--dry-run"]].concat());
        assert_eq!(dry.code, Some(0), "{dry:?}");
        assert_eq!(home.read(file).as_deref(), Some(text), "{tool}");
        let said = home.install(tool, more);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.stdout, dry.stdout, "{tool}");
        assert!(said.stdout.contains("\n+ "), "{said:?}");
        assert!(!said.stdout.contains("c2VjcmV0"), "{said:?}");
        let installed = home.read(file).unwrap();
        assert_ne!(installed, text, "{tool}");
        assert_eq!(home.mode(file), 0o640, "{tool}");

        let again = home.install(tool, more);
        assert_eq!(
            (again.code, again.stdout.as_str()),
            (Some(0), ""),
            "{again:?}"
        );
        assert_eq!(home.read(file).unwrap(), installed, "{tool}");

        assert_eq!(home.install(tool, &["--undo"]).code, Some(0), "{tool}");
        assert_eq!(home.read(file).as_deref(), Some(text), "{tool}");
        assert_eq!(home.mode(file), 0o640, "{tool}");
        let again = home.install(tool, &["--undo"]);
        assert_eq!(
            (again.code, again.stdout.as_str()),
            (Some(0), ""),
            "{again:?}"
        );
    }
    let left = fs::read_dir(home.path("bin")).unwrap();
    assert_eq!(left.count(), 0, "no link stays");
}

/// What names the helper already, by a person's hand, is there after an undo, too: lines and links.
#[test]
fn what_a_person_wrote_stays() {
    let home = Home::new("by-hand");
    let program = env!("CARGO_BIN_EXE_gce-auth");
    let link = |name: &str| home.path("bin").join(name).display().to_string();
    let (kubectl, bazel) = (link("gce-auth-kubectl"), link("bazel-credential-gce-auth"));
    let server = "[credential \"https://source.developers.google.com\"]";
    for (tool, file, text) in [
        (
            "docker",
            ".docker/config.json",
            "{\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gce-auth\"\n\t}\n}".to_owned(),
        ),
        (
            "git",
            ".gitconfig",
            format!("{server}\n\thelper = \"{program} helper git\"\n"),
        ),
        (
            "cargo",
            ".cargo/config.toml",
            format!("[registries.mine]\ncredential-provider = ['{program}']\n"),
        ),
        (
            "kubectl",
            ".kube/config",
            format!("- command: {kubectl}\n- command: gke-gcloud-auth-plugin\n"),
        ),
        ("kubectl", ".kube/config", format!("- command: {kubectl}\n")),
        (
            "goauth",
            ".config/go/env",
            format!("GOAUTH={program} helper goauth; netrc\n"),
        ),
        (
            "goauth",
            ".config/go/env",
            format!("GOAUTH={program} helper goauth;netrc\n"),
        ),
        (
            "bazel",
            ".bazelrc",
            format!("common --credential_helper=*.pkg.dev={bazel}\n"),
        ),
    ] {
        home.write(file, &text, 0o600);
        let more: &[&str] = if tool == "cargo" {
            &["--registries", "mine"]
        } else {
            &[]
        };
        for _ in 0..2 {
            assert_eq!(home.install(tool, more).code, Some(0), "{tool}");
        }
        let undone = home.install(tool, &["--undo"]);
        assert_eq!(undone.code, Some(0), "{undone:?}");
        assert_eq!(home.read(file), Some(text), "{tool}");
        assert!(
            undone.stderr.contains(file) && undone.stderr.contains("stays"),
            "{undone:?}"
        );
    }
    for (tool, name) in [
        ("docker", "docker-credential-gce-auth"),
        ("kubelet", "gce-auth-kubelet"),
        ("keyring", "keyring"),
    ] {
        symlink(program, link(name)).unwrap();
        for more in [&[][..], &["--undo"]] {
            assert_eq!(home.install(tool, more).code, Some(0), "{tool} {more:?}");
            let named = fs::read_link(link(name)).unwrap();
            assert_eq!(named.to_str(), Some(program), "{tool} {more:?}");
        }
    }
}

#[test]
fn a_file_that_was_made_goes() {
    let home = Home::new("made");
    for (tool, file, _, _) in TOOLS {
        // These need what the user has in the file.
        if ["cargo", "kubectl"].contains(&tool) {
            let ran = home.install(tool, &["--registries", "mine"]);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            continue;
        }
        assert_eq!(home.install(tool, &[]).code, Some(0), "{tool}");
        assert_eq!(home.mode(file), 0o600, "{tool}");
        assert_eq!(home.install(tool, &["--undo"]).code, Some(0), "{tool}");
        assert_eq!(home.read(file), None, "{tool}");
    }
}

#[test]
fn a_link_is_followed_and_another_program_is_left_alone() {
    let home = Home::new("links");
    home.write("dotfiles/gitconfig", "[user]\n", 0o600);
    symlink(home.path("dotfiles/gitconfig"), home.path(".gitconfig")).unwrap();
    assert_eq!(home.install("git", &[]).code, Some(0));
    let is_link = home.path(".gitconfig").symlink_metadata().unwrap();
    assert!(is_link.is_symlink());
    assert!(
        home.read("dotfiles/gitconfig")
            .unwrap()
            .contains("helper git")
    );

    home.write("bin/keyring", "#!/bin/sh\n", 0o755);
    let line = home.install("keyring", &[]).stderr;
    assert!(line.contains("--bin-dir"), "{line}");
    assert_eq!(home.install("keyring", &["--undo"]).code, Some(0));
    assert_eq!(home.read("bin/keyring").as_deref(), Some("#!/bin/sh\n"));

    symlink("/no/such/file", home.path(".bazelrc")).unwrap();
    assert_eq!(home.install("bazel", &[]).code, Some(2));
}

#[test]
fn a_link_to_where_the_executable_was_is_replaced() {
    let home = Home::new("moved");
    let link = home.path("bin/docker-credential-gce-auth");
    for undo in [&[][..], &["--undo"]] {
        let _ = fs::remove_file(&link);
        symlink("/no/such/place/./gce-auth", &link).unwrap();
        assert_eq!(home.install("docker", undo).code, Some(0), "{undo:?}");
        assert_eq!(link.exists(), undo.is_empty());
        assert_eq!(link.symlink_metadata().is_ok(), undo.is_empty());
    }
    for broken in ["/no/such/place/./other", "/no/such/place/gce-auth"] {
        let _ = fs::remove_file(&link);
        symlink(broken, &link).unwrap();
        assert_eq!(home.install("docker", &[]).code, Some(2), "{broken}");
        assert_eq!(fs::read_link(&link).unwrap().to_str(), Some(broken));
    }
}

#[test]
fn each_file_of_kubectl_that_names_the_plugin_is_edited() {
    let home = Home::new("kubeconfigs");
    let plugin = "- command: gke-gcloud-auth-plugin\n";
    let files = [("a", "users: []\n"), ("b", plugin), ("c", plugin)];
    let list = files.map(|(name, _)| home.path(name).display().to_string());
    let bin = home.path("bin").display().to_string();
    let run = |more: &[&str]| {
        let install = ["helper", "install", "kubectl", "--bin-dir", &bin];
        let mut command = home.command(&[&install[..], more].concat());
        Ran::new(command.env("KUBECONFIG", list.join(":")).output().unwrap())
    };
    for (name, text) in files {
        home.write(name, text, 0o600);
    }
    let said = run(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for (name, text) in files {
        let is_edited = home.read(name).as_deref() != Some(text);
        assert_eq!(is_edited, text == plugin, "{name}");
        assert_eq!(said.stdout.contains(&format!("/{name}\n")), is_edited);
    }
    assert_eq!(run(&["--undo"]).code, Some(0));
    for (name, text) in files {
        assert_eq!(home.read(name).as_deref(), Some(text), "{name}");
    }
    assert!(!home.path("bin/gce-auth-kubectl").exists());
    home.write("b", "", 0o600);
    home.write("c", "", 0o600);
    assert_eq!(run(&[]).code, Some(2));
}

#[test]
fn what_turns_a_file_off_or_contradicts_is_refused() {
    let home = Home::new("off");
    let mut off = home.command(&["helper", "install", "goauth"]);
    let off = Ran::new(off.env("GOENV", "off").output().unwrap()).failure(2);
    assert!(off.contains("GOENV is off"), "{off}");
    for more in [["--registries", "gcr.io"], ["--allow-host", "a.example"]] {
        let ran = home.install("docker", &[&["--undo"], &more[..]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(more[0]), "{ran:?}");
    }
}

#[test]
fn what_cannot_be_edited_is_2_and_stays() {
    let home = Home::new("wrong");
    for (tool, file, text) in [
        ("docker", ".docker/config.json", "{\"credHelpers\": "),
        (
            "docker",
            ".docker/config.json",
            "{\"credHelpers\": {\"gcr.io\": \"gcloud\"}}",
        ),
        ("git", ".gitconfig", "# >>> gce-auth helper git\n"),
        ("goauth", ".config/go/env", "GOAUTH=off\n"),
        ("kubectl", ".kube/config", "users: []\n"),
    ] {
        home.write(file, text, 0o600);
        let ran = home.install(tool, &[]);
        assert_eq!(ran.code, Some(2), "{text}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(ran.stderr.contains(file), "{ran:?}");
        assert_eq!(home.read(file).as_deref(), Some(text));
    }
    let registry = ["--registries", "docker.io"];
    assert_eq!(home.install("docker", &registry).code, Some(2));
    let left = fs::read_dir(home.path("bin")).unwrap();
    assert_eq!(left.count(), 0, "no link is made for nothing");
}

#[test]
fn doctor_lists_the_helpers_and_runs_them() {
    let home = Home::new("doctor");
    let steps = || {
        let mut doctor = home.command(&["doctor", "--json", "--timeout", "0.3"]);
        doctor.env("GCE_AUTH_HELPER_FLAGS", "--no-such-option");
        let said = Ran::new(doctor.output().unwrap()).stdout;
        let report: Value = serde_json::from_str(&said).unwrap();
        let steps = report["steps"].as_array().unwrap().iter();
        let steps = steps.filter(|step| step["step"] == "helpers").cloned();
        steps.collect::<Vec<_>>()
    };
    assert_eq!(steps().len(), 1);
    assert_eq!(steps()[0]["found"], "none is installed");
    for (tool, file, text, more) in TOOLS {
        home.write(file, text, 0o600);
        assert_eq!(home.install(tool, more).code, Some(0), "{tool}");
    }
    for linked in ["keyring", "kubelet"] {
        assert_eq!(home.install(linked, &[]).code, Some(0), "{linked}");
    }
    let found = steps();
    assert_eq!(found.len(), 8, "{found:#?}");
    for step in &found {
        assert_eq!(step["result"], "ok", "{step}");
        let found = step["found"].as_str().unwrap();
        assert!(found.ends_with(" answers"), "{found}");
    }
    fs::remove_file(home.path("bin/docker-credential-gce-auth")).unwrap();
    let found = steps();
    assert_eq!(found[0]["result"], "warning", "{found:#?}");
    let advice = found[0]["advice"].as_str().unwrap();
    assert!(advice.contains("helper install docker"), "{advice}");

    let script = "#!/bin/sh\necho 'no such thing' >&2\nexit 1\n";
    home.write("bin/docker-credential-gce-auth", script, 0o755);
    let found = steps();
    let found = found[0]["found"].as_str().unwrap();
    assert!(found.ends_with("does not answer: no such thing"), "{found}");

    // A program that runs and knows nothing of the protocol.
    home.write("bin/docker-credential-gce-auth", "#!/bin/sh\n", 0o755);
    let found = steps();
    let found = found[0]["found"].as_str().unwrap();
    assert!(
        found.contains("does not answer: its answer is not"),
        "{found}"
    );
}
