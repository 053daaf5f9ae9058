//! yup-oauth2: its application default credentials, which are the metadata
//! server's where no key file is named.

use std::net::SocketAddr;

use yup_oauth2::{
    ApplicationDefaultCredentialsAuthenticator, ApplicationDefaultCredentialsFlowOpts,
    authenticator::{ApplicationDefaultCredentialsTypes, DefaultAuthenticator},
};

use crate::contestant::{Again, Contestant, Failure, Library};

const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/cloud-platform"];

/// Its authenticator.
pub struct Default(DefaultAuthenticator);

impl Contestant for Default {
    const LIBRARY: Library = Library::YupOauth2;
    const CALL: &'static str = "`token(..).await`: the token";
    const AGAIN: Option<Again> = Some(Again::Asked);

    async fn new(server: SocketAddr) -> Result<Self, Failure> {
        let mut opts = ApplicationDefaultCredentialsFlowOpts::default();
        opts.metadata_url = Some(format!(
            "http://{server}/computeMetadata/v1/instance/service-accounts/default/token"
        ));
        match ApplicationDefaultCredentialsAuthenticator::builder(opts).await {
            ApplicationDefaultCredentialsTypes::InstanceMetadata(builder) => {
                Ok(Self(builder.build().await?))
            }
            ApplicationDefaultCredentialsTypes::ServiceAccount(_) => {
                Err("GOOGLE_APPLICATION_CREDENTIALS is set".into())
            }
        }
    }

    async fn with<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let token = self.0.token(&SCOPES).await?;
        Ok(see(token.token().ok_or("no token")?.as_bytes()))
    }

    async fn with_new<R: Send>(&self, see: impl FnOnce(&[u8]) -> R + Send) -> Result<R, Failure> {
        let token = self.0.force_refreshed_token(&SCOPES).await?;
        Ok(see(token.token().ok_or("no token")?.as_bytes()))
    }
}
