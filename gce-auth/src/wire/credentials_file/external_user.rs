//! `external_account_authorized_user`: a workforce user, by a refresh token
//! (what `gcloud auth application-default login --login-config` writes).

use std::time::Duration;

use crate::{
    values::{error::Error, secret::SecretText},
    wire::credentials_file::{authorized_user::saved, fields::Fields, written::Written},
};

const REMEDY: &str = "run `gcloud auth application-default login --login-config=FILE` again";

/// A user of a workforce pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExternalUser {
    pub(crate) audience: Option<String>,
    pub(crate) token_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretText>,
    refresh_token: Option<SecretText>,
    /// An access token, and when it expires, where the file says so.
    pub(crate) saved: Option<(SecretText, Option<Duration>)>,
    pub(crate) token_info_url: Option<String>,
    pub(crate) revoke_url: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) quota_project_id: Option<String>,
    pub(crate) universe_domain: Option<String>,
}

/// What a token is asked for with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renewal<'a> {
    pub(crate) token_url: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a SecretText,
    pub(crate) refresh_token: &'a SecretText,
}

impl ExternalUser {
    /// What it takes to ask for tokens; `None` where there is only a saved one.
    pub(crate) fn renewal(&self) -> Option<Renewal<'_>> {
        Some(Renewal {
            token_url: self.token_url.as_deref()?,
            client_id: self.client_id.as_deref()?,
            client_secret: self.client_secret.as_ref()?,
            refresh_token: self.refresh_token.as_ref()?,
        })
    }

    /// Writes the file with these in place of what was read.
    pub(crate) fn written(
        &self,
        refresh_token: Option<&SecretText>,
        token_url: Option<&str>,
        universe_domain: &str,
    ) -> Written {
        let secret = self.client_secret.as_ref();
        let refresh_token = refresh_token.or(self.refresh_token.as_ref());
        let scopes = self.scopes.as_deref();
        Written::new("external_account_authorized_user")
            .with("audience", self.audience.as_deref())
            .with("client_id", self.client_id.as_deref())
            .with("client_secret", secret.map(SecretText::reveal))
            .with("refresh_token", refresh_token.map(SecretText::reveal))
            .with("token_url", token_url)
            .with("token_info_url", self.token_info_url.as_deref())
            .with("revoke_url", self.revoke_url.as_deref())
            .with("scopes", scopes)
            .with("universe_domain", Some(universe_domain))
    }
}

/// Whether a saved token is still good is for the caller to see.
pub(super) fn read(fields: Fields<'_>) -> Result<ExternalUser, Error> {
    let fields = fields.with_remedy(REMEDY);
    let saved = saved(&fields)?;
    if saved.is_none() {
        for name in ["token_url", "client_id", "client_secret", "refresh_token"] {
            fields.required(name)?;
        }
    }
    Ok(ExternalUser {
        audience: fields.filled("audience")?,
        token_url: fields.filled("token_url")?,
        client_id: fields.filled("client_id")?,
        client_secret: fields.optional_secret("client_secret")?,
        refresh_token: fields.optional_secret("refresh_token")?,
        saved,
        token_info_url: fields.filled("token_info_url")?,
        revoke_url: fields.filled("revoke_url")?,
        scopes: fields.scopes("scopes")?,
        quota_project_id: fields.quota_project()?,
        universe_domain: fields.filled("universe_domain")?,
    })
}
