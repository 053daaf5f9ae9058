//! Credentials of a workload or a person of another provider.

use std::time::Duration;

use crate::{
    adc::{
        builders::{
            description::Description,
            subject_token::{Source, SubjectToken},
        },
        load,
        options::DefaultOptions,
    },
    tokens::{credentials::Credentials, source::subject::Supplier},
    values::error::Error,
    wire::credentials_file::{self, written::Written},
};

const PLACE: &str = "the builder of an external_account";
const TOKEN_URL: &str = "https://sts.{universe_domain}/v1/token";

/// Describes credentials of a workload or workforce pool, as the files of
/// `gcloud iam workload-identity-pools create-cred-config` do (Google,
/// AIP-4117). Made by [`Credentials::external_account`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ExternalAccountBuilder {
    description: Description,
    supplier: Option<Supplier>,
}

impl Credentials {
    /// Returns a builder of credentials for tokens of another provider;
    /// `audience` is the full name of the provider in its pool.
    ///
    /// # Examples
    /// ```
    /// use gce_auth::{Credentials, SubjectToken};
    ///
    /// let provider = "//iam.googleapis.com/projects/123456/locations/global/\
    ///     workloadIdentityPools/ci/providers/cluster";
    /// let token = SubjectToken::file("/var/run/secrets/tokens/gcp").json_field("token");
    /// let credentials = Credentials::external_account(provider, token).build()?;
    ///
    /// let supplied = SubjectToken::supplier(|| Ok(std::fs::read_to_string("token")?));
    /// let credentials = Credentials::external_account(provider, supplied).build()?;
    /// # Ok::<(), gce_auth::Error>(())
    /// ```
    pub fn external_account(
        audience: impl Into<String>,
        token: SubjectToken,
    ) -> ExternalAccountBuilder {
        let description = Description::new("external_account")
            .with("audience", audience.into())
            .with("subject_token_type", token.kind)
            .with("token_url", TOKEN_URL);
        let (description, supplier) = match token.source {
            Source::Supplied(supplier) => (description, Some(supplier)),
            Source::Written(source) => {
                let file = description.file.with_file("credential_source", source);
                (
                    Description {
                        file,
                        ..description
                    },
                    None,
                )
            }
        };
        ExternalAccountBuilder {
            description,
            supplier,
        }
    }
}

impl ExternalAccountBuilder {
    fn with(self, name: &str, value: impl Into<String>) -> Self {
        Self {
            description: self.description.with(name, value.into()),
            ..self
        }
    }

    /// Sets the type of the subject token (RFC 8693, section 3). Default:
    /// `urn:ietf:params:oauth:token-type:jwt`, or that of AWS.
    pub fn subject_token_type(self, kind: impl Into<String>) -> Self {
        self.with("subject_token_type", kind)
    }

    /// Sets where tokens are exchanged: a server of Google's, or one that the
    /// options trust. Default: `https://sts.googleapis.com/v1/token`, in the
    /// universe of the pool.
    pub fn token_url(self, url: impl Into<String>) -> Self {
        self.with("token_url", url)
    }

    /// Acts as a service account with the exchanged token: the URL of its
    /// `generateAccessToken`. Default: none. See also
    /// [`Credentials::impersonate`], which has more settings.
    pub fn service_account_impersonation_url(self, url: impl Into<String>) -> Self {
        self.with("service_account_impersonation_url", url)
    }

    /// Sets how long tokens of the service account last, in whole seconds.
    /// Default: 1 h.
    pub fn service_account_token_lifetime(self, lifetime: Duration) -> Self {
        let seconds = lifetime.as_secs();
        let options = Written::object().with("token_lifetime_seconds", Some(seconds));
        let file = self.description.file;
        let file = file.with_file("service_account_impersonation", options);
        Self {
            description: Description {
                file,
                ..self.description
            },
            ..self
        }
    }

    /// Sets the OAuth client that authenticates the exchange. Default: none.
    pub fn client(self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.with("client_id", id).with("client_secret", secret)
    }

    /// Sets the project that is billed for the people of a workforce pool.
    /// Default: none.
    pub fn workforce_pool_user_project(self, project: impl Into<String>) -> Self {
        self.with("workforce_pool_user_project", project)
    }

    /// Sets the universe of the pool, which the options or the environment must
    /// name, too. Default: `googleapis.com`.
    pub fn universe_domain(self, domain: impl Into<String>) -> Self {
        self.with("universe_domain", domain)
    }

    /// Sets scopes, the project to bill, the client and trusted hosts.
    pub fn options(self, options: DefaultOptions) -> Self {
        Self {
            description: self.description.options(options),
            ..self
        }
    }

    /// Builds the credentials. No I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a value that is empty or cannot
    /// be used; the error names it as a file's member.
    pub fn build(self) -> Result<Credentials, Error> {
        let Description { file, options } = self.description;
        let supplier = self.supplier;
        let account = credentials_file::external_account(PLACE, &file, supplier.is_some())?;
        load::built(&options, PLACE, |loader, scopes, defaults| {
            loader.external(account, supplier, scopes, defaults)
        })
    }
}
