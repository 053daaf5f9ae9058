//! `authorized_user`: what `gcloud auth application-default login` writes.

use std::time::Duration;

use crate::{
    values::{error::Error, secret::SecretText},
    wire::{
        credentials_file::{fields::Fields, written::Written},
        date,
    },
};

const REMEDY: &str = "run `gcloud auth application-default login` again";

/// A user, by a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AuthorizedUser {
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretText,
    pub(crate) refresh_token: SecretText,
    /// Where the token is asked for; used only at a host that was trusted by
    /// name, as google-auth asks Google whatever the file says.
    pub(crate) token_uri: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    /// A proof of reauthentication.
    pub(crate) rapt_token: Option<SecretText>,
    /// An access token, and when it expires since the Unix epoch: long ago
    /// where the file does not say, as in google-auth.
    pub(crate) saved: Option<(SecretText, Duration)>,
    pub(crate) account: Option<String>,
    pub(crate) quota_project_id: Option<String>,
    pub(crate) universe_domain: Option<String>,
}

impl AuthorizedUser {
    /// Writes the file with these in place of what was read.
    pub(crate) fn written(
        &self,
        refresh_token: &SecretText,
        token_uri: &str,
        universe_domain: &str,
        scopes: Option<&[String]>,
    ) -> Written {
        Written::new("authorized_user")
            .with("client_id", Some(&*self.client_id))
            .with("client_secret", Some(self.client_secret.reveal()))
            .with("refresh_token", Some(refresh_token.reveal()))
            .with("token_uri", Some(token_uri))
            .with("scopes", scopes)
            .with(
                "rapt_token",
                self.rapt_token.as_ref().map(SecretText::reveal),
            )
            .with("account", self.account.as_deref())
            .with("universe_domain", Some(universe_domain))
    }
}

pub(super) fn read(fields: Fields<'_>) -> Result<AuthorizedUser, Error> {
    let fields = fields.with_remedy(REMEDY);
    Ok(AuthorizedUser {
        client_id: fields.required("client_id")?.to_owned(),
        client_secret: fields.secret("client_secret")?,
        refresh_token: fields.secret("refresh_token")?,
        token_uri: fields.filled("token_uri")?,
        scopes: fields.scopes("scopes")?,
        rapt_token: fields.optional_secret("rapt_token")?,
        saved: saved(&fields)?.map(|(token, expiry)| (token, expiry.unwrap_or_default())),
        account: fields.filled("account")?,
        quota_project_id: fields.quota_project()?,
        universe_domain: fields.filled("universe_domain")?,
    })
}

/// The saved access token, and when it expires, where the file says so.
pub(super) fn saved(fields: &Fields<'_>) -> Result<Option<(SecretText, Option<Duration>)>, Error> {
    let expiry = match fields.filled("expiry")? {
        None => None,
        Some(text) => Some(
            date::utc(&text)
                .ok_or_else(|| fields.wrong("expiry", "is no time like 2026-11-28T16:00:00Z"))?,
        ),
    };
    let token = fields.optional_secret("token")?;
    Ok(token.map(|token| (token, expiry)))
}
