//! Docker, kubectl, Git and Cargo.

use std::process::Command;

use base64::{
    Engine,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use serde_json::{Value, json};

use crate::{
    basic, guarded,
    machine::{Machine, run, variable},
    not_found,
};

/// Docker's base64, with padding or without.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// Reads `X-Registry-Auth`.
fn registry_auth(text: &str) -> Value {
    let bytes = URL_SAFE
        .decode(text)
        .or_else(|_| general_purpose::STANDARD.decode(text))
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn docker_pulls_with_the_token() {
    let machine = Machine::new("docker", |request, _| {
        if request.path.contains("/images/create") {
            let line = json!({"status": "Status: Downloaded newer image"});
            return (200, "application/json", format!("{line}\n").into_bytes());
        }
        (200, "application/json", b"{}".to_vec())
    });
    machine.write(".docker/config.json", "{\n\t\"auths\": {}\n}");
    machine.install("docker", &[]);
    let pull = |image: &str| {
        let mut docker = machine.tool("docker")?;
        docker.args(["pull", "--quiet", image]);
        docker.env("DOCKER_HOST", format!("tcp://{}", machine.cloud.address));
        run(&mut docker);
        let requests = machine.cloud.requests();
        let pulled = requests
            .iter()
            .rev()
            .find(|request| request.path.contains("/images/create"))
            .unwrap();
        Some(pulled.header("x-registry-auth").map(registry_auth))
    };
    let Some(auth) = pull("us-docker.pkg.dev/p/r/image:tag") else {
        return;
    };
    let auth = auth.unwrap();
    assert_eq!(auth["username"], "oauth2accesstoken");
    assert_eq!(auth["password"], machine.token);
    let other = pull("registry.example/p/image:tag").unwrap();
    let other = other.unwrap_or_default().to_string();
    assert!(!other.contains(&machine.token), "{other}");
    machine.install("docker", &["--undo"]);
    assert_eq!(machine.read(".docker/config.json"), "{\n\t\"auths\": {}\n}");
}

/// Docker writes its file anew, sorted and without what it does not know.
#[test]
fn an_undo_finds_its_entries_in_a_file_that_docker_wrote() {
    let machine = Machine::new("docker-anew", |_, _| not_found());
    let text = "{\n\t\"auths\": {},\n\t\"credHelpers\": {\n\t\t\"gcr.io\": \"gce-auth\"\n\t}\n}";
    machine.write(".docker/config.json", text);
    machine.install("docker", &[]);
    let host = format!("host=tcp://{}", machine.cloud.address);
    for arguments in [
        &["context", "create", "other", "--docker", &host][..],
        &["context", "use", "other"],
        &["context", "use", "default"],
    ] {
        let Some(mut docker) = machine.tool("docker") else {
            return;
        };
        run(docker.args(arguments));
    }
    let anew: Value = serde_json::from_str(&machine.read(".docker/config.json")).unwrap();
    assert_eq!(anew["credHelpers"]["us-docker.pkg.dev"], "gce-auth");
    machine.install("docker", &["--undo"]);
    assert_eq!(machine.read(".docker/config.json"), text);
}

/// The builder of old asks the helper of every registry in the configuration, one after another,
/// and sends all of their credentials along.
#[test]
fn a_legacy_build_of_docker_sends_the_token_of_each_registry() {
    let machine = Machine::new("docker-build", |request, _| {
        if request.path.contains("/build?") {
            let line = json!({"stream": "Successfully built 1\n"});
            return (200, "application/json", format!("{line}\n").into_bytes());
        }
        (200, "application/json", b"{}".to_vec())
    });
    machine.install("docker", &[]);
    machine.write("context/Dockerfile", "FROM scratch\n");
    let Some(mut docker) = machine.tool("docker") else {
        return;
    };
    docker
        .args(["build", "."])
        .current_dir(machine.home.join("context"))
        .env("DOCKER_BUILDKIT", "0")
        .env("DOCKER_HOST", format!("tcp://{}", machine.cloud.address));
    run(&mut docker);
    let requests = machine.cloud.requests();
    let build = requests.iter().find(|it| it.path.contains("/build?"));
    let sent = registry_auth(build.unwrap().header("x-registry-config").unwrap());
    let registries = ["gcr.io", "us-docker.pkg.dev", "asia.gcr.io"];
    for registry in registries {
        assert_eq!(sent[registry]["username"], "oauth2accesstoken", "{sent}");
        assert_eq!(sent[registry]["password"], machine.token);
    }
    machine.install("docker", &["--undo"]);
    assert!(!machine.home.join(".docker/config.json").exists());
}

#[test]
fn kubectl_asks_with_the_token_in_either_version() {
    let machine = Machine::new("kubectl", |request, token| {
        guarded(request, &format!("Bearer {token}"), || {
            (200, "text/plain", b"ok".to_vec())
        })
    });
    for version in ["v1", "v1beta1"] {
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters:\n- name: c\n  cluster:\n    server: https://{}\n    certificate-authority: {}\n\
             contexts:\n- name: c\n  context:\n    cluster: c\n    user: gke\n\
             users:\n- name: gke\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/{version}\n      \
             command: gke-gcloud-auth-plugin\n      interactiveMode: Never\n      provideClusterInfo: true\n",
            machine.cloud.address,
            machine.cloud.ca.display()
        );
        machine.write(".kube/config", &config);
        machine.install("kubectl", &[]);
        let Some(mut kubectl) = machine.tool("kubectl") else {
            return;
        };
        kubectl.args(["get", "--raw", "/healthz"]);
        kubectl.env_remove("HTTPS_PROXY").env_remove("https_proxy");
        assert_eq!(run(&mut kubectl).stdout, "ok", "{version}");
        machine.install("kubectl", &["--undo"]);
        assert_eq!(machine.read(".kube/config"), config);
    }
}

/// `kubectl config` writes the file anew, without comments.
#[test]
fn an_undo_finds_the_command_in_a_file_that_kubectl_wrote() {
    let machine = Machine::new("kubectl-anew", |_, _| not_found());
    let config = |arguments: &[&str]| {
        let mut kubectl = machine.tool("kubectl")?;
        run(kubectl.arg("config").args(arguments));
        Some(())
    };
    let made = config(&[
        "set-credentials",
        "gke",
        "--exec-command=gke-gcloud-auth-plugin",
        "--exec-api-version=client.authentication.k8s.io/v1",
        "--exec-interactive-mode=Never",
    ]);
    if made.is_none() {
        return;
    }
    let before = machine.read(".kube/config");
    machine.install("kubectl", &[]);
    config(&["set-context", "c", "--user", "gke"]);
    config(&["delete-context", "c"]);
    let anew = machine.read(".kube/config");
    assert!(
        anew.contains("/gce-auth-kubectl") && !anew.contains('#'),
        "{anew}"
    );
    machine.install("kubectl", &["--undo"]);
    assert_eq!(machine.read(".kube/config"), before);
}

/// Git sends what its helper says since 2.46.
fn git_takes_bearer() -> bool {
    let Ok(said) = Command::new("git").arg("--version").output() else {
        return false;
    };
    let said = String::from_utf8(said.stdout).unwrap();
    let version = said.split(' ').nth(2).unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    let (major, minor): (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    (major, minor) >= (2, 46)
}

#[test]
fn git_reads_a_repository_with_the_token() {
    let takes_bearer = git_takes_bearer();
    let machine = Machine::new("git", move |request, token| {
        let user = "emulator@emulator-project.iam.gserviceaccount.com";
        let header = match takes_bearer {
            true => format!("Bearer {token}"),
            false => basic(user, token),
        };
        guarded(request, &header, || {
            let id = "1".repeat(40);
            let line = format!("{id} refs/heads/main\0agent=test\n");
            let body = format!(
                "001e# service=git-upload-pack\n0000{:04x}{line}0000",
                line.len() + 4
            );
            let kind = "application/x-git-upload-pack-advertisement";
            (200, kind, body.into_bytes())
        })
    });
    machine.write(".gitconfig", "[user]\n\tname = x");
    machine.install("git", &[]);
    let Some(mut git) = machine.tool("git") else {
        return;
    };
    git.args(["ls-remote", "https://source.developers.google.com/p/a/r/b"]);
    let said = run(&mut git).stdout;
    assert!(said.ends_with("\trefs/heads/main\n"), "{said}");
    let requests = machine.cloud.requests();
    assert!(
        requests
            .iter()
            .all(|it| it.host == "source.developers.google.com")
    );
    machine.install("git", &["--undo"]);
    assert_eq!(machine.read(".gitconfig"), "[user]\n\tname = x");
}

#[test]
fn cargo_reads_a_private_index_with_the_token() {
    let machine = Machine::new("cargo", |request, token| {
        let path = request.path.clone();
        guarded(request, &format!("Bearer {token}"), || {
            let body = match path.as_str() {
                "/index/config.json" => json!({
                    "dl": "https://crates.example/dl",
                    "api": "https://crates.example",
                    "auth-required": true,
                }),
                "/index/mi/ne/mine-dep" => json!({
                    "name": "mine-dep", "vers": "1.2.3", "deps": [], "features": {},
                    "cksum": "0".repeat(64), "yanked": false,
                }),
                _ => return not_found(),
            };
            (200, "application/json", format!("{body}\n").into_bytes())
        })
    });
    let config = "[registries.mine]\nindex = \"sparse+https://crates.example/index/\"\n";
    machine.write(".cargo/config.toml", config);
    machine.install("cargo", &["--registries", "mine"]);
    machine.write(
        "package/Cargo.toml",
        "[package]\nname = \"package\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [dependencies]\nmine-dep = { version = \"1\", registry = \"mine\" }\n[workspace]\n",
    );
    machine.write("package/src/lib.rs", "");
    // The toolchain that runs this test, as a shim looks for it in the home directory.
    let mut cargo = machine.tool(&variable("CARGO")).unwrap();
    cargo
        .arg("generate-lockfile")
        .current_dir(machine.home.join("package"))
        .env("GCE_AUTH_HELPER_FLAGS", "--allow-host crates.example");
    run(&mut cargo);
    let lock = machine.read("package/Cargo.lock");
    assert!(lock.contains("version = \"1.2.3\""), "{lock}");
    machine.install("cargo", &["--undo"]);
    assert_eq!(machine.read(".cargo/config.toml"), config);
}
