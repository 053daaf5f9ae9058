//! ID tokens of every flow, verified by Google's verifiers and by this library's; and tokens of
//! Google's libraries, verified here.

mod foreign;
#[path = "../../gce-auth/tests/forge/mod.rs"]
mod forge;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use forge::By;
use gce_auth::{
    BindIdToken, ComputeEngineClaims, IdTokenCredentials, IdTokenCredentialsBuilder, IdTokenFormat,
    IdTokenVerifier, JwtAlgorithm, JwtSigner, MetadataClient,
};
use gce_auth_conformance::interop::{self, machine};
use gce_auth_emulator::{Account, Emulator};
use serde_json::{Value, json};

/// An account beside the default one.
const OTHER: &str = "other@interop-project.iam.gserviceaccount.com";

fn pem(what: &str, der: &[u8]) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        lines.join("\n")
    )
}

/// An emulator that knows the keys which are forged with as uploaded ones.
fn emulator() -> Emulator {
    let account = |email| {
        Account::new(email)
            .public_key(pem("PUBLIC KEY", &forge::rsa_der()))
            .public_key(pem("PUBLIC KEY", &forge::ec_der()))
    };
    Emulator::builder()
        .project_id(machine::PROJECT)
        .account(account(machine::EMAIL))
        .account(account(OTHER))
        .start()
        .expect("an emulator starts")
}

/// Signs assertions with a key of the program's.
#[derive(Debug)]
struct Mine {
    by: By,
    algorithm: JwtAlgorithm,
}

impl JwtSigner for Mine {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(self.by.sign(bytes))
    }

    fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm
    }

    fn key_id(&self) -> Option<String> {
        Some("mine".to_owned())
    }
}

/// A token of some flow, and what it must say.
struct Made {
    flow: &'static str,
    token: String,
    email: Option<&'static str>,
}

/// A client that is the agent whose certificate is in this repository.
fn agent(emulator: &Emulator) -> MetadataClient {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/agent.pem");
    let bundle = folder.join("x509.credential-bundle.private-key.pem");
    fs::copy(certificate, bundle).expect("it is checked in");
    MetadataClient::builder()
        .endpoint(emulator.addr().to_string())
        .workload_credentials_dir(folder)
        .build()
        .expect("an address is an endpoint")
}

/// A token of each flow, half of them fetched by a task and half by this thread.
fn every_flow(emulator: &Emulator) -> Vec<Made> {
    let builder = || {
        IdTokenCredentials::builder(machine::AUDIENCE)
            .endpoint(emulator.addr().to_string())
            .shared(false)
    };
    let iam = || {
        builder()
            .iam_flow(true)
            .iam_endpoint(emulator.url())
            .token_uri(format!("{}/token", emulator.url()))
    };
    let signed = |by, algorithm| {
        iam()
            .service_account(OTHER)
            .signer(Arc::new(Mine { by, algorithm }))
    };
    let bound = IdTokenCredentials::builder(machine::AUDIENCE)
        .client(agent(emulator))
        .bind_id_token(BindIdToken::Always);
    let flows: [(&str, IdTokenCredentialsBuilder, Option<&str>); 9] = [
        ("full", builder(), Some(machine::EMAIL)),
        ("standard", builder().format(IdTokenFormat::Standard), None),
        (
            "with licences",
            builder().licenses(true),
            Some(machine::EMAIL),
        ),
        (
            "of a named account",
            builder().service_account(OTHER),
            Some(OTHER),
        ),
        ("bound", bound, None),
        ("signed by IAM", iam(), Some(machine::EMAIL)),
        (
            "signed by IAM, with more claims",
            iam().additional_claims(r#"{"team":"orders"}"#),
            Some(machine::EMAIL),
        ),
        (
            "by a signer, RS256",
            signed(By::Rsa, JwtAlgorithm::Rs256),
            Some(OTHER),
        ),
        (
            "by a signer, ES256",
            signed(By::Ec, JwtAlgorithm::Es256),
            Some(OTHER),
        ),
    ];
    let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
    flows
        .into_iter()
        .enumerate()
        .map(|(n, (flow, builder, email))| {
            let credentials = builder.build();
            let credentials = credentials.unwrap_or_else(|error| panic!("{flow}: {error}"));
            let token = if n % 2 == 0 {
                credentials.blocking_token()
            } else {
                runtime.block_on(credentials.token())
            };
            let token = token.unwrap_or_else(|error| panic!("{flow}: {error}"));
            Made {
                flow,
                token: token.secret().to_owned(),
                email,
            }
        })
        .collect()
}

/// A file for a program.
fn file(name: &str, content: &Value) -> String {
    let path: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content.to_string()).expect("the target folder can be written");
    path.to_string_lossy().into_owned()
}

#[test]
fn tokens_of_every_flow_are_accepted_by_every_verifier() {
    let emulator = emulator();
    let made = every_flow(&emulator);

    // The emulator was asked as the flows say.
    let identity = |account: &str| format!("instance/service-accounts/{account}/identity");
    assert_eq!(emulator.request_count(&identity("default")), 4);
    assert_eq!(emulator.request_count(&identity(OTHER)), 1);
    assert_eq!(emulator.request_count("/token"), 4);
    let requests = emulator.requests();
    let signatures = requests.iter().filter(|it| it.path.ends_with(":signBlob"));
    assert_eq!(signatures.count(), 2);
    let bound = requests
        .iter()
        .filter(|it| it.method == "POST" && it.path.ends_with("/identity"));
    assert_eq!(bound.count(), 1);

    for made in &made {
        let claims = match made.flow {
            "bound" => of_an_agent(&emulator, &made.token),
            _ => ours(&emulator, &made.token),
        };
        assert_eq!(claims.email(), made.email, "{}", made.flow);
        let machine = claims.compute_engine();
        let licences = machine.as_ref().map(ComputeEngineClaims::license_ids);
        match made.flow {
            "with licences" => assert!(!licences.expect("a machine").is_empty()),
            "full" => assert!(licences.expect("a machine").is_empty()),
            "standard" => assert!(machine.is_none()),
            "signed by IAM, with more claims" => {
                assert_eq!(claims.get("team").as_deref(), Some("orders"));
            }
            _ => {}
        }
    }

    // The verifiers of others know no agents.
    let made: Vec<Made> = made
        .into_iter()
        .filter(|made| made.flow != "bound")
        .collect();
    let tokens: Vec<Value> = made
        .iter()
        .map(|made| json!({"name": made.flow, "token": made.token}))
        .collect();
    let tokens = file("tokens.json", &tokens.into());
    for (client, verifiers) in [
        (interop::python(foreign::target(), "verify.py"), 2),
        (interop::node(foreign::target(), "verify.js"), 1),
    ] {
        let Some(client) = interop::ready_or_skip(client) else {
            continue;
        };
        let seen = foreign::run(&client, &emulator, &[("TOKENS", tokens.clone())]);
        let verified: Vec<&Value> = seen.all("verified").collect();
        assert_eq!(verified.len(), made.len() * verifiers, "{seen:#?}");
        for step in verified {
            let name = step["name"].as_str().unwrap_or_default();
            let made = made.iter().find(|made| made.flow == name);
            let made = made.expect("only these were given");
            assert_eq!(step["accepted"], true, "{step}");
            assert_eq!(step["claims"]["aud"], machine::AUDIENCE, "{step}");
            assert_eq!(step["claims"]["email"].as_str(), made.email, "{step}");
        }
    }
}

/// What this library's verifier says of a token that the emulator signed: the same with both forms
/// of keys.
fn ours(emulator: &Emulator, token: &str) -> gce_auth::VerifiedClaims {
    let url = emulator.url();
    let [by_jwks, by_certificates] = [
        IdTokenVerifier::builder().jwks_url(format!("{url}/oauth2/v3/certs")),
        IdTokenVerifier::builder().certs_url(format!("{url}/oauth2/v1/certs")),
    ]
    .map(|builder| {
        let verifier = builder.audience(machine::AUDIENCE).build();
        let verifier = verifier.expect("nothing of it is senseless");
        let claims = verifier.blocking_verify(token);
        claims.unwrap_or_else(|error| panic!("{error}"))
    });
    assert_eq!(by_jwks, by_certificates);
    by_jwks
}

/// What this library's verifier says of an agent's token.
fn of_an_agent(emulator: &Emulator, token: &str) -> gce_auth::VerifiedClaims {
    let payload = token.split('.').nth(1).expect("a JWT has three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    let issuer = payload["iss"].as_str().expect("an issuer");
    let path = issuer
        .strip_prefix("https://sts.googleapis.com")
        .expect("an issuer of pools");
    let domain = path.rsplit('/').next().expect("a trust domain");
    let verifier = IdTokenVerifier::builder()
        .audience(machine::AUDIENCE)
        .agents(domain)
        .jwks_url(format!("{}{path}/openid/jwks", emulator.url()))
        .build();
    let verifier = verifier.unwrap_or_else(|error| panic!("{domain}: {error}"));
    let claims = verifier.blocking_verify(token);
    claims.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn tokens_of_google_s_libraries_are_accepted_here() {
    let [rsa, ec] = forge::pkcs8().map(|der| pem("PRIVATE KEY", &der));
    let keys = file("keys.json", &json!({"rsa": rsa, "ec": ec}));
    for (client, count) in [
        (interop::python(foreign::target(), "issue.py"), 7),
        (interop::node(foreign::target(), "issue.js"), 5),
    ] {
        let Some(client) = interop::ready_or_skip(client) else {
            continue;
        };
        let emulator = emulator();
        let url = emulator.url();
        let environment = [
            ("EMAIL", machine::EMAIL.to_owned()),
            ("IAM_URL", url.clone()),
            ("KEYS", keys.clone()),
            ("TOKEN_URL", format!("{url}/token")),
        ];
        let seen = foreign::run(&client, &emulator, &environment);
        let made: Vec<&Value> = seen.all("made").collect();
        assert_eq!(made.len(), count);
        for step in made {
            let token = step["token"].as_str().unwrap_or_default();
            let claims = if step["by_given_keys"] == true {
                // Signed with the given key, in the name of Google or of the account.
                let verifier = IdTokenVerifier::builder()
                    .audience(machine::AUDIENCE)
                    .issuer("https://accounts.google.com")
                    .issuer(machine::EMAIL)
                    .keys(forge::jwks())
                    .build()
                    .expect("nothing of it is senseless");
                let claims = verifier.blocking_verify(token);
                claims.unwrap_or_else(|error| panic!("{}: {error}", step["how"]))
            } else {
                ours(&emulator, token)
            };
            let said = claims.email().unwrap_or_else(|| claims.issuer());
            assert_eq!(said, machine::EMAIL, "{}", step["how"]);
            assert_eq!(claims.audience(), machine::AUDIENCE);
        }
    }
}
