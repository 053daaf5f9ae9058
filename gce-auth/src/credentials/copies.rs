//! Other credentials, made of these: cheap, and without I/O.

use std::sync::Arc;

use crate::{
    credentials::{
        Credentials, Settled, quota_project,
        source::{Learned, Origin},
    },
    io::env::Environment,
    values::{error::Error, scope::Scopes},
    wire::request::MetadataPath,
};

/// A copy knows what its original knew of the account and of the universe. Its
/// token is its own, unless both would ask for the same token and share it.
impl Credentials {
    /// Other credentials, with these scopes, and without default scopes.
    #[must_use]
    pub fn with_scopes<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.rescoped(Some(Scopes::new(scopes)), None)
    }

    /// Other credentials, with the same scopes, and these to ask for where
    /// neither the program nor the account names any.
    #[must_use]
    pub fn with_default_scopes<I>(&self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let defaults = Scopes::new(scopes);
        self.with(|settled, _| settled.wish.default_scopes = Some(defaults))
    }

    /// Other credentials, which ask for no scopes of their own: their token has
    /// those of the account.
    #[must_use]
    pub fn without_scopes(&self) -> Self {
        self.rescoped(None, None)
    }

    /// These credentials, or others with these scopes where these have none:
    /// see [`requires_scopes`](Self::requires_scopes).
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

    /// Other credentials, with this quota project, or with none.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for what cannot be a project.
    pub fn with_quota_project<'a>(
        &self,
        project: impl Into<Option<&'a str>>,
    ) -> Result<Self, Error> {
        let value = project.into().map(quota_project).transpose()?;
        Ok(self.with(|settled, _| settled.user_project = value))
    }

    /// Other credentials, with the quota project of the variable
    /// `GOOGLE_CLOUD_QUOTA_PROJECT`; these, where it is not set or empty.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) where it holds what cannot be a
    /// project.
    pub fn with_quota_project_from_environment(&self) -> Result<Self, Error> {
        match Environment::read().quota_project {
            None => Ok(self.clone()),
            Some(project) => self
                .with_quota_project(project.as_str())
                .map_err(|error| error.context("GOOGLE_CLOUD_QUOTA_PROJECT")),
        }
    }

    /// Other credentials, for another service account.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for what cannot be an account.
    pub fn with_service_account(&self, account: &str) -> Result<Self, Error> {
        MetadataPath::account(account, "token")?;
        Ok(self.with(|settled, learned| {
            account.clone_into(&mut settled.wish.account);
            *learned = Learned::default();
        }))
    }

    /// Other credentials, in this universe.
    #[must_use]
    pub fn with_universe_domain(&self, domain: impl Into<String>) -> Self {
        self.with(|settled, _| settled.universe_domain = Some(domain.into()))
    }

    fn rescoped(&self, scopes: Option<Scopes>, defaults: Option<Scopes>) -> Self {
        self.with(|settled, learned| {
            settled.wish.scopes = scopes;
            settled.wish.default_scopes = defaults;
            learned.scopes = None;
        })
    }

    fn with(&self, change: impl FnOnce(&mut Settled, &mut Learned)) -> Self {
        let mut settled = self.0.settled.clone();
        let mut learned = self.0.source.learned();
        let universe = self.0.universe.get().cloned();
        change(&mut settled, &mut learned);
        let copy = if self.0.source.origin == Origin::Server {
            let client = self.client().clone();
            Self::assemble(client, settled, learned, &self.0.family)
        } else {
            // Whatever is asked for, there is one token and no other.
            let source = Arc::clone(&self.0.source);
            let keeper = Arc::clone(self.0.engine.keeper());
            Self::with_source(source, keeper, settled, &self.0.family)
        };
        if let Some(universe) = universe {
            let _ = copy.0.universe.set(universe);
        }
        #[cfg(feature = "iam")]
        if let (Some(theirs), Some(ours)) = (&copy.0.boundary, &self.0.boundary) {
            theirs.start_as(ours);
        }
        copy
    }
}
