//! Documents for Application Default Credentials that lead clients to the emulator.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::{Value, json};

use crate::{
    emulator::Emulator,
    identity::accounts::Identity,
    policy::{principal::unique_id, settings::OWN_PROVIDER},
    private_file,
};

/// The name under which Google's libraries look for the file in the configuration directory of
/// gcloud.
const FILE: &str = "application_default_credentials.json";

/// A kind of credentials file.
///
/// ```
/// use gce_auth_emulator::{AdcKind, Emulator};
///
/// let emulator = Emulator::builder().start()?;
/// let document = emulator.adc(AdcKind::AuthorizedUser)?;
/// assert!(document.contains(r#""type": "authorized_user""#));
/// assert_eq!("external_account".parse(), Ok(AdcKind::ExternalAccount));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdcKind {
    /// A user with a refresh token, as gcloud writes it.
    AuthorizedUser,
    /// A service account with its private key.
    ServiceAccount,
    /// A service account that is impersonated by another one, whose key is in the file.
    Impersonated,
    /// A workload of another issuer: the metadata server's ID token is the subject token.
    ExternalAccount,
}

impl AdcKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::AuthorizedUser,
        Self::ServiceAccount,
        Self::Impersonated,
        Self::ExternalAccount,
    ];

    /// Returns the name of the kind, as commands take it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizedUser => "authorized_user",
            Self::ServiceAccount => "service_account",
            Self::Impersonated => "impersonated",
            Self::ExternalAccount => "external_account",
        }
    }
}

impl fmt::Display for AdcKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for AdcKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("`{name}` is no kind of credentials file"))
    }
}

impl Emulator {
    /// Returns the credentials file of a kind, in JSON, whose addresses are this emulator's.
    ///
    /// Google's libraries for Python, Node and Go ignore the `token_uri` of `authorized_user`; the
    /// other kinds lead them here. The file of an impersonated account has a service account as its
    /// source for this reason. Java's takes no `token_url` of an external account without TLS.
    ///
    /// # Errors
    ///
    /// When the signing key cannot be made, or when the machine has no service account and the kind
    /// needs one.
    pub fn adc(&self, kind: AdcKind) -> io::Result<String> {
        let document = match kind {
            AdcKind::AuthorizedUser => self.authorized_user(),
            AdcKind::ServiceAccount => self.service_account_key()?,
            AdcKind::Impersonated => self.impersonated()?,
            AdcKind::ExternalAccount => self.external_account()?,
        };
        serde_json::to_string_pretty(&document).map_err(io::Error::other)
    }

    /// Writes `application_default_credentials.json` into a directory, mode 0600, and returns its
    /// path, for `GOOGLE_APPLICATION_CREDENTIALS`. The directory has to exist; it may be the one
    /// that `CLOUDSDK_CONFIG` names.
    ///
    /// # Errors
    ///
    /// As [`adc`](Self::adc), and when the file cannot be written.
    pub fn write_adc(&self, directory: impl AsRef<Path>, kind: AdcKind) -> io::Result<PathBuf> {
        let path = directory.as_ref().join(FILE);
        private_file::replace(&path, self.adc(kind)?.as_bytes())?;
        Ok(path)
    }

    fn authorized_user(&self) -> Value {
        let users = self.state.cloud.settings().users();
        let user = &users[0];
        json!({
            "type": "authorized_user",
            "account": user.email,
            "client_id": user.client_id,
            "client_secret": user.client_secret,
            "refresh_token": user.refresh_token,
            "token_uri": format!("{}/token", self.url()),
            "universe_domain": "googleapis.com",
        })
    }

    fn service_account_key(&self) -> io::Result<Value> {
        let email = self.default_account()?;
        let key = self.state.blocking_key_of(&email).ok_or_else(no_key)?;
        let origin = self.url();
        Ok(json!({
            "type": "service_account",
            "project_id": self.project_id(),
            "private_key_id": key.id(),
            "private_key": key.private_pem().ok_or_else(no_key)?,
            "client_email": email,
            "client_id": unique_id(&email),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": format!("{origin}/token"),
            "auth_provider_x509_cert_url": format!("{origin}/oauth2/v1/certs"),
            "client_x509_cert_url": format!("{origin}/robot/v1/metadata/x509/{email}"),
            "universe_domain": "googleapis.com",
        }))
    }

    fn impersonated(&self) -> io::Result<Value> {
        let configured = self
            .state
            .cloud
            .settings()
            .config()
            .accounts
            .into_iter()
            .next();
        let target = match configured {
            Some(email) => email,
            None => self.default_account()?,
        };
        let origin = self.url();
        Ok(json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url":
                format!("{origin}/v1/projects/-/serviceAccounts/{target}:generateAccessToken"),
            "delegates": [],
            "source_credentials": self.service_account_key()?,
            "universe_domain": "googleapis.com",
        }))
    }

    fn external_account(&self) -> io::Result<Value> {
        self.default_account()?;
        let origin = self.url();
        let number = self
            .state
            .document
            .read(|document| document["project"]["numericProjectId"].to_string());
        let audience = format!("//iam.googleapis.com/projects/{number}/{OWN_PROVIDER}");
        let identity = "/computeMetadata/v1/instance/service-accounts/default/identity";
        Ok(json!({
            "type": "external_account",
            "audience": audience,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{origin}/v1/token"),
            "token_info_url": format!("{origin}/v1/introspect"),
            "credential_source": {
                "url": format!("{origin}{identity}?audience={audience}"),
                "headers": {"Metadata-Flavor": "Google"},
                "format": {"type": "text"},
            },
            "universe_domain": "googleapis.com",
        }))
    }

    fn default_account(&self) -> io::Result<String> {
        self.state
            .document
            .read(|document| Identity::find(document, "default").map(|account| account.email))
            .ok_or_else(|| io::Error::other("the machine has no service account `default`"))
    }

    fn project_id(&self) -> String {
        self.state.document.read(|document| {
            document["project"]["projectId"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
    }
}

fn no_key() -> io::Error {
    io::Error::other("no signing key could be made")
}
