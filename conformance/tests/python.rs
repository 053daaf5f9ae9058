//! google-auth for Python against the emulator: programs as its users write them find everything
//! that the emulator was told, and what they verified is what the emulator issued.

mod foreign;

use std::{fs, path::Path};

use gce_auth_conformance::interop::{self, Judge, machine};
use gce_auth_emulator::RecordedRequest;
use serde_json::json;

const TOKEN: &str = "instance/service-accounts/default/token";
const IDENTITY: &str = "instance/service-accounts/default/identity";
const IAM: &str = "/v1/projects/-/serviceAccounts/worker@interop-project.iam.gserviceaccount.com";
/// The SPIFFE id in `clients/python/agent.pem`.
const AGENT: &str = "spiffe://agents.global.org-731946205118.system.id.goog/resources/run/projects/\
    731946205118/locations/europe-west4/services/orders";

/// Turns on the lookup of regional access boundaries in google-auth.
const BOUNDARIES: &str = "GOOGLE_SDK_EXPERIMENTAL_PYTHON_REGIONAL_ACCESS_BOUNDARY_LOOKUP_ENABLED";

#[test]
fn google_auth_finds_and_verifies_what_the_emulator_was_told() {
    let [Some(client), Some(keyless), Some(bound)] = ["client.py", "keyless.py", "bound.py"]
        .map(|program| interop::ready_or_skip(interop::python(foreign::target(), program)))
    else {
        return;
    };

    let emulator = foreign::emulator().start().unwrap();
    let seen = foreign::run(&client, &emulator, &[]);
    let mut judge = Judge::new("Python", &seen);
    let access = seen.step("access_token");
    let identity = seen.step("id_token");
    judge
        .library("google-auth")
        .detection()
        .finds("detection", &seen.step("on_gce")["by_detection"], true)
        .project()
        .project_number()
        .zone()
        .instance()
        .attribute()
        .email()
        .scopes()
        .universe()
        .access_token()
        .finds("access token", &access["valid"], true)
        .finds("access token", &access["email"], machine::EMAIL)
        .finds("access token", &access["universe"], machine::UNIVERSE)
        .id_token()
        .finds("ID token", &identity["valid"], true)
        .left("ID token", &identity["seconds_left"], 3600)
        .claims("ID token by JWK set", "id_token_by_jwks")
        .claims("fetch_id_token", "fetch_id_token")
        .finds(
            "default credentials",
            seen.step("default"),
            json!({
                "step": "default",
                "type": "google.auth.compute_engine.credentials",
                "project": machine::PROJECT,
            }),
        );

    let requests = emulator.requests();
    for path in [
        "/",
        "/computeMetadata/v1/project/project-id",
        &format!("/computeMetadata/v1/{TOKEN}"),
        &format!("/computeMetadata/v1/{IDENTITY}"),
    ] {
        let request = requests
            .iter()
            .find(|request| request.path == path)
            .unwrap_or_else(|| panic!("google-auth did not ask for {path}: {requests:#?}"));
        assert_asked_by_google_auth(request);
    }

    sign_without_a_key(&mut judge, &keyless);
    bind_tokens(&mut judge, &bound);
    judge.verdict();
}

/// The flow through the IAM Credentials API, and the boundary that is looked up there. Neither
/// exists outside Google's own universe.
fn sign_without_a_key(judge: &mut Judge<'_>, client: &interop::Client) {
    let emulator = foreign::emulator()
        .set("universe/universe-domain", "googleapis.com")
        .set(
            "instance/service-accounts/default/scopes",
            "https://www.googleapis.com/auth/cloud-platform",
        )
        .start()
        .expect("an emulator starts");
    let url = emulator.url();
    let seen = foreign::run(
        client,
        &emulator,
        &[
            ("TOKEN_URL", format!("{url}/token")),
            ("IAM_URL", url),
            // Off by default since 2.63.
            (BOUNDARIES, "true".to_owned()),
        ],
    );

    let identity = &seen.step("id_token")["claims"];
    let signature = seen.step("signature");
    judge
        .finds(
            "ID token signed by IAM",
            &identity["aud"],
            machine::AUDIENCE,
        )
        .finds("ID token signed by IAM", &identity["email"], machine::EMAIL)
        .finds("ID token signed by IAM", &identity["team"], "orders")
        .finds("signBlob", &signature["signer"], machine::EMAIL)
        .finds("signBlob", &signature["length"], 256)
        .finds("signBlob", &signature["verified"], true)
        .finds("signBlob", &signature["of_another"], false)
        .finds(
            "regional access boundary",
            &seen.step("boundary")["header"],
            "0xA30",
        );

    assert_eq!(emulator.request_count("/token"), 1);
    assert_eq!(emulator.request_count(&format!("{IAM}:signBlob")), 2);
    assert_ne!(
        emulator.request_count(&format!("{IAM}/allowedLocations")),
        0
    );
    assert_eq!(emulator.request_count(IDENTITY), 0);
}

/// Tokens for a certificate that the platform gave the program.
fn bind_tokens(judge: &mut Judge<'_>, client: &interop::Client) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python");
    let configuration = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificate_config.json");
    let text = json!({
        "cert_configs": {"workload": {"cert_path": sources.join("agent.pem")}},
    });
    fs::write(&configuration, text.to_string()).expect("the target folder can be written");

    let emulator = foreign::emulator().start().expect("an emulator starts");
    let configuration = configuration.to_string_lossy().into_owned();
    let seen = foreign::run(
        client,
        &emulator,
        &[("GOOGLE_API_CERTIFICATE_CONFIG", configuration)],
    );

    let info = seen.step("access_token_info");
    let claims = &seen.step("id_token")["claims"];
    judge
        .left(
            "bound access token",
            &seen.step("access_token")["seconds_left"],
            machine::TOKEN_LIFETIME,
        )
        .finds("bound access token", &info["email"], machine::EMAIL)
        .finds("bound ID token", &claims["aud"], machine::AUDIENCE)
        // It is the agent's own: the subject is the SPIFFE id of the certificate.
        .finds("bound ID token", &claims["sub"], AGENT);

    let certificate = fs::read_to_string(sources.join("agent.pem")).expect("it is checked in");
    for path in [TOKEN, IDENTITY] {
        let path = format!("/computeMetadata/v1/{path}");
        let requests = emulator.requests();
        let asked: Vec<&RecordedRequest> = requests
            .iter()
            .filter(|request| request.path == path)
            .collect();
        assert_eq!(asked.len(), 1, "{requests:#?}");
        assert_eq!(asked[0].method, "POST");
        assert_eq!(asked[0].header("content-type"), Some("application/json"));
        assert!(asked[0].body_length > certificate.len());
    }
}

fn assert_asked_by_google_auth(request: &RecordedRequest) {
    assert_eq!(request.header("metadata-flavor"), Some("Google"));
    let agent = request.header("user-agent").unwrap_or_default();
    assert!(agent.starts_with("python-requests/"), "{request:?}");

    // google-auth says who it is wherever it counts its calls.
    let counted = request.path != "/computeMetadata/v1/project/project-id";
    let api_client = request.header("x-goog-api-client").unwrap_or_default();
    assert_eq!(api_client.contains("auth/2.63.0"), counted, "{request:?}");
    assert_eq!(api_client.contains("gl-python/"), counted, "{request:?}");
}
