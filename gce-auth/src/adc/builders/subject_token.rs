//! Where the token of another provider comes from.

use std::{error::Error as StdError, fmt, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    tokens::source::subject::{Supplier, VERIFICATION},
    values::secret::SecretText,
    wire::{aws::Keys, credentials_file::written::Written},
};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const AWS: &str = "urn:ietf:params:aws:token-type:aws4_request";
/// The metadata server of EC2.
const EC2: &str = "http://169.254.169.254/latest";

/// Where the token comes from that an external account exchanges
/// (`credential_source` of a file). `Debug` shows nothing of it.
#[must_use = "it is for `Credentials::external_account`"]
pub struct SubjectToken {
    /// Its type, unless the program names another.
    pub(super) kind: &'static str,
    pub(super) source: Source,
}

pub(super) enum Source {
    Written(Written),
    Supplied(Supplier),
}

impl SubjectToken {
    /// Reads the token from a file, anew for each exchange.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::written(Written::object().with("file", path.as_ref().to_str()))
    }

    /// Asks for the token at a URL, without following redirects.
    pub fn url(url: impl Into<String>) -> Self {
        Self::written(Written::object().with("url", Some(url.into())))
    }

    /// Runs a program that prints the token (Google, "Executable-sourced
    /// credentials"): the path and arguments, with blanks between. It runs only
    /// if `GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES` is `1`.
    pub fn executable(command: impl Into<String>) -> Self {
        let executable = Written::object().with("command", Some(command.into()));
        Self::written(Written::object().with_file("executable", executable))
    }

    /// Runs such a program, with the file in which it leaves its answer for
    /// later, and a bound on its time from 5 s to 120 s.
    pub fn executable_with(
        command: impl Into<String>,
        output_file: Option<&Path>,
        timeout: Duration,
    ) -> Self {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let executable = Written::object()
            .with("command", Some(command.into()))
            .with("output_file", output_file.and_then(Path::to_str))
            .with("timeout_millis", Some(millis));
        Self::written(Written::object().with_file("executable", executable))
    }

    /// Signs a request to AWS with the keys of the environment
    /// (`AWS_ACCESS_KEY_ID`), else of the role of this machine, which the
    /// metadata server of EC2 knows (IMDSv2).
    pub fn aws() -> Self {
        Self::aws_at(EC2)
    }

    /// Does the same with another metadata server: its origin and `/latest`.
    pub fn aws_at(latest: impl Into<String>) -> Self {
        let latest = latest.into();
        let url = |path: &str| Some(format!("{latest}/{path}"));
        let source = Written::object()
            .with("environment_id", Some("aws1"))
            .with("region_url", url("meta-data/placement/availability-zone"))
            .with("url", url("meta-data/iam/security-credentials"))
            .with("imdsv2_session_token_url", url("api/token"))
            .with("regional_cred_verification_url", Some(VERIFICATION));
        Self {
            kind: AWS,
            ..Self::written(source)
        }
    }

    /// Calls a function of the program for each exchange, on the thread that
    /// fetches; it should return within some seconds. Credentials with such a
    /// function share no token with others.
    pub fn supplier<F>(supply: F) -> Self
    where
        F: Fn() -> Result<String, Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    {
        Self {
            kind: JWT,
            source: Source::Supplied(Supplier::Token(Arc::new(supply))),
        }
    }

    /// Signs a request to AWS with keys that a function of the program returns:
    /// of its own vault, or of an SDK of AWS. It is called like that of
    /// [`supplier`](Self::supplier).
    ///
    /// # Examples
    /// ```
    /// use gce_auth::{AwsKeys, Credentials, SubjectToken};
    ///
    /// let keys = || {
    ///     let secret = std::env::var("VAULT_SECRET_KEY")?;
    ///     Ok(AwsKeys::new("us-east-2", std::env::var("VAULT_KEY_ID")?, secret))
    /// };
    /// let token = SubjectToken::aws_supplier(keys);
    /// let _ = Credentials::external_account("//iam.googleapis.com/...", token);
    /// ```
    pub fn aws_supplier<F>(supply: F) -> Self
    where
        F: Fn() -> Result<AwsKeys, Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    {
        let supply = move || supply().map(|keys| (keys.region, keys.keys));
        Self {
            kind: AWS,
            source: Source::Supplied(Supplier::Aws(Arc::new(supply))),
        }
    }

    /// Takes the token from this member of a JSON object in the file or the
    /// answer. Other sources ignore it. Default: the whole text is the token.
    pub fn json_field(self, name: impl Into<String>) -> Self {
        let format = Written::object()
            .with("type", Some("json"))
            .with("subject_token_field_name", Some(name.into()));
        self.edit(|source| source.with_file("format", format))
    }

    /// Sends headers with the request to the URL. Other sources ignore them.
    /// Default: none.
    pub fn headers<N, V>(self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let object = headers
            .into_iter()
            .fold(Written::object(), |all, (name, value)| {
                all.with(name.as_ref(), Some(Value::String(value.into())))
            });
        self.edit(|source| source.with_file("headers", object))
    }

    fn written(source: Written) -> Self {
        Self {
            kind: JWT,
            source: Source::Written(source),
        }
    }

    fn edit(self, edit: impl FnOnce(Written) -> Written) -> Self {
        let source = match self.source {
            Source::Written(written) => Source::Written(edit(written)),
            supplied @ Source::Supplied(_) => supplied,
        };
        Self { source, ..self }
    }
}

/// Keys of AWS, and the region whose service verifies what they sign. Wiped when
/// dropped; `Debug` shows the region alone.
pub struct AwsKeys {
    region: String,
    keys: Keys,
}

impl AwsKeys {
    /// Returns an access key for a region such as `us-east-2`.
    #[must_use]
    pub fn new(
        region: impl Into<String>,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
    ) -> Self {
        let secret = Zeroizing::new(secret_access_key.into());
        Self {
            region: region.into(),
            keys: Keys {
                id: access_key_id.into(),
                secret: SecretText::new(&secret),
                session_token: None,
            },
        }
    }

    /// Sets the session token of temporary keys. Default: none.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        let token = Zeroizing::new(token.into());
        self.keys.session_token = Some(SecretText::new(&token));
        self
    }
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectToken").finish_non_exhaustive()
    }
}
