//! The credential helpers that are measured, each with the arguments and the input of its tool.

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Identity,
}

impl Kind {
    /// How tokens of this kind start.
    pub(crate) fn start(self) -> &'static str {
        match self {
            Self::Access => "ya29.",
            Self::Identity => "eyJ",
        }
    }
}

pub(crate) struct Helper {
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) kind: Kind,
    /// Whether it makes one request, and is held to what that takes.
    pub(crate) is_limited: bool,
}

const fn ours(
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
) -> Helper {
    Helper {
        name,
        program,
        arguments,
        input,
        kind: Kind::Access,
        is_limited: true,
    }
}

const fn theirs(
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
) -> Helper {
    Helper {
        is_limited: false,
        ..ours(name, program, arguments, input)
    }
}

/// The command, and every helper of it.
pub(crate) const HELPERS: &[Helper] = &[
    ours("`gce-auth token`", "gce-auth", &["token"], ""),
    ours(
        "Docker: `docker-credential-gce-auth get`",
        "docker-credential-gce-auth",
        &["get"],
        "us-docker.pkg.dev",
    ),
    ours("kubectl: `gce-auth-kubectl`", "gce-auth-kubectl", &[], ""),
    ours(
        "kubelet: `gce-auth-kubelet`",
        "gce-auth-kubelet",
        &[],
        "{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
         \"kind\":\"CredentialProviderRequest\",\"image\":\"gcr.io/p/image\"}",
    ),
    ours(
        "Git: `git-credential-gce-auth get`",
        "git-credential-gce-auth",
        &["get"],
        "capability[]=authtype\nprotocol=https\nhost=source.developers.google.com\n\n",
    ),
    // It asks for the account's address, too.
    theirs(
        "the same for a Git before 2.46, two requests",
        "git-credential-gce-auth",
        &["get"],
        "protocol=https\nhost=source.developers.google.com\n\n",
    ),
    ours(
        "Cargo: `cargo-credential-gce-auth`",
        "cargo-credential-gce-auth",
        &["--cargo-plugin"],
        "{\"v\":1,\"kind\":\"get\",\"operation\":\"read\",\
         \"registry\":{\"index-url\":\"sparse+https://us-cargo.pkg.dev/p/r/\"}}\n",
    ),
    ours(
        "pip, uv: `keyring get`",
        "keyring",
        &[
            "get",
            "https://us-python.pkg.dev/p/r/simple/",
            "oauth2accesstoken",
        ],
        "",
    ),
    ours(
        "pip, uv: `gce-auth helper index-url`",
        "gce-auth",
        &[
            "helper",
            "index-url",
            "https://us-python.pkg.dev/p/r/simple/",
        ],
        "",
    ),
    ours(
        "Bazel: `bazel-credential-gce-auth get`",
        "bazel-credential-gce-auth",
        &["get"],
        "{\"uri\":\"https://storage.googleapis.com/b/o\"}",
    ),
    ours(
        "Go: `gce-auth helper goauth URL`",
        "gce-auth",
        &["helper", "goauth", "https://us-go.pkg.dev/p/r/m/@v/list"],
        "",
    ),
    ours(
        "npm: `gce-auth helper npmrc`",
        "gce-auth",
        &[
            "helper",
            "npmrc",
            "--registries",
            "https://us-npm.pkg.dev/p/r/",
        ],
        "",
    ),
    ours(
        "Maven: `gce-auth helper maven`",
        "gce-auth",
        &["helper", "maven", "--servers", "artifact-registry"],
        "",
    ),
    ours(
        "Gradle: `gce-auth helper gradle`",
        "gce-auth",
        &["helper", "gradle", "--repository", "mine"],
        "",
    ),
    ours(
        "Terraform and shells: `gce-auth helper export`",
        "gce-auth",
        &["helper", "export"],
        "",
    ),
    Helper {
        kind: Kind::Identity,
        ..ours(
            "SDKs: `gce-auth helper executable`",
            "gce-auth",
            &[
                "helper",
                "executable",
                "--audience",
                "https://service.example",
            ],
            "",
        )
    },
];

/// Google's own helpers.
pub(crate) const OF_GOOGLE: &[Helper] = &[
    theirs(
        "`docker-credential-gcr get`",
        "docker-credential-gcr",
        &["get"],
        "https://us-docker.pkg.dev",
    ),
    theirs(
        "`docker-credential-gcloud get`",
        "docker-credential-gcloud",
        &["get"],
        "us-docker.pkg.dev",
    ),
    theirs(
        "`gke-gcloud-auth-plugin` with default credentials",
        "gke-gcloud-auth-plugin",
        &["--use_application_default_credentials"],
        "",
    ),
];
