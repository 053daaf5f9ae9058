//! Other ID-token credentials, made of these: cheap, and without I/O.

use std::sync::OnceLock;

use crate::{
    credentials::{LastBinding, quota_project},
    id_token::{
        IdTokenCredentials, Settled,
        source::{IdWish, IdentitySource},
    },
    io::env::Environment,
    values::error::Error,
    wire::request::check_audience,
};
#[cfg(feature = "iam")]
use crate::{values::error::ErrorKind, wire::grant::check_token_uri};

impl IdTokenCredentials {
    /// Other credentials, for another audience.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for an empty audience.
    pub fn with_target_audience(&self, audience: impl Into<String>) -> Result<Self, Error> {
        let audience = audience.into();
        check_audience(&audience)?;
        Ok(self.copied(|wish, _| wish.audience = audience))
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
        Ok(self.copied(|_, settled| settled.user_project = value))
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

    /// Other credentials, which exchange their assertions at another endpoint.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for what is no URL, and in the metadata
    /// flow, which has no such endpoint.
    #[cfg(feature = "iam")]
    pub fn with_token_uri(&self, uri: impl Into<String>) -> Result<Self, Error> {
        let uri = uri.into();
        check_token_uri(&uri)?;
        if self.inner.source.wish.grant.is_none() {
            return Err(
                Error::new(ErrorKind::Config, "the metadata flow has no token URI")
                    .with_hint("build the credentials with iam_flow"),
            );
        }
        Ok(self.copied(|wish, _| {
            if let Some(grant) = &mut wish.grant {
                grant.token_uri = uri;
            }
        }))
    }

    fn copied(&self, change: impl FnOnce(&mut IdWish, &mut Settled)) -> Self {
        let ours = &self.inner.source;
        let (mut wish, mut settled) = (ours.wish.clone(), self.inner.settled.clone());
        change(&mut wish, &mut settled);
        let email = ours.email.get().cloned();
        let source = IdentitySource {
            client: ours.client.clone(),
            wish,
            email: email.map_or_else(OnceLock::new, OnceLock::from),
            binding: LastBinding::default(),
            #[cfg(feature = "iam")]
            grantor: ours.grantor.clone(),
        };
        Self::with(source, settled, &self.inner.audiences)
    }
}
