//! Readers of files and of what programs and servers beside Google say.

use crate::{
    values::error::{Error, ErrorKind},
    wire::{
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
            assert!(user.renewal.is_some() || user.saved.is_some());
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

fn line(error: &Error) {
    let said = error.to_string();
    assert!(!said.contains('\n') && said.len() < 4096, "{said}");
}
