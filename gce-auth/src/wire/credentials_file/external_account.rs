//! `external_account`: workload and workforce identity federation (what
//! `gcloud iam workload-identity-pools create-cred-config` writes).

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    values::{error::Error, secret::SecretText, universe::DEFAULT_UNIVERSE},
    wire::credentials_file::{
        credential_source::{self, SubjectSource},
        fields::Fields,
        impersonated,
        written::Written,
    },
};

const REMEDY: &str = "create the file again with `gcloud iam workload-identity-pools \
     create-cred-config` (or `workforce-pools`)";
/// Stands for the universe in a token URL.
const PLACEHOLDER: &str = "{universe_domain}";

/// An identity of another provider, and how it becomes one of Google's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExternalAccount {
    pub(crate) audience: String,
    pub(crate) subject_token_type: Option<String>,
    pub(crate) token_url: String,
    pub(crate) source: SubjectSource,
    /// The same as it was read, in JSON.
    source_json: Option<SecretText>,
    pub(crate) impersonation: Option<Impersonation>,
    pub(crate) client: Option<Client>,
    pub(crate) workforce_pool_user_project: Option<String>,
    pub(crate) token_info_url: Option<String>,
    pub(crate) quota_project_id: Option<String>,
    pub(crate) universe_domain: String,
}

/// The account that the exchanged token acts as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Impersonation {
    pub(crate) url: String,
    pub(crate) target: String,
    /// Not given: an hour.
    pub(crate) lifetime: Option<Duration>,
}

/// An OAuth client that authenticates itself in the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<SecretText>,
}

impl ExternalAccount {
    /// The number of the project in the audience.
    pub(crate) fn project_number(&self) -> Option<&str> {
        project_number(&self.audience)
    }

    /// Writes the file with these in place of what was read.
    pub(crate) fn written(&self, token_url: &str, universe_domain: &str) -> Written {
        let (client, target) = (self.client.as_ref(), self.impersonation.as_ref());
        let secret = client.and_then(|client| client.secret.as_ref());
        let source = self.source_json.as_ref();
        let source = source.and_then(|json| serde_json::from_str::<Value>(json.reveal()).ok());
        let lifetime = target.and_then(|target| target.lifetime);
        let options = lifetime.map(|it| json!({ "token_lifetime_seconds": it.as_secs() }));
        let user_project = self.workforce_pool_user_project.as_deref();
        Written::new("external_account")
            .with("audience", Some(&*self.audience))
            .with("subject_token_type", self.subject_token_type.as_deref())
            .with("token_url", Some(token_url))
            .with("token_info_url", self.token_info_url.as_deref())
            .with("credential_source", source)
            .with(
                "service_account_impersonation_url",
                target.map(|it| &*it.url),
            )
            .with("service_account_impersonation", options)
            .with("client_id", client.map(|client| &*client.id))
            .with("client_secret", secret.map(SecretText::reveal))
            .with("workforce_pool_user_project", user_project)
            .with("universe_domain", Some(universe_domain))
    }
}

/// The number of the project in the name of a provider.
pub(crate) fn project_number(audience: &str) -> Option<&str> {
    let mut parts = audience.split('/');
    parts.find(|part| *part == "projects")?;
    parts.next().filter(|number| !number.is_empty())
}

/// Whether a provider is of a workforce pool.
pub(crate) fn is_workforce_pool(audience: &str) -> bool {
    let rest = audience.strip_prefix("//iam.googleapis.com/locations/");
    let pool = rest.and_then(|rest| rest.split_once('/'));
    pool.is_some_and(|(location, rest)| !location.is_empty() && rest.starts_with("workforcePools/"))
}

pub(super) fn read(fields: Fields<'_>) -> Result<ExternalAccount, Error> {
    read_with(fields, credential_source::read)
}

/// Reads a file whose subject tokens come from what `source` reads.
pub(super) fn read_with(
    fields: Fields<'_>,
    source: fn(Fields<'_>, &str) -> Result<SubjectSource, Error>,
) -> Result<ExternalAccount, Error> {
    let fields = fields.with_remedy(REMEDY);
    let audience = fields.required("audience")?;
    let universe = fields.filled("universe_domain")?;
    let universe = universe.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let user_project = fields.filled("workforce_pool_user_project")?;
    if user_project.is_some() && !is_workforce_pool(audience) {
        return Err(fields.wrong(
            "workforce_pool_user_project",
            "is for workforce pools alone, and the audience is none",
        ));
    }
    let client = match fields.filled("client_id")? {
        None => None,
        Some(id) => Some(Client {
            id,
            secret: fields.optional_secret("client_secret")?,
        }),
    };
    let kind = fields.filled("subject_token_type")?;
    let token_url = fields.required("token_url")?;
    Ok(ExternalAccount {
        audience: audience.to_owned(),
        source: source(fields, kind.as_deref().unwrap_or_default())?,
        source_json: fields.json("credential_source"),
        subject_token_type: kind,
        token_url: token_url.replace(PLACEHOLDER, &universe),
        impersonation: impersonation(&fields)?,
        client,
        workforce_pool_user_project: user_project,
        token_info_url: fields.filled("token_info_url")?,
        quota_project_id: fields.filled("quota_project_id")?,
        universe_domain: universe,
    })
}

fn impersonation(fields: &Fields<'_>) -> Result<Option<Impersonation>, Error> {
    const URL: &str = "service_account_impersonation_url";
    let Some(url) = fields.text(URL)? else {
        return Ok(None);
    };
    let target = impersonated::target(url)
        .ok_or_else(|| fields.wrong(URL, "does not end with /ACCOUNT:generateAccessToken"))?;
    let options = fields.object(
        "service_account_impersonation",
        "service_account_impersonation.",
    )?;
    let lifetime = match options {
        None => None,
        Some(options) => options.whole("token_lifetime_seconds")?,
    };
    let lifetime = lifetime.filter(|seconds| *seconds > 0);
    Ok(Some(Impersonation {
        url: url.to_owned(),
        target: target.to_owned(),
        lifetime: lifetime.map(Duration::from_secs),
    }))
}
