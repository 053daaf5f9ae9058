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
    /// What it takes to ask for tokens; `None` where there is only a saved one.
    pub(crate) renewal: Option<Renewal>,
    /// An access token, and when it expires, where the file says so.
    pub(crate) saved: Option<(SecretText, Option<Duration>)>,
    pub(crate) token_info_url: Option<String>,
    pub(crate) revoke_url: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) quota_project_id: Option<String>,
    pub(crate) universe_domain: Option<String>,
}

/// What a token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Renewal {
    pub(crate) token_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretText,
    pub(crate) refresh_token: SecretText,
}

impl ExternalUser {
    /// Writes the file with these in place of what was read.
    pub(crate) fn written(
        &self,
        refresh_token: Option<&SecretText>,
        token_url: &str,
        universe_domain: &str,
    ) -> Written {
        let renewal = self.renewal.as_ref();
        let scopes = self.scopes.as_deref();
        Written::new("external_account_authorized_user")
            .with("audience", self.audience.as_deref())
            .with("client_id", renewal.map(|it| &*it.client_id))
            .with("client_secret", renewal.map(|it| it.client_secret.reveal()))
            .with("refresh_token", refresh_token.map(SecretText::reveal))
            .with("token_url", renewal.map(|_| token_url))
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
    let needed = ["refresh_token", "token_url", "client_id", "client_secret"];
    let complete = needed.into_iter().all(|name| fields.has(name));
    let renewal = if complete || saved.is_none() {
        Some(Renewal {
            token_url: fields.required("token_url")?.to_owned(),
            client_id: fields.required("client_id")?.to_owned(),
            client_secret: fields.secret("client_secret")?,
            refresh_token: fields.secret("refresh_token")?,
        })
    } else {
        None
    };
    Ok(ExternalUser {
        audience: fields.filled("audience")?,
        renewal,
        saved,
        token_info_url: fields.filled("token_info_url")?,
        revoke_url: fields.filled("revoke_url")?,
        scopes: fields.scopes("scopes")?,
        quota_project_id: fields.filled("quota_project_id")?,
        universe_domain: fields.filled("universe_domain")?,
    })
}
