//! `service_account`: a private key of a service account.

use crate::{
    values::{error::Error, secret::SecretText},
    wire::credentials_file::{fields::Fields, written::Written},
};

const REMEDY: &str = "create a key with `gcloud iam service-accounts keys create`, or do without \
     key files: attach the account to the machine, or use workload identity federation";

/// The key of a service account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServiceAccountKey {
    pub(crate) client_email: String,
    /// In PEM, PKCS#8 or PKCS#1.
    pub(crate) private_key: SecretText,
    pub(crate) private_key_id: Option<String>,
    pub(crate) token_uri: String,
    pub(crate) project_id: Option<String>,
    /// Empty where the file says so: the default universe, but tokens are
    /// signed locally.
    pub(crate) universe_domain: Option<String>,
}

impl ServiceAccountKey {
    /// Writes the file with these in place of what was read.
    pub(crate) fn written(&self, token_uri: &str, universe_domain: &str) -> Written {
        Written::new("service_account")
            .with("client_email", Some(&*self.client_email))
            .with("private_key", Some(self.private_key.reveal()))
            .with("private_key_id", self.private_key_id.as_deref())
            .with("token_uri", Some(token_uri))
            .with("project_id", self.project_id.as_deref())
            .with("universe_domain", Some(universe_domain))
    }
}

pub(super) fn read(fields: Fields<'_>) -> Result<ServiceAccountKey, Error> {
    let fields = fields.with_remedy(REMEDY);
    Ok(ServiceAccountKey {
        client_email: fields.required("client_email")?.to_owned(),
        private_key: fields.secret("private_key")?,
        private_key_id: fields.text("private_key_id")?.map(str::to_owned),
        token_uri: fields.required("token_uri")?.to_owned(),
        project_id: fields.filled("project_id")?,
        universe_domain: fields.text("universe_domain")?.map(str::to_owned),
    })
}
