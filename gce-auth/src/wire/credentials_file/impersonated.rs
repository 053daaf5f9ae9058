//! `impersonated_service_account`: an account, and credentials that may act
//! as it (what `gcloud auth application-default login
//! --impersonate-service-account` writes).

use crate::{
    values::error::Error,
    wire::credentials_file::{
        Document, authorized_user, external_user, fields::Fields, service_account, written::Written,
    },
};

const REMEDY: &str = "run `gcloud auth application-default login --impersonate-service-account=ACCOUNT` \
     again";

/// An account that others act as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Impersonated {
    pub(crate) source: Box<Document>,
    /// The account, by email address or unique id.
    pub(crate) target: String,
    pub(crate) url: String,
    pub(crate) delegates: Option<Vec<String>>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) quota_project_id: Option<String>,
}

pub(super) fn read(fields: Fields<'_>) -> Result<Impersonated, Error> {
    let fields = fields.with_remedy(REMEDY);
    let source = fields
        .object("source_credentials", "source_credentials.")?
        .ok_or_else(|| fields.wrong("source_credentials", "is missing"))?;
    let source = match source.text("type")? {
        Some("authorized_user") => Document::AuthorizedUser(authorized_user::read(source)?),
        Some("service_account") => Document::ServiceAccount(service_account::read(source)?),
        Some("external_account_authorized_user") => {
            Document::ExternalUser(external_user::read(source)?)
        }
        _ => {
            return Err(source.wrong(
                "type",
                "is none of authorized_user, service_account and external_account_authorized_user",
            ));
        }
    };
    let url = fields.required("service_account_impersonation_url")?;
    let target = target(url).ok_or_else(|| {
        fields.wrong(
            "service_account_impersonation_url",
            "does not end with /ACCOUNT:generateAccessToken",
        )
    })?;
    Ok(Impersonated {
        source: Box::new(source),
        target: target.to_owned(),
        url: url.to_owned(),
        delegates: fields.texts("delegates")?,
        scopes: fields.scopes("scopes")?,
        quota_project_id: fields.quota_project()?,
    })
}

/// Writes a file of the account that `url` names, and `source` acts as; `None`
/// for a source that [`read`] takes from no file.
pub(crate) fn written(
    source: Written,
    url: &str,
    delegates: Option<&[String]>,
    scopes: Option<&[String]>,
) -> Option<Written> {
    let kind = source.text("type")?;
    if matches!(kind, "external_account" | "impersonated_service_account") {
        return None;
    }
    let written = Written::new("impersonated_service_account")
        .with_file("source_credentials", source)
        .with("service_account_impersonation_url", Some(url))
        .with("delegates", delegates)
        .with("scopes", scopes);
    Some(written)
}

/// The account in the URL of `generateAccessToken`.
pub(crate) fn target(url: &str) -> Option<&str> {
    let start = url.rfind('/')?;
    let end = url.find(":generateAccessToken")?;
    url.get(start + 1..end).filter(|name| !name.is_empty())
}
