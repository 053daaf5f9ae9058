//! ID tokens as google-cloud-auth's ID tokens, and as its subject tokens.

use std::{error::Error as StdError, fmt};

use gce_auth::{Error, IdTokenCredentials};
use google_cloud_auth::{
    credentials::{
        idtoken::IDTokenCredentialsProvider,
        subject_token::{Builder, SubjectToken, SubjectTokenProvider},
    },
    errors::{CredentialsError, SubjectTokenProviderError},
};

/// ID tokens for google-cloud-auth.
#[derive(Clone, Debug)]
pub struct IdTokenAdapter(IdTokenCredentials);

impl IdTokenAdapter {
    pub(super) fn new(ours: &IdTokenCredentials) -> Self {
        Self(ours.clone())
    }
}

impl IDTokenCredentialsProvider for IdTokenAdapter {
    async fn id_token(&self) -> Result<String, CredentialsError> {
        let token = self.0.token().await.map_err(credentials_error)?;
        Ok(token.secret().to_owned())
    }
}

impl SubjectTokenProvider for IdTokenAdapter {
    type Error = SubjectTokenError;

    async fn subject_token(&self) -> Result<SubjectToken, Self::Error> {
        let token = self.0.token().await.map_err(SubjectTokenError)?;
        Ok(Builder::new(token.secret().to_owned()).build())
    }
}

/// The error of a subject token that could not be fetched.
#[derive(Debug)]
pub struct SubjectTokenError(Error);

impl fmt::Display for SubjectTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SubjectTokenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl SubjectTokenProviderError for SubjectTokenError {
    fn is_transient(&self) -> bool {
        self.0.is_retryable()
    }
}

pub(super) fn credentials_error(error: Error) -> CredentialsError {
    CredentialsError::from_source(error.is_retryable(), error)
}
