//! Readers of files and of what programs and servers beside Google say.

use crate::{
    io::crypto,
    values::{
        access_boundary::CredentialAccessBoundary,
        error::{Error, ErrorKind},
        secret::SecretText,
    },
    wire::{
        aws::{self, Hashes, Keys},
        credentials_file::{self, Document},
        executable, gcloud_config, private_key,
        subject_token::{self, Format},
    },
};

/// A credentials file of any type.
pub fn credentials_file(bytes: &[u8]) {
    match credentials_file::read("`/f`", bytes) {
        Ok(document) => check(&document),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            line(&error);
            assert!(error.to_string().starts_with("`/f`: "));
        }
    }
}

fn check(document: &Document) {
    match document {
        Document::AuthorizedUser(user) => {
            assert!(!user.client_id.is_empty() && !user.refresh_token.reveal().is_empty());
        }
        Document::ServiceAccount(key) => {
            assert!(!key.client_email.is_empty() && !key.token_uri.is_empty());
            // Whatever is in it, it is a key or refused with a reason.
            if let Err(why) = private_key::read(key.private_key.reveal()) {
                assert!(!why.is_empty());
            }
        }
        Document::Impersonated(account) => {
            assert!(!account.target.is_empty() && account.url.contains(&account.target));
            check(&account.source);
        }
        Document::ExternalAccount(account) => {
            assert!(!account.audience.is_empty() && !account.token_url.is_empty());
        }
        Document::ExternalUser(user) => {
            assert!(user.renewal().is_some() || user.saved.is_some());
        }
    }
}

/// What an executable prints, its command line, a subject token in JSON and a
/// configuration of gcloud: the same bytes as each of them.
pub fn subject(bytes: &[u8]) {
    let format = Format::Json {
        field: "id_token".to_owned(),
    };
    for format in [&Format::Text, &format] {
        match subject_token::read("`/f`", bytes, format) {
            Ok(token) => assert!(!token.reveal().is_empty()),
            Err(error) => line(&error),
        }
    }
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(bytes) {
        match executable::answer(fields, std::time::Duration::from_secs(1_700_000_000)) {
            Ok(executable::Answer::Nothing(error)) | Err(error) => line(&error),
            Ok(executable::Answer::Token { .. }) => {}
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(words) = executable::words(text) {
            let length: usize = words.iter().map(String::len).sum();
            assert!(length <= text.len(), "nothing is made up");
        }
        if let Some(project) = gcloud_config::project(text) {
            assert!(!project.is_empty() && text.contains(&project));
        }
        if let Some(file) = gcloud_config::file(Some(text), None) {
            assert!(!file.contains("..") && file.matches('/').count() == 1);
        }
    }
}

/// What the metadata server of AWS says: the keys of a role, then the same bytes as its zone, its
/// role and the URL that a request is signed for.
pub fn aws(bytes: &[u8]) {
    let keys = match aws::keys(bytes) {
        Ok(keys) => {
            assert!(!keys.id.is_empty() && !keys.secret.reveal().is_empty());
            keys
        }
        Err(error) => {
            line(&error);
            Keys {
                id: "id".to_owned(),
                secret: SecretText::new("secret-of-aws"),
                session_token: None,
            }
        }
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let region = aws::region_of(text);
    assert!(text.starts_with(region));
    let url = aws::keys_url("http://127.0.0.1/roles", text);
    assert!(!url.contains(|c: char| c.is_control() || c == ' '));
    let hashes = Hashes {
        sha256: crypto::sha256,
        hmac: crypto::hmac_sha256,
    };
    let time = std::time::Duration::from_secs(1_700_000_000);
    // Many places for a long region would be a file's own doing.
    for (url, region) in [
        (text, "us-east-2"),
        ("https://sts.{region}.amazonaws.com?Version=1", region),
    ] {
        match aws::subject_token(url, region, &keys, "//iam.googleapis.com/p", time, hashes) {
            Ok(token) => {
                let plain = |byte: u8| byte.is_ascii_graphic();
                assert!(token.reveal().bytes().all(plain));
                // Hosts are written in lower case.
                let quoted = text.to_ascii_lowercase().contains("secret-of-aws");
                assert!(quoted || !token.reveal().contains("secret-of-aws"));
            }
            Err(error) => line(&error),
        }
    }
}

/// The file of a Credential Access Boundary.
pub fn boundary(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match CredentialAccessBoundary::from_json(text) {
        Ok(boundary) => {
            assert!(boundary.rules().len() <= 10);
            let again = CredentialAccessBoundary::from_json(&boundary.to_json());
            assert_eq!(
                again.map(|again| again.to_json()).ok(),
                Some(boundary.to_json())
            );
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            line(&error);
        }
    }
}

fn line(error: &Error) {
    let said = error.to_string();
    assert!(!said.contains('\n') && said.len() < 4096, "{said}");
}
