//! What a Rust program on Google Cloud does with google-cloud-auth, google-cloud-metadata and
//! object_store, step by step.
//!
//! Nothing here knows that an emulator may answer: the metadata server is found through the
//! libraries' own environment variables. The addresses of the services beside it, which the
//! libraries would take from their built-in defaults, come from `TOKENINFO_URL` and `JWKS_URL`, and
//! the audience from `AUDIENCE`.
//!
//! Each step prints one JSON document on a line of its own. A token is shown only by its length and
//! the beginning of its SHA-256.

mod files;
mod real_address;

use std::{env, error::Error};

use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials,
    idtoken::{self, mds::Format, verifier},
    mds,
};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const AUTH: &str = "google-cloud-auth";
const METADATA: &str = "google-cloud-metadata";
const STORE: &str = "object_store";
const HTTP: &str = "reqwest";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // google-cloud-auth asks for this where its own TLS is switched off.
    let _ = rustls::crypto::ring::default_provider().install_default();

    if env::args().nth(1).as_deref() == Some("real-address") {
        return real_address::tokens().await;
    }
    for name in [AUTH, METADATA, STORE, HTTP] {
        println!(
            "{}",
            json!({"step": "library", "name": name, "version": version(name)})
        );
    }
    if let Ok(folder) = env::var("ADC_FOLDER") {
        return files::tokens(&folder).await;
    }
    if env::args().nth(1).as_deref() == Some("default") {
        return access_token(&default()?).await;
    }
    metadata().await?;
    authentication().await?;
    storage().await?;
    by_hand().await
}

async fn metadata() -> Result<()> {
    say(
        METADATA,
        "detection",
        json!({"present": google_cloud_metadata::on_gce().await}),
    );
    say(
        METADATA,
        "project",
        json!({"id": google_cloud_metadata::project_id().await}),
    );
    let email = google_cloud_metadata::email("default").await?;
    say(METADATA, "account", json!({"email": email}));
    Ok(())
}

/// Found as the last of the application default credentials.
fn default() -> Result<Credentials> {
    Ok(Builder::default().build()?)
}

async fn access_token(credentials: &Credentials) -> Result<()> {
    let CacheableResource::New { data: headers, .. } =
        credentials.headers(Default::default()).await?
    else {
        return Err("no headers".into());
    };
    let token = headers["authorization"]
        .to_str()?
        .trim_start_matches("Bearer ")
        .to_owned();
    say(AUTH, "access_token", json!({"token": redacted(&token)}));
    say(AUTH, "access_token_info", tokeninfo(&token).await?);
    Ok(())
}

async fn authentication() -> Result<()> {
    let default = default()?;
    access_token(&default).await?;
    say(
        AUTH,
        "universe",
        json!({"domain": default.universe_domain().await}),
    );

    let scoped = mds::Builder::default()
        .with_quota_project_id("other-project")
        .with_scopes(["https://www.googleapis.com/auth/pubsub"])
        .build()?;
    let CacheableResource::New { data: headers, .. } = scoped.headers(Default::default()).await?
    else {
        return Err("no headers".into());
    };
    let quota = headers
        .get("x-goog-user-project")
        .map(|value| value.to_str())
        .transpose()?;
    say(AUTH, "quota_project", json!({"id": quota}));

    let audience = env::var("AUDIENCE")?;
    let identities = idtoken::mds::Builder::new(&audience)
        .with_format(Format::Full)
        .with_licenses(true)
        .build()?;
    let identity = identities.id_token().await?;
    say(AUTH, "id_token", json!({"token": redacted(&identity)}));

    let jwks = env::var("JWKS_URL")?;
    let email = google_cloud_metadata::email("default").await?;
    let verifier = |audience: &str| {
        verifier::Builder::new([audience])
            .with_jwks_url(&jwks)
            .with_email(&email)
            .build()
    };
    let claims = verifier(&audience).verify(&identity).await?;
    say(AUTH, "id_token_verified", json!({"claims": claims}));
    let other = verifier("https://other.example.com")
        .verify(&identity)
        .await;
    say(AUTH, "other_audience", json!({"refused": other.is_err()}));
    Ok(())
}

async fn storage() -> Result<()> {
    let store = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name("orders")
        .build()?;
    let credential = store.credentials().get_credential().await?;
    let GcpCredential { bearer, .. } = credential.as_ref();
    say(STORE, "access_token", json!({"token": redacted(bearer)}));
    say(STORE, "access_token_info", tokeninfo(bearer).await?);

    // Whom it would sign URLs for.
    let signer = store.signing_credentials().get_credential().await?;
    say(STORE, "account", json!({"email": signer.email}));
    Ok(())
}

/// What none of the libraries reads.
async fn by_hand() -> Result<()> {
    say(
        HTTP,
        "project",
        json!({"number": value("project/numeric-project-id").await?}),
    );
    say(
        HTTP,
        "machine",
        json!({"id": value("instance/id").await?, "zone": value("instance/zone").await?}),
    );
    say(
        HTTP,
        "attribute",
        json!({"value": value("instance/attributes/color").await?}),
    );
    let scopes = value("instance/service-accounts/default/scopes").await?;
    let scopes: Vec<&str> = scopes.lines().collect();
    say(HTTP, "account", json!({"scopes": scopes}));
    Ok(())
}

async fn value(path: &str) -> Result<String> {
    let host = env::var("GCE_METADATA_HOST").unwrap_or("metadata.google.internal".into());
    let request = reqwest::Client::new()
        .get(format!("http://{host}/computeMetadata/v1/{path}"))
        .header("Metadata-Flavor", "Google");
    let response = request.send().await?.error_for_status()?;
    Ok(response.text().await?)
}

async fn tokeninfo(token: &str) -> Result<Value> {
    let response = reqwest::Client::new()
        .get(env::var("TOKENINFO_URL")?)
        .query(&[("access_token", token)])
        .send()
        .await?;
    let info: Value = response.error_for_status()?.json().await?;
    Ok(json!({"email": info["email"], "principal": info["principal"], "scope": info["scope"]}))
}

fn say(library: &str, step: &str, mut found: Value) {
    found["library"] = library.into();
    found["step"] = step.into();
    println!("{found}");
}

fn redacted(token: &str) -> Value {
    let sum: String = Sha256::digest(token)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({"length": token.len(), "sha256": sum})
}

/// The version of a library in this program's own lock file, the newest if there are several.
fn version(name: &str) -> Option<&'static str> {
    let (_, rest) =
        include_str!("../Cargo.lock").rsplit_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}
