//! What the metadata server and IAM answer, through the library.

use std::time::{Duration, SystemTime};

use gce_auth::{AccountInfo, Credentials, ErrorKind, IdTokenCredentials, MetadataClient, Signer};

use crate::{clock, cmd::doctor::report::Finding, exit::Exit, text};

/// The clock skew above which services refuse ID tokens.
const SKEW: Duration = Duration::from_secs(30);
/// The remaining lifetime below which a token may expire in use.
const SHORT: Duration = Duration::from_secs(225);
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(crate) fn firmware(client: &MetadataClient) -> Finding {
    Finding::good(match client.detect_dmi() {
        Some(true) => "made by Google",
        Some(false) => "not made by Google",
        None => "does not tell the maker of this machine",
    })
}

/// Compares this machine's clock with the server's.
pub(crate) fn clock(server: SystemTime) -> Finding {
    let here = clock::now();
    let (apart, which) = match here.duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart <= SKEW {
        return Finding::good("the same as the server's");
    }
    Finding::warning(
        format!("{} {which} the server's", text::lasting(apart)),
        "services refuse ID tokens and signatures when clocks differ; synchronize this machine's \
         clock with metadata.google.internal (NTP)",
    )
}

pub(crate) fn account(credentials: &Credentials) -> (Finding, Option<AccountInfo>) {
    match credentials.blocking_account() {
        Ok(account) => {
            let aliases = account.aliases().join(", ");
            let found = format!("{} ({aliases})", account.email());
            (Finding::good(found), Some(account))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (
            Finding::failed(
                Exit::NotFound,
                "no such service account is attached",
                "attach a service account to this machine, or name with --account one that is",
            ),
            None,
        ),
        Err(error) => (Finding::of(&error), None),
    }
}

pub(crate) fn scopes(scopes: &[String]) -> Finding {
    if scopes.is_empty() {
        return Finding::failed(
            Exit::Failed,
            "none",
            "the machine gets no tokens; stop it and set its scopes to cloud-platform",
        );
    }
    let found = scopes.join(" ");
    if scopes.iter().any(|scope| scope == CLOUD_PLATFORM) {
        return Finding::good(found);
    }
    Finding::warning(
        found,
        "scopes limit tokens whatever IAM allows; set the machine's scopes to cloud-platform, and \
         limit it in IAM",
    )
}

pub(crate) fn access_token(credentials: &Credentials) -> Finding {
    let token = match credentials.blocking_token() {
        Ok(token) => token,
        Err(error) => return Finding::of(&error),
    };
    let found = format!(
        "{} characters, {}",
        token.secret().len(),
        clock::validity(token.expires_at())
    );
    match token.expires_at().map(clock::left) {
        Some(left) if left < SHORT => Finding::warning(
            found,
            "it may expire in use; the server should have renewed it by now",
        ),
        _ => Finding::good(found),
    }
}

pub(crate) fn id_token(client: &MetadataClient, account: &str) -> Finding {
    let token = IdTokenCredentials::builder("https://gce-auth.invalid/doctor")
        .client(client.clone())
        .service_account(account)
        .build()
        .and_then(|credentials| credentials.blocking_token());
    match token {
        Ok(token) => Finding::good(format!(
            "{} characters, {}",
            token.secret().len(),
            clock::validity(token.expires_at())
        )),
        Err(error) => Finding::of(&error),
    }
}

/// Has IAM sign; a failure is a warning, as few programs need signatures.
pub(crate) fn signature(credentials: &Credentials, url: Option<&str>) -> Finding {
    let mut builder = Signer::builder().credentials(credentials.clone());
    if let Some(url) = url {
        builder = builder.iam_endpoint(url);
    }
    let signed = builder
        .build()
        .and_then(|signer| signer.blocking_sign_bytes(b"gce-auth doctor"));
    match signed {
        Ok(signature) => Finding::good(format!("IAM signs, with key {}", signature.key_id())),
        Err(error) => Finding::of(&error).into_warning(),
    }
}

pub(crate) fn project(client: &MetadataClient) -> Finding {
    match client.blocking_project_id() {
        Ok(id) => Finding::good(id),
        Err(error) => Finding::of(&error),
    }
}

pub(crate) fn universe(client: &MetadataClient) -> Finding {
    match client.blocking_universe_domain() {
        Ok(domain) => Finding::good(domain),
        Err(error) => Finding::of(&error),
    }
}
