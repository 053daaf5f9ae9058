//! Where the credentials of a command come from, and as whom it acts.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use gce_auth::{CredentialAccessBoundary, Credentials, DefaultOptions, IdTokenCredentials};

use crate::{
    env,
    exit::{Exit, Failure},
    input,
    options::{
        client::{AccountArgs, ClientArgs, DEFAULT_ACCOUNT},
        scopes::Scopes,
        seconds::seconds,
    },
    output::Output,
    sdk_environment::default_credentials,
};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const HOST_VARIABLE: &str = "GCE_METADATA_HOST";

/// Where the credentials come from, and as whom the command acts.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// The source of the credentials: adc, metadata, or a credentials file
    ///
    /// Default: the metadata server if --endpoint or GCE_METADATA_HOST names one, else adc: the file
    /// that GOOGLE_APPLICATION_CREDENTIALS names, the file of `gcloud auth application-default
    /// login`, the metadata server.
    #[arg(long, value_name = "adc|metadata|FILE")]
    source: Option<PathBuf>,
    /// Act as this service account, by its email address (impersonation)
    #[arg(long = "as", value_name = "EMAIL")]
    pub(crate) target: Option<String>,
    /// The accounts between the source and the account of --as, each of which may act as the next,
    /// separated by commas
    #[arg(long, value_name = "EMAIL", value_delimiter = ',', requires = "target")]
    pub(crate) delegates: Vec<String>,
    /// The URL of the IAM Credentials API, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    pub(crate) iam_endpoint: Option<String>,
    /// Trust this server, host or host:port, with the secrets of a credentials file. May be repeated
    #[arg(long, value_name = "HOST")]
    trust_host: Vec<String>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of access tokens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AccessArgs {
    /// With --as, the lifetime of the token. Default: 3600; above that the organization must allow it
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "target")]
    lifetime: Option<Duration>,
    /// A JSON file with a Credential Access Boundary, which limits the token
    #[arg(long, value_name = "FILE")]
    boundary: Option<PathBuf>,
    /// With --boundary, the URL of the token exchange, for emulators and private endpoints
    #[arg(long, value_name = "URL", requires = "boundary")]
    sts_endpoint: Option<String>,
}

/// The source that was chosen, and the reason.
#[derive(Debug)]
pub(crate) enum Source {
    Metadata(&'static str),
    File(PathBuf, &'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(reason) => write!(f, "the metadata server ({reason})"),
            Self::File(file, reason) => write!(f, "{} ({reason})", file.display()),
        }
    }
}

impl SourceArgs {
    /// Chooses the source.
    pub(crate) fn choose(&self) -> Result<Source, Failure> {
        let is_set = |name| env::var(name).is_some_and(|value| !value.is_empty());
        let source = match self.source.as_deref() {
            Some(named) if named == Path::new("metadata") => Source::Metadata("by --source"),
            Some(named) if named == Path::new("adc") => first_of_chain(),
            Some(file) => Source::File(file.to_owned(), "by --source"),
            None if self.client.endpoint.is_some() => Source::Metadata("by --endpoint"),
            None if is_set(HOST_VARIABLE) && is_set(FILE_VARIABLE) => {
                return Err(Failure::new(
                    Exit::Usage,
                    "GCE_METADATA_HOST and GOOGLE_APPLICATION_CREDENTIALS are both set; say \
                     --source metadata or --source adc",
                ));
            }
            None if is_set(HOST_VARIABLE) => Source::Metadata("by GCE_METADATA_HOST"),
            None => first_of_chain(),
        };
        if let Source::File(..) = source
            && self.account.account != DEFAULT_ACCOUNT
        {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "--account names an account of the metadata server, and the credentials come \
                     from {source}; add --source metadata, or act as the account with --as"
                ),
            ));
        }
        Ok(source)
    }

    /// Returns the credentials of the source, as no other account. Without scopes, they are for
    /// cloud-platform if their kind needs scopes.
    pub(crate) fn own_credentials(
        &self,
        scopes: &[&str],
        out: &Output,
    ) -> Result<Credentials, Failure> {
        let source = self.choose()?;
        out.detail(format_args!("credentials from {source}"));
        let client = self.client.client(out)?;
        match source {
            Source::Metadata(_) => {
                let account = &self.account.account;
                let endpoint = client.endpoint()?;
                out.detail(format_args!("asking {endpoint} for tokens of {account}"));
                Ok(Credentials::builder()
                    .client(client)
                    .service_account(account)
                    .scopes(scopes.iter().copied())
                    .build()?)
            }
            Source::File(file, _) => {
                let mut options = DefaultOptions::new().client(client);
                if !scopes.is_empty() {
                    options = options.scopes(scopes.iter().copied());
                }
                for host in &self.trust_host {
                    options = options.trust_host(host);
                }
                let found = options.load_file(file)?.credentials;
                Ok(found.with_scopes_if_required([CLOUD_PLATFORM]))
            }
        }
    }

    /// Returns the credentials of the source, or of the account of `--as`.
    pub(crate) fn credentials(
        &self,
        scopes: &[Scopes],
        access: Option<&AccessArgs>,
        out: &Output,
    ) -> Result<Credentials, Failure> {
        let scopes: Vec<_> = Scopes::all(scopes).collect();
        let Some(email) = &self.target else {
            return self.own_credentials(&scopes, out);
        };
        let source = self.own_credentials(&[], out)?;
        let mut builder = source.impersonate(email).delegates(self.full_delegates());
        if !scopes.is_empty() {
            builder = builder.scopes(scopes);
        }
        if let Some(lifetime) = access.and_then(|access| access.lifetime) {
            builder = builder.lifetime(lifetime);
        }
        if let Some(url) = &self.iam_endpoint {
            builder = builder.iam_endpoint(url);
        }
        Ok(builder.build()?)
    }

    /// Returns ID-token credentials of the source, or of the account of `--as`.
    pub(crate) fn id_token_credentials(
        &self,
        audience: &str,
        out: &Output,
    ) -> Result<IdTokenCredentials, Failure> {
        let credentials = self.credentials(&[], None, out)?;
        let credentials = credentials.id_token(audience)?;
        if self.target.is_some() {
            // As the metadata server's ID tokens have it.
            return Ok(credentials.with_include_email(true)?);
        }
        Ok(credentials)
    }

    /// Returns the delegates by their full names, as IAM takes them.
    fn full_delegates(&self) -> impl Iterator<Item = String> {
        self.delegates.iter().map(|name| {
            if name.contains('/') {
                return name.clone();
            }
            format!("projects/-/serviceAccounts/{name}")
        })
    }
}

impl AccessArgs {
    /// Returns these credentials, within `--boundary`.
    pub(crate) fn limit(&self, credentials: Credentials) -> Result<Credentials, Failure> {
        let Some(file) = &self.boundary else {
            return Ok(credentials);
        };
        let boundary = CredentialAccessBoundary::from_json(&input::text(Some(file))?)?;
        Ok(credentials.downscope_at(&boundary, self.sts_endpoint.as_deref())?)
    }
}

/// Returns the first source of Application Default Credentials that is there.
fn first_of_chain() -> Source {
    if let Some(file) = env::var(FILE_VARIABLE).filter(|file| !file.is_empty()) {
        return Source::File(file.into(), "by GOOGLE_APPLICATION_CREDENTIALS");
    }
    match default_credentials(env::var).filter(|file| Path::new(file).is_file()) {
        Some(file) => Source::File(file.into(), "written by gcloud"),
        None => Source::Metadata("no credentials file was found"),
    }
}
