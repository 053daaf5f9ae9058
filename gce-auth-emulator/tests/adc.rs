//! Credentials files that lead to the emulator, each used as its kind is used, and the files of
//! agents.

#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod client;

use std::{fs, path::PathBuf};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use client::{
    cloud::{ACCESS_TOKEN, EXCHANGE, SCOPE, claims, iam, now, post, token_info},
    get, request, token,
};
use gce_auth_emulator::{AdcKind, AgentIdentity, Emulator, Fault, FaultRule};
use serde_json::{Value, json};

const AGENT: &str = "spiffe://agents.global.proj-7.system.id.goog/resources/run/one";
const POOL: &str =
    "projects/7/locations/global/workloadIdentityPools/agents.global.proj-7.system.id.goog";

fn document(emulator: &Emulator, kind: AdcKind) -> Value {
    serde_json::from_str(&emulator.adc(kind).unwrap()).unwrap()
}

/// The path of an address, which must be the emulator's.
fn path(emulator: &Emulator, url: &Value) -> String {
    let path = url.as_str().unwrap().strip_prefix(&emulator.url());
    path.unwrap_or_else(|| panic!("{url}")).to_owned()
}

fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Buys a token with the key of a service account's file, as its clients do.
fn buy(emulator: &Emulator, file: &Value) -> String {
    let pem: String = file["private_key"]
        .as_str()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(pem).unwrap()).unwrap();
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let now = now(emulator);
    let claims = json!({"iss": file["client_email"], "aud": file["token_uri"], "scope": SCOPE, "iat": now, "exp": now + 3600});
    let message = format!(
        "{}.{}",
        part(&json!({"alg": "RS256", "kid": file["private_key_id"]})),
        part(&claims)
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let assertion = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    let host = emulator.addr().to_string();
    let target = path(emulator, &file["token_uri"]);
    let answer = post(emulator, &target, &fields, &[("Host", &host)]);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn each_kind_of_file_gives_tokens_in_strict_mode_too() {
    for strict in [false, true] {
        let builder = Emulator::builder().project_id("my-project");
        let emulator = builder.strict(strict).start().unwrap();
        let emulator = &emulator;
        let robot = get(emulator.addr(), "instance/service-accounts/default/email");

        let user = document(emulator, AdcKind::AuthorizedUser);
        let text = |name: &str| user[name].as_str().unwrap();
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", text("client_id")),
            ("client_secret", text("client_secret")),
            ("refresh_token", text("refresh_token")),
        ];
        let host = emulator.addr().to_string();
        let answer = post(
            emulator,
            &path(emulator, &user["token_uri"]),
            &fields,
            &[("Host", &host)],
        );
        let access = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(
            token_info(emulator, &access, &[]).json()["email"],
            user["account"]
        );

        let key = document(emulator, AdcKind::ServiceAccount);
        assert_eq!(
            (&key["client_email"], &key["project_id"]),
            (&json!(robot.text()), &json!("my-project"))
        );
        let access = buy(emulator, &key);
        assert_eq!(
            token_info(emulator, &access, &[]).json()["email"],
            robot.text()
        );

        let impersonated = document(emulator, AdcKind::Impersonated);
        let source = buy(emulator, &impersonated["source_credentials"]);
        let url = path(emulator, &impersonated["service_account_impersonation_url"]);
        let call = url.strip_prefix("/v1/projects/-/serviceAccounts/").unwrap();
        let made = iam(
            emulator,
            &source,
            call,
            &json!({"scope": [SCOPE], "delegates": impersonated["delegates"]}),
        );
        let access = made.json()["accessToken"].as_str().unwrap().to_owned();
        assert_eq!(
            token_info(emulator, &access, &[]).json()["email"],
            robot.text()
        );

        let external = document(emulator, AdcKind::ExternalAccount);
        let source = &external["credential_source"];
        let target = path(emulator, &source["url"]);
        let headers = [(
            "Metadata-Flavor",
            source["headers"]["Metadata-Flavor"].as_str().unwrap(),
        )];
        let subject = request(emulator.addr(), "GET", &target, &headers, b"");
        let fields = [
            ("grant_type", EXCHANGE),
            ("audience", external["audience"].as_str().unwrap()),
            ("scope", SCOPE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", subject.text()),
            (
                "subject_token_type",
                external["subject_token_type"].as_str().unwrap(),
            ),
        ];
        let answer = post(
            emulator,
            &path(emulator, &external["token_url"]),
            &fields,
            &[],
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        let access = answer.json()["access_token"].as_str().unwrap().to_owned();
        let blob = iam(
            emulator,
            &access,
            &format!("{}:signBlob", robot.text()),
            &json!({"payload": "AAAA"}),
        );
        assert_eq!(blob.status, 200, "{}", blob.text());
    }
}

#[test]
fn a_file_is_written_for_its_owner_alone() {
    let emulator = Emulator::builder().start().unwrap();
    let directory = directory("adc");
    for kind in AdcKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        let path = emulator.write_adc(&directory, kind).unwrap();
        assert_eq!(path, directory.join("application_default_credentials.json"));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            emulator.adc(kind).unwrap()
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
    assert!("service-account".parse::<AdcKind>().is_err());
    assert!(
        emulator
            .write_adc(directory.join("none"), AdcKind::AuthorizedUser)
            .is_err()
    );
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn an_agent_s_tokens_are_bound_and_have_the_issuer_of_its_pool() {
    let emulator = Emulator::builder().start().unwrap();
    let agent = AgentIdentity::new(AGENT).unwrap();
    let bind = |leaf: &str, chain: &str| {
        let target = format!("/computeMetadata/v1/instance/service-accounts/default/{leaf}");
        let headers = [
            ("Metadata-Flavor", "Google"),
            ("Content-Type", "application/json"),
        ];
        let body = json!({"certificate_chain": chain}).to_string();
        request(emulator.addr(), "POST", &target, &headers, body.as_bytes())
    };
    let full = claims(bind("identity?audience=a&format=full", agent.certificate()).text());
    assert_eq!(full["iss"], format!("https://sts.googleapis.com/v1/{POOL}"));
    assert_eq!((&full["sub"], &full["aud"]), (&json!(AGENT), &json!("a")));
    let thumbprint = {
        let der: String = agent
            .certificate()
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let digest = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            &BASE64_STANDARD.decode(der).unwrap(),
        );
        BASE64_URL_SAFE_NO_PAD.encode(digest)
    };
    assert_eq!(full["cnf"], json!({"x5t#S256": thumbprint}));
    let standard = claims(bind("identity?audience=a", agent.certificate()).text());
    assert_eq!(
        (&standard["iss"], standard.get("cnf")),
        (&full["iss"], None)
    );
    let stranger = AgentIdentity::new("spiffe://example.com/x").unwrap();
    let own = claims(bind("identity?audience=a&format=full", stranger.certificate()).text());
    assert_eq!(own["iss"], "https://accounts.google.com");
    let bound = bind("token", agent.certificate()).json();
    assert_ne!(bound["access_token"], token(emulator.addr(), "default"));

    // The issuer leads to its keys, which verify the token.
    let at = |path: &str| {
        request(
            emulator.addr(),
            "GET",
            path,
            &[("Host", "localhost:1")],
            b"",
        )
        .json()
    };
    let discovery = at(&format!("/v1/{POOL}/.well-known/openid-configuration"));
    assert_eq!(discovery["issuer"], full["iss"]);
    assert_eq!(
        discovery["jwks_uri"],
        format!("http://localhost:1/v1/{POOL}/openid/jwks")
    );
    assert_eq!(
        at(&format!("/v1/{POOL}/openid/jwks")),
        at("/oauth2/v3/certs")
    );
}

#[test]
fn a_rotation_goes_wrong_on_request() {
    let emulator = Emulator::builder().start().unwrap();
    let directory = directory("agent");
    let (old, next) = (
        AgentIdentity::new(AGENT).unwrap(),
        AgentIdentity::new(AGENT).unwrap(),
    );
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    old.write(&directory).unwrap();
    assert_eq!(read("certificates.pem"), old.certificate());
    let config: Value = serde_json::from_str(&read("certificate_config.json")).unwrap();
    let key = config["cert_configs"]["workload"]["key_path"]
        .as_str()
        .unwrap();
    assert_eq!(fs::read_to_string(key).unwrap(), old.private_key());
    old.write_half_rotated(&next, &directory).unwrap();
    assert_eq!(
        (
            read("certificates.pem").as_str(),
            read("private_key.pem").as_str()
        ),
        (next.certificate(), old.private_key())
    );
    let bundle = read("x509.credential-bundle.private-key.pem");
    assert_eq!(
        bundle,
        format!("{}{}", next.certificate(), old.private_key())
    );

    let missing = Fault::Status {
        code: 404,
        retry_after: None,
    };
    let rule = FaultRule::new(missing)
        .path("instance/service-accounts/")
        .method("POST");
    emulator.add_fault(rule);
    let target = "/computeMetadata/v1/instance/service-accounts/default/token";
    let body = json!({"certificate_chain": old.certificate()}).to_string();
    let headers = [("Metadata-Flavor", "Google")];
    assert_eq!(
        request(emulator.addr(), "POST", target, &headers, body.as_bytes()).status,
        404
    );
    assert_eq!(
        request(emulator.addr(), "GET", target, &headers, b"").status,
        200
    );
    fs::remove_dir_all(&directory).unwrap();
}
