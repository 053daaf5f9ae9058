//! pip, uv, npm, Go, Maven, Gradle and Terraform.

use std::{path::PathBuf, process::Command};

use serde_json::json;

use crate::{
    basic,
    cloud::{Answer, Request},
    guarded,
    machine::{Machine, python, run, skipped},
    not_found,
};

const USER: &str = "oauth2accesstoken";
const INDEX: &str = "https://oauth2accesstoken@us-python.pkg.dev/p/r/simple/";

/// An index of Python packages with one package, `mine`.
fn index(request: &Request, token: &str) -> Answer {
    guarded(request, &basic(USER, token), || {
        let wheel = "mine-1.2.3-py3-none-any.whl";
        match request.path.as_str() {
            "/p/r/simple/mine/" => {
                let link = format!(
                    "<a href=\"../../{wheel}\" data-dist-info-metadata=\"true\">{wheel}</a>"
                );
                (
                    200,
                    "text/html",
                    format!("<!DOCTYPE html><html><body>{link}</body></html>").into(),
                )
            }
            path if path.ends_with(&format!("{wheel}.metadata")) => {
                let text = "Metadata-Version: 2.1\nName: mine\nVersion: 1.2.3\n";
                (200, "text/plain", text.into())
            }
            _ => not_found(),
        }
    })
}

#[test]
fn pip_asks_keyring() {
    let machine = Machine::new("pip", index);
    machine.install("keyring", &[]);
    let Some(python) = python() else { return };
    let options = Command::new(&python).args(["-m", "pip", "--help"]).output();
    if !String::from_utf8_lossy(&options.unwrap().stdout).contains("--keyring-provider") {
        return skipped("pip has no --keyring-provider: it is older than 23.1, or not there");
    }
    let mut pip = machine.tool("python3").unwrap();
    // The shim looks for its Python in the home directory.
    let mut command = Command::new(python);
    command.envs(
        pip.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    for (name, _) in pip.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    pip = command;
    pip.args([
        "-m",
        "pip",
        "index",
        "versions",
        "mine",
        "--index-url",
        INDEX,
    ])
    .args(["--keyring-provider", "subprocess", "--cert"])
    .arg(&machine.cloud.ca)
    .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let said = run(&mut pip).stdout;
    assert!(said.contains("mine (1.2.3)"), "{said}");
    assert!(machine.home.join("bin/keyring").exists());
    machine.install("keyring", &["--undo"]);
    assert!(!machine.home.join("bin/keyring").exists());
}

#[test]
fn uv_asks_keyring() {
    let machine = Machine::new("uv", index);
    machine.install("keyring", &[]);
    let (Some(mut uv), Some(python)) = (machine.tool("uv"), python()) else {
        return;
    };
    machine.write("requirements.in", "mine\n");
    uv.args([
        "pip",
        "compile",
        "requirements.in",
        "--no-config",
        "--index-url",
        INDEX,
    ])
    .args(["--keyring-provider", "subprocess", "--python"])
    .arg(python);
    let said = run(&mut uv).stdout;
    assert!(said.contains("mine==1.2.3"), "{said}");
}

#[test]
fn pip_and_uv_take_the_url_of_an_index() {
    let machine = Machine::new("index-url", index);
    let plain = "https://us-python.pkg.dev/p/r/simple/";
    let url = machine.gce_auth(&["helper", "index-url", plain]).stdout;
    let (Some(mut uv), Some(python)) = (machine.tool("uv"), python()) else {
        return;
    };
    machine.write("requirements.in", "mine\n");
    uv.args([
        "pip",
        "compile",
        "requirements.in",
        "--no-config",
        "--python",
    ])
    .arg(python)
    .env("UV_INDEX_URL", url.trim());
    let said = run(&mut uv).stdout;
    assert!(said.contains("mine==1.2.3"), "{said}");
}

#[test]
fn npm_reads_the_token_that_was_written() {
    let machine = Machine::new("npm", |request, token| {
        let path = request.path.clone();
        guarded(request, &format!("Bearer {token}"), || {
            match path.as_str() {
                "/p/r/mine" => {
                    let version = json!({"name": "mine", "version": "1.2.3", "dist": {
                    "tarball": "https://us-npm.pkg.dev/p/r/mine.tgz", "shasum": "0".repeat(40)}});
                    let body = json!({"name": "mine", "dist-tags": {"latest": "1.2.3"},
                    "versions": {"1.2.3": version}});
                    (200, "application/json", body.to_string().into())
                }
                _ => not_found(),
            }
        })
    });
    let registry = "https://us-npm.pkg.dev/p/r/";
    machine.write(".npmrc", "fund=false\n");
    machine.gce_auth(&["helper", "npmrc", "--registries", registry, "--write"]);
    let Some(mut npm) = machine.tool("npm") else {
        return;
    };
    npm.args(["view", "mine", "version", "--registry", registry]);
    let said = run(&mut npm).stdout;
    assert_eq!(said, "1.2.3\n");
    machine.gce_auth(&["helper", "npmrc", "--undo"]);
    assert_eq!(machine.read(".npmrc"), "fund=false\n");
}

#[test]
fn go_asks_goauth_after_a_refusal() {
    let machine = Machine::new("go", |request, token| {
        let path = request.path.clone();
        guarded(request, &format!("Bearer {token}"), || {
            match path.as_str() {
                "/p/r/example.com/mine/@v/v1.2.3.info" => {
                    let body = json!({"Version": "v1.2.3", "Time": "2026-01-01T00:00:00Z"});
                    (200, "application/json", body.to_string().into())
                }
                "/p/r/example.com/mine/@v/v1.2.3.mod" => {
                    (200, "text/plain", b"module example.com/mine\n".to_vec())
                }
                _ => not_found(),
            }
        })
    });
    machine.install("goauth", &[]);
    let Some(mut go) = machine.tool("go") else {
        return;
    };
    go.args(["list", "-m", "example.com/mine@v1.2.3"])
        .env("GOPROXY", "https://us-go.pkg.dev/p/r");
    assert_eq!(run(&mut go).stdout, "example.com/mine v1.2.3\n");
    machine.install("goauth", &["--undo"]);
    assert!(!machine.home.join(".config/go/env").exists());

    // Go writes the file, too.
    machine.write(".config/go/env", "GOAUTH=netrc\n");
    let write = |arguments: &[&str]| run(machine.tool("go").unwrap().arg("env").args(arguments));
    machine.install("goauth", &[]);
    write(&["-w", "GOPRIVATE=a.example"]);
    write(&["-u", "GOPRIVATE"]);
    let named = write(&["GOAUTH"]).stdout;
    assert!(
        named.ends_with("/./gce-auth helper goauth; netrc\n"),
        "{named}"
    );
    machine.install("goauth", &["--undo"]);
    assert_eq!(machine.read(".config/go/env"), "GOAUTH=netrc\n");
}

#[test]
fn maven_sends_the_header_of_its_settings() {
    let machine = Machine::new("maven", |request, token| {
        let path = request.path.clone();
        guarded(request, &format!("Bearer {token}"), || {
            if path == "/p/r/example/parent/1.2.3/parent-1.2.3.pom" {
                let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId>\
                           <artifactId>parent</artifactId><version>1.2.3</version>\
                           <packaging>pom</packaging></project>";
                return (200, "text/xml", pom.into());
            }
            not_found()
        })
    });
    let settings = machine.home.join("settings.xml");
    let path = settings.to_str().unwrap();
    machine.gce_auth(&[
        "helper",
        "maven",
        "--servers",
        "artifact-registry",
        "--output",
        path,
    ]);
    let address = machine.cloud.address;
    let global = machine.write(
        "global.xml",
        &format!(
            "<settings><localRepository>{}</localRepository><proxies><proxy><id>p</id>\
             <active>true</active><protocol>https</protocol><host>{}</host><port>{}</port>\
             </proxy></proxies></settings>",
            machine.home.join("m2").display(),
            address.ip(),
            address.port()
        ),
    );
    machine.write(
        "project/pom.xml",
        "<project><modelVersion>4.0.0</modelVersion>\
         <parent><groupId>example</groupId><artifactId>parent</artifactId><version>1.2.3</version>\
         <relativePath/></parent><artifactId>project</artifactId><packaging>pom</packaging>\
         <repositories><repository><id>artifact-registry</id>\
         <url>https://us-maven.pkg.dev/p/r</url></repository></repositories></project>",
    );
    let (Some(mut keytool), Some(mut maven)) = (machine.tool("keytool"), machine.tool("mvn"))
    else {
        return;
    };
    let store = trust_store(&mut keytool, &machine);
    maven
        .args(["-B", "-q", "-s", path, "-gs"])
        .arg(global)
        .arg(format!("-Djavax.net.ssl.trustStore={}", store.display()))
        .arg("-Djavax.net.ssl.trustStorePassword=changeit")
        .arg("validate")
        .current_dir(machine.home.join("project"));
    run(&mut maven);
    let requests = machine.cloud.requests();
    let parent = requests
        .iter()
        .find(|it| it.path.ends_with("parent-1.2.3.pom"))
        .unwrap();
    assert_eq!(parent.host, "us-maven.pkg.dev");
}

/// The properties are those that Gradle 6.6 and later read by themselves, for `PasswordCredentials`
/// and `HttpHeaderCredentials`; for an older Gradle the script names them.
#[test]
fn gradle_reads_the_properties_of_its_repository() {
    let machine = Machine::new("gradle", |request, token| {
        let path = request.path.clone();
        guarded(request, &basic(USER, token), || match path.as_str() {
            "/p/r/example/mine/1.2.3/mine-1.2.3.pom" => {
                let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId>\
                           <artifactId>mine</artifactId><version>1.2.3</version></project>";
                (200, "text/xml", pom.into())
            }
            // An archive of Java without entries.
            "/p/r/example/mine/1.2.3/mine-1.2.3.jar" => {
                let end = [&b"PK\x05\x06"[..], &[0; 18]].concat();
                (200, "application/java-archive", end)
            }
            _ => not_found(),
        })
    });
    machine.write("project/settings.gradle", "");
    machine.write(
        "project/build.gradle",
        "repositories { maven { name = 'mine'; url = 'https://us-maven.pkg.dev/p/r'\n\
         credentials { username = project.mineUsername; password = project.minePassword } } }\n\
         configurations { fetched }\n\
         assert project.mineAuthHeaderName == 'Authorization'\n\
         assert project.mineAuthHeaderValue == 'Bearer ' + project.minePassword\n\
         dependencies { fetched 'example:mine:1.2.3' }\n\
         task show { doLast { configurations.fetched.files.each { println it.name } } }\n",
    );
    let (Some(mut keytool), Some(mut gradle)) = (machine.tool("keytool"), machine.tool("sh"))
    else {
        return;
    };
    if machine.tool("gradle").is_none() {
        return;
    }
    let store = trust_store(&mut keytool, &machine);
    let helper = format!(
        "{} helper gradle --repository mine",
        env!("CARGO_BIN_EXE_gce-auth")
    );
    let address = machine.cloud.address;
    gradle
        .arg("-c")
        .arg(format!(
            "eval \"$({helper})\"; exec gradle --no-daemon -q show -Dhttps.proxyHost={} -Dhttps.proxyPort={} \
             -Djavax.net.ssl.trustStore={} -Djavax.net.ssl.trustStorePassword=changeit",
            address.ip(),
            address.port(),
            store.display()
        ))
        .env("GRADLE_USER_HOME", machine.home.join(".gradle"))
        .current_dir(machine.home.join("project"));
    let said = run(&mut gradle).stdout;
    assert!(said.ends_with("mine-1.2.3.jar\n"), "{said}");
    let requests = machine.cloud.requests();
    assert!(requests.iter().all(|it| it.host == "us-maven.pkg.dev"));
}

/// Puts the CA of the test into a trust store of Java, with the password `changeit`.
fn trust_store(keytool: &mut Command, machine: &Machine) -> PathBuf {
    let store = machine.home.join("trust.p12");
    let made = [
        "-importcert",
        "-noprompt",
        "-alias",
        "ca",
        "-storepass",
        "changeit",
        "-keystore",
    ];
    keytool
        .args(made)
        .arg(&store)
        .arg("-file")
        .arg(&machine.cloud.ca);
    run(keytool);
    store
}

/// Terraform's own backend for Cloud Storage reads the variable, without a provider.
#[test]
fn terraform_reads_the_variables_of_export() {
    let machine = Machine::new("terraform", |request, token| {
        let path = request.path.clone();
        guarded(request, &format!("Bearer {token}"), || {
            let body = match path.contains("default.tfstate") {
                true => json!({
                    "version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "mine",
                    "outputs": {"greeting": {"value": "hello", "type": "string"}}, "resources": [],
                }),
                false => json!({"kind": "storage#objects", "items": []}),
            };
            (200, "application/json", body.to_string().into())
        })
    });
    machine.write(
        "project/main.tf",
        "terraform {\n  backend \"gcs\" {\n    bucket = \"mine\"\n  }\n}\n",
    );
    let variables = machine
        .gce_auth(&["helper", "export", "--format", "env"])
        .stdout;
    let terraform = |arguments: &[&str]| {
        let mut command = machine.tool("terraform")?;
        command
            .args(arguments)
            .arg("-no-color")
            .envs(variables.lines().filter_map(|line| line.split_once('=')))
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_CLI_CONFIG_FILE")
            .current_dir(machine.home.join("project"));
        Some(run(&mut command).stdout)
    };
    if terraform(&["init", "-input=false"]).is_none() {
        return;
    }
    assert!(
        terraform(&["output"])
            .unwrap()
            .contains("greeting = \"hello\"")
    );
    let requests = machine.cloud.requests();
    let hosts: Vec<_> = requests.iter().map(|it| it.host.as_str()).collect();
    assert!(hosts.contains(&"storage.googleapis.com"), "{hosts:?}");
}
