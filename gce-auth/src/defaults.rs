//! The last step of Application Default Credentials: the metadata server.

use std::{fmt, path::PathBuf};

use crate::{
    client::{
        config::MetadataClient,
        residency::{Detection, Residency},
    },
    io::{env::Environment, threads::WorkKind},
    tokens::{
        credentials::Credentials, id_token::IdToken, id_token_credentials::IdTokenCredentials,
    },
    values::error::{Error, ErrorKind},
};

/// What [`default_credentials`] is to look for.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing by themselves"]
pub struct DefaultOptions {
    client: Option<MetadataClient>,
    detection: Detection,
    scopes: Vec<String>,
    default_scopes: Vec<String>,
    quota_project_id: Option<String>,
}

impl DefaultOptions {
    /// What a program needs that wants nothing in particular.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reaches the metadata server through this client.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// How to find out whether this is Google Cloud.
    pub fn detection(mut self, detection: Detection) -> Self {
        self.detection = detection;
        self
    }

    /// The OAuth 2.0 scopes to ask for.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The scopes to ask for where the program asks for none.
    pub fn default_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.default_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The project that is billed; `GOOGLE_CLOUD_QUOTA_PROJECT` unless said
    /// otherwise.
    pub fn quota_project_id(mut self, project: impl Into<String>) -> Self {
        self.quota_project_id = Some(project.into());
        self
    }
}

/// What [`default_credentials`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefaultCredentials {
    /// The credentials of the account that is attached.
    pub credentials: Credentials,
    /// `GOOGLE_CLOUD_PROJECT`, else `GCLOUD_PROJECT`, else the project that the
    /// metadata server names, where it names one.
    pub project_id: Option<String>,
    /// What is there of earlier steps, and was not read.
    pub unread: Option<Unread>,
}

/// A file with credentials that other libraries would have read before they
/// asked the metadata server. This one reads none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names.
    ApplicationCredentials(PathBuf),
    /// The file that `gcloud auth application-default login` writes.
    Gcloud(PathBuf),
}

impl Unread {
    fn seen(environment: &Environment) -> Option<Self> {
        if let Some(file) = &environment.application_credentials {
            return Some(Self::ApplicationCredentials(PathBuf::from(file)));
        }
        let file = environment
            .gcloud_directory()?
            .join("application_default_credentials.json");
        file.exists().then_some(Self::Gcloud(file))
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApplicationCredentials(file) => write!(
                f,
                "GOOGLE_APPLICATION_CREDENTIALS names {}, which was not read",
                file.display()
            ),
            Self::Gcloud(file) => write!(
                f,
                "there are credentials of gcloud in {}, which were not read",
                file.display()
            ),
        }
    }
}

/// The credentials of wherever this program runs, if that is Google Cloud: the
/// last of the steps of Application Default Credentials, and the only one that
/// is taken here. For the steps before it see
/// [`unread`](DefaultCredentials::unread).
///
/// Finds out whether this is Google Cloud, and asks for the project id unless
/// the environment names it. No token is asked for.
///
/// # Errors
/// [`NotOnGce`](ErrorKind::NotOnGce) where there is no metadata server, with
/// what is there instead; [`Config`](ErrorKind::Config) where a setting, or a
/// variable of the environment, makes no sense.
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// use gce_auth::{DefaultOptions, default_credentials};
///
/// let found = default_credentials(DefaultOptions::new()).await?;
/// let headers = found.credentials.headers().await?;
/// println!("in {:?}", found.project_id);
/// # Ok(())
/// # }
/// ```
pub async fn default_credentials(options: DefaultOptions) -> Result<DefaultCredentials, Error> {
    let client = MetadataClient::one_of(options.client.clone(), None)?;
    let work = move |_: &_| blocking_default_credentials(options);
    client.background(WorkKind::Other, work).await
}

/// [`default_credentials`], waiting on this thread.
///
/// # Errors
/// As for [`default_credentials`].
pub fn blocking_default_credentials(options: DefaultOptions) -> Result<DefaultCredentials, Error> {
    let environment = Environment::read();
    let client = MetadataClient::one_of(options.client, None)?;
    let unread = Unread::seen(&environment);
    on_gce(&client, options.detection, unread.as_ref())?;
    let mut builder = Credentials::builder().client(client.clone());
    if !options.scopes.is_empty() {
        builder = builder.scopes(options.scopes);
    }
    if !options.default_scopes.is_empty() {
        builder = builder.default_scopes(options.default_scopes);
    }
    let credentials = match options.quota_project_id {
        Some(project) => builder.quota_project_id(project).build()?,
        None => builder.build()?.with_quota_project_from_environment()?,
    };
    // Without a project a program can go on, without credentials it cannot.
    let project_id = environment
        .project
        .or_else(|| client.blocking_project_id().ok());
    Ok(DefaultCredentials {
        credentials,
        project_id,
        unread,
    })
}

/// An ID token for `audience`, of the default account of wherever this program
/// runs, if that is Google Cloud. See
/// [`IdTokenCredentials`] for more than one.
///
/// # Errors
/// [`NotOnGce`](ErrorKind::NotOnGce) where there is no metadata server; else
/// as for [`IdTokenCredentials::headers`].
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// let token = gce_auth::fetch_id_token("https://service.example").await?;
/// # Ok(())
/// # }
/// ```
pub async fn fetch_id_token(audience: impl Into<String>) -> Result<IdToken, Error> {
    let audience = audience.into();
    let work = move |_: &_| blocking_fetch_id_token(audience);
    MetadataClient::new()
        .background(WorkKind::Other, work)
        .await
}

/// [`fetch_id_token`], waiting on this thread.
///
/// # Errors
/// As for [`fetch_id_token`].
pub fn blocking_fetch_id_token(audience: impl Into<String>) -> Result<IdToken, Error> {
    let client = MetadataClient::one_of(None, None)?;
    let unread = Unread::seen(&Environment::read());
    on_gce(&client, Detection::Fast, unread.as_ref())?;
    let credentials = IdTokenCredentials::builder(audience)
        .client(client)
        .build()?;
    credentials.blocking_token()
}

fn on_gce(
    client: &MetadataClient,
    detection: Detection,
    unread: Option<&Unread>,
) -> Result<Residency, Error> {
    let residency = client.blocking_on_gce(detection)?;
    if residency.is_on_gce() {
        return Ok(residency);
    }
    let mut what = format!("this program is {residency}");
    if let Some(unread) = unread {
        what.push_str("; ");
        what.push_str(&unread.to_string());
    }
    Err(Error::new(ErrorKind::NotOnGce, what).with_hint(
        "credentials in files are read by google-cloud-auth, not by this crate; for a metadata \
         server without a cloud run `gce-auth emulate`",
    ))
}

#[cfg(all(test, not(gce_auth_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::io::fake::{HandClock, Reply, ScriptedTransport};

    fn client(replies: impl IntoIterator<Item = Reply>) -> MetadataClient {
        MetadataClient::builder()
            .transport(Arc::new(ScriptedTransport::new(replies)))
            .clock(Arc::new(HandClock::at(1)))
            .endpoint("metadata")
            .dmi_product_name_file("/nonexistent")
            .build()
            .unwrap()
    }

    #[test]
    fn on_google_cloud_there_are_credentials_and_a_project() {
        let client = client([Reply::text(""), Reply::text("project-one")]);
        let options = DefaultOptions::new()
            .client(client)
            .scopes(["s"])
            .default_scopes(["d"])
            .quota_project_id("billed");
        let found = blocking_default_credentials(options).unwrap();
        assert_eq!(found.credentials.scopes().unwrap(), ["s"]);
        assert_eq!(found.credentials.default_scopes().unwrap(), ["d"]);
        assert_eq!(found.credentials.quota_project_id(), Some("billed"));
        assert!(found.project_id.is_some());
    }

    #[test]
    fn elsewhere_the_error_says_what_was_seen() {
        let broken = crate::transport::TransportErrorKind::Connect;
        let nowhere = client([Reply::Broken(broken)]);
        let options = DefaultOptions::new().client(nowhere);
        let error = blocking_default_credentials(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotOnGce);
        let named = Environment {
            application_credentials: Some("/key.json".to_owned()),
            ..Environment::default()
        };
        let seen = Unread::seen(&named).unwrap();
        assert_eq!(
            seen,
            Unread::ApplicationCredentials(PathBuf::from("/key.json"))
        );
        assert!(seen.to_string().contains("/key.json"));
        assert_eq!(Unread::seen(&Environment::default()), None);
    }
}
