//! A machine with a home of its own, a metadata server, and the real tools.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gce_auth_emulator::Emulator;

use crate::{
    cloud::{Answer, Cloud, Request},
    support::{Ran, ask, cleared, emulator},
};

/// The variable that makes a missing tool a failure.
const REQUIRED: &str = "GCE_AUTH_INTEROP";

/// A home directory with this command and its links on PATH.
pub(crate) struct Machine {
    pub(crate) home: PathBuf,
    pub(crate) cloud: Cloud,
    pub(crate) token: String,
    metadata: Emulator,
}

impl Machine {
    /// Makes a machine whose cloud answers requests by their host, path and credential.
    pub(crate) fn new(
        name: &str,
        answer: impl Fn(&Request, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{name}"));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(home.join("bin")).unwrap();
        let metadata = emulator();
        let token = ask(metadata.addr(), &["token"]).value().trim().to_owned();
        let known = token.clone();
        let cloud = Cloud::start(&home, move |request| answer(request, &known));
        Self {
            home,
            cloud,
            token,
            metadata,
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.join(name)).unwrap()
    }

    /// Runs this command here.
    #[track_caller]
    pub(crate) fn gce_auth(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gce-auth"));
        self.prepare(command.args(arguments));
        let ran = Ran::new(command.output().unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran
    }

    /// Installs a helper.
    #[track_caller]
    pub(crate) fn install(&self, tool: &str, more: &[&str]) {
        let bin = self.home.join("bin");
        let install = [
            "helper",
            "install",
            tool,
            "--bin-dir",
            bin.to_str().unwrap(),
        ];
        self.gce_auth(&[&install[..], more].concat());
    }

    /// Returns a tool of this machine, or `None` if it is not there and need not be.
    pub(crate) fn tool(&self, name: &str) -> Option<Command> {
        let program = find(name)?;
        let mut command = Command::new(program);
        self.prepare(&mut command);
        Some(command)
    }

    /// Gives a process this home, and leads its connections to the cloud of the test.
    fn prepare(&self, command: &mut Command) {
        for name in cleared() {
            command.env_remove(name);
        }
        for name in [
            "PIP_CERT",
            "PIP_FIND_LINKS",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_NO_INDEX",
            "PIP_CONFIG_FILE",
            "UV_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "DOCKER_CONTEXT",
            "KUBECONFIG",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
        ] {
            command.env_remove(name);
        }
        let (home, ca, proxy) = (&self.home, &self.cloud.ca, self.cloud.proxy());
        let path = format!("{}:{}", home.join("bin").display(), variable("PATH"));
        command
            .current_dir(home)
            .env("HOME", home)
            .env("PATH", path)
            .env("GCE_METADATA_HOST", self.metadata.addr().to_string())
            .env("HTTPS_PROXY", &proxy)
            .env("https_proxy", &proxy)
            .env("SSL_CERT_FILE", ca)
            .env("DOCKER_CONFIG", home.join(".docker"))
            .env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", ca)
            .env("CARGO_HOME", home.join(".cargo"))
            .env("CARGO_HTTP_CAINFO", ca)
            .env("CARGO_HTTP_PROXY", &proxy)
            .env("CARGO_NET_RETRY", "0")
            .env("GOENV", home.join(".config/go/env"))
            .env("GOPATH", home.join("go"))
            .env("GOCACHE", home.join("go-build"))
            .env("GOTOOLCHAIN", "local")
            .env("GONOSUMDB", "*")
            .env("GOFLAGS", "-modcacherw")
            .env("NODE_EXTRA_CA_CERTS", ca)
            .env("npm_config_userconfig", home.join(".npmrc"))
            .env("npm_config_cafile", ca)
            .env("npm_config_fetch_retries", "0")
            .env("npm_config_cache", home.join(".npm"))
            .env("npm_config_https_proxy", &proxy)
            .env("npm_config_noproxy", "")
            .env("UV_CACHE_DIR", home.join("uv-cache"));
    }
}

/// Says that a test has to do without a tool.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn skipped(why: &str) {
    assert_ne!(variable(REQUIRED), "required", "{why}");
    // The runner shows it with --nocapture.
    println!("skipped: {why}");
}

/// Finds a tool on PATH.
fn find(name: &str) -> Option<PathBuf> {
    let path = variable("PATH");
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("{name} is not installed"));
    }
    found
}

/// Returns the Python that `python3` is, as a shim looks for it in the home directory.
pub(crate) fn python() -> Option<PathBuf> {
    let print = ["-c", "import sys; print(sys.executable)"];
    let found = Command::new(find("python3")?).args(print).output().unwrap();
    Some(String::from_utf8(found.stdout).unwrap().trim().into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tools of this machine are found by its environment"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Runs a tool to its end, which must be a good one.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let ran = Ran::new(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
    ran
}
