//! The source of a command's credentials, and the account that it acts as.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use gce_auth::{
    Credentials, DefaultCredentials, DefaultOptions, DefaultSource, Error, IdTokenCredentials,
};
use http::uri::Authority;

use crate::{
    env,
    exit::{Exit, Failure},
    options::{
        boundary::boundary_of,
        client::{AccountArgs, ClientArgs, DEFAULT_ACCOUNT},
        scopes::Scopes,
        seconds::seconds,
    },
    output::Output,
};

const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const HOST_VARIABLE: &str = "GCE_METADATA_HOST";
/// Why the metadata server is the last of the chain.
const NO_FILE: &str = "no credentials file was found";

/// The source of the credentials, and the account that the command acts as.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// The source of the credentials: adc, metadata, or a credentials file
    ///
    /// Default: the metadata server if --endpoint or GCE_METADATA_HOST names one, else adc: the
    /// file that GOOGLE_APPLICATION_CREDENTIALS names, the file of `gcloud auth
    /// application-default login`, the metadata server.
    #[arg(long, value_name = "adc|metadata|FILE")]
    source: Option<PathBuf>,
    /// Act as this service account, by its email address (impersonation)
    #[arg(long = "as", value_name = "EMAIL", value_parser = email)]
    pub(crate) target: Option<String>,
    /// The accounts between the source and the account of --as, each of which may act as the next,
    /// separated by commas
    #[arg(long, value_name = "EMAIL", value_delimiter = ',', requires = "target",
          value_parser = email)]
    pub(crate) delegates: Vec<String>,
    /// The URL of the IAM Credentials API, for emulators and private endpoints
    #[arg(long, value_name = "URL")]
    pub(crate) iam_endpoint: Option<String>,
    /// Trust this server, host or host:port, with the secrets of a credentials file. May be
    /// repeated
    #[arg(long, value_name = "HOST", value_parser = trusted_host)]
    trust_host: Vec<String>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of access tokens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AccessArgs {
    /// With --as, the lifetime of the token. Default: 3600; above that the organization must allow
    /// it
    #[arg(long, value_name = "SECONDS", value_parser = lifetime, requires = "target")]
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

impl Source {
    /// Chooses the source by `--source` and `--endpoint`, else by the environment.
    pub(crate) fn choose(named: Option<&Path>, endpoint: Option<&str>) -> Result<Self, Failure> {
        match named {
            Some(named) if named == Path::new("metadata") => {
                return Ok(Self::Metadata("by --source"));
            }
            Some(named) if named == Path::new("adc") => return Ok(Self::first_of_chain()),
            Some(file) => return Ok(Self::File(file.to_owned(), "by --source")),
            None if endpoint.is_some() => return Ok(Self::Metadata("by --endpoint")),
            None => {}
        }
        let is_set = |name| env::var(name).is_some_and(|value| !value.is_empty());
        match (is_set(HOST_VARIABLE), is_set(FILE_VARIABLE)) {
            (true, true) => Err(Failure::new(
                Exit::Usage,
                "GCE_METADATA_HOST and GOOGLE_APPLICATION_CREDENTIALS are both set; say \
                 --source metadata or --source adc",
            )),
            (true, false) => Ok(Self::Metadata("by GCE_METADATA_HOST")),
            (false, _) => Ok(Self::first_of_chain()),
        }
    }

    /// Returns the first source of Application Default Credentials that is there.
    fn first_of_chain() -> Self {
        match DefaultSource::find() {
            DefaultSource::EnvironmentFile(file) => {
                Self::File(file, "by GOOGLE_APPLICATION_CREDENTIALS")
            }
            DefaultSource::GcloudFile(file) => Self::File(file, "written by gcloud"),
            _ => Self::Metadata(NO_FILE),
        }
    }

    /// Returns the file, if the source is one.
    pub(crate) fn file(self) -> Option<PathBuf> {
        match self {
            Self::File(file, _) => Some(file),
            Self::Metadata(_) => None,
        }
    }

    /// Refuses an account of the metadata server if the source is a file.
    pub(crate) fn check_account(&self, account: &AccountArgs) -> Result<(), Failure> {
        match self {
            Self::File(..) if account.account != DEFAULT_ACCOUNT => Err(Failure::new(
                Exit::Usage,
                format!(
                    "--account names an account of the metadata server, and the credentials come \
                     from {self}; add --source metadata, or act as the account with --as"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses hosts to trust with a file's secrets if the source is plainly no file. The same
    /// arguments are for a laptop, where `adc` finds a file, and for a machine.
    pub(crate) fn check_trusted_hosts(&self, hosts: &[String]) -> Result<(), Failure> {
        match self {
            Self::Metadata(reason) if *reason != NO_FILE && !hosts.is_empty() => Err(Failure::new(
                Exit::Usage,
                format!(
                    "--trust-host is for credentials files, and the credentials come from {self}; \
                     leave it out, or name a file with --source"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Reads a credentials file. Without scopes in the options, the credentials are for cloud-platform
/// if their kind needs scopes.
pub(crate) fn load_file(
    file: &Path,
    options: &DefaultOptions,
) -> Result<DefaultCredentials, Error> {
    let mut found = options.load_file(file)?;
    found.credentials = found.credentials.with_scopes_if_required([CLOUD_PLATFORM]);
    Ok(found)
}

impl SourceArgs {
    /// Chooses the source.
    pub(crate) fn choose(&self) -> Result<Source, Failure> {
        let source = Source::choose(self.source.as_deref(), self.client.endpoint.as_deref())?;
        source.check_account(&self.account)?;
        source.check_trusted_hosts(&self.trust_host)?;
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
                Ok(load_file(&file, &options)?.credentials)
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
        let boundary = boundary_of(file)?;
        Ok(credentials.downscope_at(&boundary, self.sts_endpoint.as_deref())?)
    }
}

/// Reads the name of a service account. The library checks its form.
fn email(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("name a service account by its email address".to_owned());
    }
    Ok(name.to_owned())
}

/// Reads a host to trust: `HOST`, `HOST:PORT`, or either after `http://` or `https://`.
pub(crate) fn trusted_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let rest = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let authority = rest.parse::<Authority>();
    if rest.contains(['@', '*', '/']) || !authority.is_ok_and(|it| !it.host().is_empty()) {
        return Err("write HOST or HOST:PORT".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads the lifetime of an impersonated token, within what IAM allows.
fn lifetime(text: &str) -> Result<Duration, String> {
    let allowed = Duration::from_secs(1)..=Duration::from_secs(12 * 3600);
    let lifetime = seconds(text).ok().filter(|it| allowed.contains(it));
    lifetime.ok_or_else(|| "give seconds from 1 to 43200 (12 h)".to_owned())
}
