//! Where the token of another provider comes from: a file, a server, a program
//! or AWS.

use std::{
    error::Error as StdError,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    client::{config::MetadataClient, grants},
    io::{crypto, env::FederationEnvironment, files, process},
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        secret::SecretText,
    },
    wire::{
        aws::{self, Hashes, Keys},
        credentials_file::{
            credential_source::{Aws, Executable, SubjectSource},
            external_account::ExternalAccount,
        },
        executable::{self, Answer},
        response::unusable,
        subject_token,
    },
};

const HASHES: Hashes = Hashes {
    sha256: crypto::sha256,
    hmac: crypto::hmac_sha256,
};

/// Where Google has a request to AWS verified, unless a file says.
pub(crate) const VERIFICATION: &str =
    "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

type Supplied<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// A function of the program that returns the token of another provider.
#[derive(Clone)]
pub(crate) enum Supplier {
    Token(Arc<dyn Fn() -> Supplied<String> + Send + Sync>),
    /// Keys of AWS, and the region of the request that they sign.
    Aws(Arc<dyn Fn() -> Supplied<(String, Keys)> + Send + Sync>),
}

impl Supplier {
    /// Returns the token, for a pool's provider with this name.
    fn token(&self, audience: &str, now: Duration) -> Result<SecretText, Error> {
        let failed = |what: &'static str, error: Box<dyn StdError + Send + Sync>| {
            Error::new(ErrorKind::Unavailable, what).with_source(error.into())
        };
        match self {
            Self::Token(supply) => match supply() {
                Ok(token) if token.is_empty() => {
                    Err(unusable("the program supplied an empty token"))
                }
                Ok(token) => Ok(SecretText::new(&Zeroizing::new(token))),
                Err(error) => {
                    let what = "the program supplied no token of the other provider";
                    Err(failed(what, error))
                }
            },
            Self::Aws(supply) => {
                let (region, keys) = supply()
                    .map_err(|error| failed("the program supplied no keys of AWS", error))?;
                if region.is_empty() || keys.id.is_empty() || keys.secret.reveal().is_empty() {
                    return Err(unusable(
                        "the program supplied an empty region or key of AWS",
                    ));
                }
                aws::subject_token(VERIFICATION, &region, &keys, audience, now, HASHES)
            }
        }
    }
}

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supplier")
    }
}

/// Finds the token of another provider.
#[derive(Debug)]
pub(crate) struct SubjectTokens {
    client: MetadataClient,
    account: Arc<ExternalAccount>,
    supplier: Option<Supplier>,
    /// The region of AWS, asked for once.
    region: OnceLock<String>,
}

impl SubjectTokens {
    pub(crate) fn new(
        client: MetadataClient,
        account: Arc<ExternalAccount>,
        supplier: Option<Supplier>,
    ) -> Self {
        Self {
            client,
            account,
            supplier,
            region: OnceLock::new(),
        }
    }

    pub(crate) fn token(&self, budget: &Budget) -> Result<SecretText, Error> {
        match &self.account.source {
            SubjectSource::File { path, format } => {
                let path = Path::new(path);
                let bytes =
                    files::read(path).map_err(|error| error.context("the subject token"))?;
                subject_token::read(&files::name(path), &bytes, format)
            }
            SubjectSource::Url {
                url,
                headers,
                format,
            } => {
                let make = || ask(url, headers);
                let body = grants::subject(&self.client.0, budget, make)?;
                subject_token::read("the answer with the subject token", &body, format)
            }
            SubjectSource::Executable(program) => self.run(program),
            SubjectSource::Aws(settings) => self.signed(settings, budget),
            SubjectSource::Supplied => match &self.supplier {
                Some(supplier) => {
                    let now = self.client.0.clock.now().wall;
                    supplier.token(&self.account.audience, now)
                }
                None => Err(unusable("the program supplied no token")),
            },
        }
    }

    fn run(&self, program: &Executable) -> Result<SecretText, Error> {
        if FederationEnvironment::read().allow_executables.as_deref() != Some("1") {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the credentials file names an executable, and {} is not 1",
                    executable::ALLOW
                ),
            )
            .with_hint("set it to 1 if you trust the file and the executable"));
        }
        let now = self.client.0.clock.now().wall;
        let cached = program.output_file.as_deref().map(Path::new);
        if let Some(token) = cached
            .map(|path| from_output_file(path, now))
            .transpose()?
            .flatten()
        {
            return Ok(token);
        }
        let account = &self.account;
        let kind = account.subject_token_type.as_deref().unwrap_or_default();
        let mut variables = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", &*account.audience),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", kind),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0"),
            ("GOOGLE_EXTERNAL_ACCOUNT_REVOKE", "0"),
        ];
        let target = account.impersonation.as_ref().map(|it| &*it.target);
        variables.push(("GOOGLE_EXTERNAL_ACCOUNT_ID", target.unwrap_or_default()));
        if let Some(target) = target {
            variables.push(("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", target));
        }
        if let Some(file) = &program.output_file {
            variables.push(("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", file));
        }
        let printed = process::run(&program.command, &variables, program.timeout)?;
        let printed = match cached {
            Some(path) if printed.is_empty() => files::read_own(path)?.unwrap_or(printed),
            _ => printed,
        };
        let Ok(Value::Object(fields)) = serde_json::from_slice(&printed) else {
            return Err(unusable("the executable printed no JSON object")
                .with_hint("run the executable of the credentials file by hand"));
        };
        match executable::answer(fields, now)? {
            Answer::Token { token, .. } => Ok(token),
            Answer::Nothing(error) => Err(error),
        }
    }

    fn signed(&self, settings: &Aws, budget: &Budget) -> Result<SecretText, Error> {
        let environment = FederationEnvironment::read();
        let region = match self.region.get() {
            Some(region) => region,
            None => {
                let found = match environment.aws_region.clone() {
                    Some(region) => region,
                    None => self.ask_region(settings, budget)?,
                };
                self.region.get_or_init(|| found)
            }
        };
        let keys = match environment.aws_keys {
            Some(keys) => keys,
            None => self.ask_keys(settings, budget)?,
        };
        let now = self.client.0.clock.now().wall;
        let url = &settings.verification_url;
        aws::subject_token(url, region, &keys, &self.account.audience, now, HASHES)
    }

    fn ask_region(&self, settings: &Aws, budget: &Budget) -> Result<String, Error> {
        let Some(url) = &settings.region_url else {
            return Err(lacks("AWS_REGION", "region_url"));
        };
        let session = self.ask_session(settings, budget)?;
        let make = || aws::ask(url, session.as_ref());
        let zone = grants::subject(&self.client.0, budget, make)?;
        let zone = std::str::from_utf8(&zone).map_err(|_| unusable("the region is no text"))?;
        Ok(aws::region_of(zone).to_owned())
    }

    fn ask_keys(&self, settings: &Aws, budget: &Budget) -> Result<Keys, Error> {
        let config = &*self.client.0;
        let session = self.ask_session(settings, budget)?;
        let Some(url) = &settings.keys_url else {
            return Err(lacks("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "url"));
        };
        let role = grants::subject(config, budget, || aws::ask(url, session.as_ref()))?;
        let role = std::str::from_utf8(&role).map_err(|_| unusable("the role is no text"))?;
        let url = format!("{url}/{role}");
        let keys = grants::subject(config, budget, || aws::ask(&url, session.as_ref()))?;
        aws::keys(&keys)
    }

    fn ask_session(&self, settings: &Aws, budget: &Budget) -> Result<Option<SecretText>, Error> {
        let Some(url) = &settings.session_token_url else {
            return Ok(None);
        };
        let token = grants::subject(&self.client.0, budget, || aws::session(url))?;
        let token = std::str::from_utf8(&token).map_err(|_| unusable("the token is no text"))?;
        Ok(Some(SecretText::new(token)))
    }
}

fn lacks(variable: &str, member: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("nothing says how to sign for AWS: {variable} is not set, and `credential_source.{member}` is missing"),
    )
    .with_hint("set the variable, or create the credentials file again")
}

/// The token that an earlier run of the executable left behind, if it is still
/// good.
fn from_output_file(path: &Path, now: Duration) -> Result<Option<SecretText>, Error> {
    let Some(bytes) = files::read_own(path)? else {
        return Ok(None);
    };
    let Ok(Value::Object(fields)) = serde_json::from_slice(&bytes) else {
        return Ok(None);
    };
    match executable::answer(fields, now)? {
        Answer::Token {
            token,
            expires: Some(_),
        } => Ok(Some(token)),
        Answer::Token { expires: None, .. } | Answer::Nothing(_) => Ok(None),
    }
}

fn ask(url: &str, headers: &[(String, SecretText)]) -> Result<Request<Vec<u8>>, Error> {
    let refuse = |what: String| {
        Error::new(ErrorKind::Config, what).with_hint("correct `credential_source` in the file")
    };
    let mut request = Request::get(url)
        .body(Vec::new())
        .map_err(|_| refuse(format!("{url:?} is not a URL")))?;
    for (name, value) in headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| refuse(format!("{name:?} is not the name of a header")))?;
        let mut value = HeaderValue::from_str(value.reveal())
            .map_err(|_| refuse(format!("the value of {name} cannot be sent")))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}
