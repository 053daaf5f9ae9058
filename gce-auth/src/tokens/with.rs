//! Other credentials, made of these: cheap, and without I/O.

use std::sync::Arc;

use crate::{
    io::env::Environment,
    tokens::{
        credentials::Credentials,
        handle::{Handle, Options},
        id_token_credentials::IdTokenCredentials,
        source::Change,
    },
    values::{
        error::{Error, ErrorKind},
        headers::quota_project,
        scope::Scopes,
    },
    wire::request::{MetadataPath, check_audience},
};

/// A copy knows what its original knew of the account and of the universe. Its
/// token is its own, unless both ask for the same token and share it; a copy of
/// a user's credentials begins with the token of the original.
impl Credentials {
    /// Returns credentials with these scopes, and without default scopes.
    /// Returns these if their tokens take no scopes.
    #[must_use]
    pub fn with_scopes<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.changed(&Change::Scopes(Some(Scopes::new(scopes)), None))
    }

    /// Returns credentials with the same scopes, and these to ask for if
    /// neither the program nor the account names any.
    #[must_use]
    pub fn with_default_scopes<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.changed(&Change::DefaultScopes(Scopes::new(scopes)))
    }

    /// Returns credentials that ask for no scopes of their own: their tokens
    /// have those of the account.
    #[must_use]
    pub fn without_scopes(&self) -> Self {
        self.changed(&Change::Scopes(None, None))
    }

    /// Returns these credentials, or others with these scopes if these have
    /// none: see [`requires_scopes`](Self::requires_scopes).
    #[must_use]
    pub fn with_scopes_if_required<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        if self.requires_scopes() {
            self.with_scopes(scopes)
        } else {
            self.clone()
        }
    }

    /// Returns credentials in this universe.
    ///
    /// Never fails, unlike the methods whose value, or kind of credentials, can
    /// be refused: all credentials have a universe, and a domain that is none
    /// ends the first request to it.
    #[must_use]
    pub fn with_universe_domain(&self, domain: impl Into<String>) -> Self {
        let domain = domain.into();
        #[cfg(feature = "iam")]
        let copy = self.changed(&Change::UniverseDomain(domain.clone()));
        #[cfg(not(feature = "iam"))]
        let copy = self;
        let set = |options: &mut Options| options.universe_domain = Some(domain);
        Self(copy.0.reconfigured(set))
    }

    /// Returns credentials that look up the regional access boundary of their
    /// account, or do not: see
    /// [`CredentialsBuilder::regional_access_boundary`](crate::CredentialsBuilder::regional_access_boundary).
    #[cfg(feature = "iam")]
    #[must_use]
    pub fn with_regional_access_boundary(&self, look_up: bool) -> Self {
        let set = |options: &mut Options| options.boundary = look_up;
        Self(self.0.reconfigured(set))
    }

    /// Returns credentials with these scopes and default scopes.
    #[cfg(feature = "adc")]
    pub(crate) fn with_both_scopes(
        &self,
        scopes: Option<Scopes>,
        default_scopes: Option<Scopes>,
    ) -> Self {
        self.changed(&Change::Scopes(scopes, default_scopes))
    }

    fn changed(&self, change: &Change) -> Self {
        Self(self.0.changed(change).unwrap_or_else(|| self.0.clone()))
    }
}

impl IdTokenCredentials {
    /// Returns credentials for another audience.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an empty audience.
    pub fn with_audience(&self, audience: impl Into<String>) -> Result<Self, Error> {
        let audience = audience.into();
        check_audience(&audience)?;
        let copy = self.0.changed(&Change::Audience(audience));
        Ok(copy.map_or_else(|| self.clone(), Self))
    }

    /// Returns credentials that exchange their assertions at another endpoint.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for what is no URL, and in the metadata
    /// flow, which has no such endpoint.
    #[cfg(feature = "iam")]
    pub fn with_token_uri(&self, uri: impl Into<String>) -> Result<Self, Error> {
        let uri = uri.into();
        crate::wire::grant::check_token_uri(&uri)?;
        let copy = self.0.changed(&Change::TokenUri(uri));
        copy.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Config, "the metadata flow has no token URI")
                .with_hint("build the credentials with iam_flow(true)")
        })
    }
}

impl Handle {
    /// Returns a copy with one setting of the source changed; `None` if the
    /// source has no such setting.
    pub(crate) fn changed(&self, change: &Change) -> Option<Self> {
        let source = self.inner.source.with(change)?;
        Some(self.copied(source, self.inner.options.clone()))
    }

    pub(crate) fn reconfigured(&self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.inner.options.clone();
        change(&mut options);
        // What is not shared shares what it learns with no copy, either.
        let source = if options.shared {
            None
        } else {
            self.inner.source.with(&Change::Nothing)
        };
        let source = source.unwrap_or_else(|| Arc::clone(&self.inner.source));
        self.copied(source, options)
    }

    pub(crate) fn with_quota_project(&self, project: Option<&str>) -> Result<Self, Error> {
        let value = project.map(quota_project).transpose()?;
        #[cfg(feature = "adc")]
        {
            let change = Change::QuotaProject(project.map(str::to_owned));
            if let Some(source) = self.inner.source.with(&change) {
                let options = Options {
                    user_project: value,
                    ..self.inner.options.clone()
                };
                return Ok(self.copied(source, options));
            }
        }
        Ok(self.reconfigured(|options| options.user_project = value))
    }

    pub(crate) fn with_quota_project_from_environment(&self) -> Result<Self, Error> {
        match Environment::read().quota_project {
            None => Ok(self.clone()),
            Some(project) => self
                .with_quota_project(Some(&project))
                .map_err(|error| error.context("GOOGLE_CLOUD_QUOTA_PROJECT")),
        }
    }

    pub(crate) fn with_service_account(&self, account: String) -> Result<Self, Error> {
        MetadataPath::account(&account, "token")?;
        let copy = self.changed(&Change::Account(account));
        copy.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                "these tokens are not those of an attached service account",
            )
        })
    }
}
