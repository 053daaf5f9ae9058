//! `external_account`: workload and workforce identity federation (what
//! `gcloud iam workload-identity-pools create-cred-config` writes).

use std::time::Duration;

use serde_json::Value;

use crate::{
    values::{
        error::{Error, ErrorKind},
        secret::SecretText,
        universe::DEFAULT_UNIVERSE,
    },
    wire::credentials_file::{
        credential_source::{self, SubjectSource},
        fields::Fields,
        impersonated,
        written::Written,
    },
};

const REMEDY: &str = "create the file again with `gcloud iam workload-identity-pools \
     create-cred-config` (or `workforce-pools`)";
const OPTIONS: &str = "service_account_impersonation";
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
    /// How long tokens of the account that is acted as are to live.
    pub(crate) lifetime: Option<Duration>,
    /// What says so, in JSON.
    options_json: Option<SecretText>,
    client_id: Option<String>,
    client_secret: Option<SecretText>,
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
}

/// An OAuth client that authenticates itself in the exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    /// May be empty.
    pub(crate) secret: &'a str,
}

impl ExternalAccount {
    /// Checks what the first request would be made of.
    pub(crate) fn check(&self, place: &str) -> Result<(), Error> {
        match self.source.fault() {
            None => Ok(()),
            Some((name, what)) => Err(Error::new(
                ErrorKind::Config,
                format!("{place}: the member `credential_source.{name}` {what}"),
            )
            .with_hint(REMEDY)),
        }
    }

    /// The number of the project in the audience.
    pub(crate) fn project_number(&self) -> Option<&str> {
        project_number(&self.audience)
    }

    /// The client of the exchange, if it has a name.
    pub(crate) fn client(&self) -> Option<Client<'_>> {
        let id = self.client_id.as_deref().filter(|id| !id.is_empty())?;
        let secret = self.client_secret.as_ref().map_or("", SecretText::reveal);
        Some(Client { id, secret })
    }

    /// Writes the file with these in place of what was read.
    pub(crate) fn written(&self, token_url: &str, universe_domain: &str) -> Written {
        let target = self.impersonation.as_ref();
        let secret = self.client_secret.as_ref();
        let parsed = |json: &Option<SecretText>| {
            let json = json.as_ref()?;
            serde_json::from_str::<Value>(json.reveal()).ok()
        };
        let (source, options) = (parsed(&self.source_json), parsed(&self.options_json));
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
            .with("client_id", self.client_id.as_deref())
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
    // google-auth fails on a null here, and nowhere else.
    if fields.names("universe_domain") && !fields.has("universe_domain") {
        return Err(fields.wrong("universe_domain", "is null"));
    }
    let kind = fields.text("subject_token_type")?.map(str::to_owned);
    let token_url = fields.required("token_url")?;
    Ok(ExternalAccount {
        audience: audience.to_owned(),
        source: source(fields, kind.as_deref().unwrap_or_default())?,
        source_json: fields.json("credential_source"),
        subject_token_type: kind,
        token_url: token_url.replace(PLACEHOLDER, &universe),
        impersonation: impersonation(&fields)?,
        lifetime: lifetime(&fields)?,
        options_json: fields
            .json(OPTIONS)
            .filter(|options| options.reveal() != "{}"),
        client_id: fields.text("client_id")?.map(str::to_owned),
        client_secret: fields.text("client_secret")?.map(SecretText::new),
        workforce_pool_user_project: user_project,
        token_info_url: fields.filled("token_info_url")?,
        quota_project_id: fields.quota_project()?,
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
    Ok(Some(Impersonation {
        url: url.to_owned(),
        target: target.to_owned(),
    }))
}

fn lifetime(fields: &Fields<'_>) -> Result<Option<Duration>, Error> {
    let options = fields.object(OPTIONS, "service_account_impersonation.")?;
    let seconds = match options {
        None => None,
        Some(options) => options.whole("token_lifetime_seconds")?,
    };
    let seconds = seconds.filter(|seconds| *seconds > 0);
    Ok(seconds.map(Duration::from_secs))
}
