//! Where the token of another provider comes from: a file, a server, a program
//! or AWS.

use std::{
    error::Error as StdError,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    client::{config::MetadataClient, grants},
    io::{
        crypto,
        env::FederationEnvironment,
        files,
        process::{self, Errors},
    },
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
    /// The region of AWS, asked for once unless tokens with it are refused.
    region: Mutex<Option<String>>,
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
            region: Mutex::new(None),
        }
    }

    /// Returns a name that no other function of the program has meanwhile.
    pub(crate) fn supplier_name(&self) -> String {
        match &self.supplier {
            Some(Supplier::Token(supply)) => format!("{:p}", Arc::as_ptr(supply)),
            Some(Supplier::Aws(supply)) => format!("{:p}", Arc::as_ptr(supply)),
            None => String::new(),
        }
    }

    pub(crate) fn token(&self, budget: &Budget) -> Result<SecretText, Error> {
        match &self.account.source {
            SubjectSource::File { path, format } => {
                let path = Path::new(path);
                let bytes =
                    files::read(path).map_err(|error| error.context("the subject token"))?;
                subject_token::read_file(&files::name(path), &bytes, format)
            }
            SubjectSource::Url {
                url,
                headers,
                format,
            } => {
                let make = || ask(url, headers);
                let read = |body: &[u8]| subject_token::read("the answer", body, format);
                grants::subject(&self.client.0, budget, make, read)
            }
            SubjectSource::Executable(program) => self.run(program, budget),
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

    fn run(&self, program: &Executable, budget: &Budget) -> Result<SecretText, Error> {
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
        let Some(kind) = account.subject_token_type.as_deref() else {
            return Err(Error::new(
                ErrorKind::Config,
                "`subject_token_type` is missing, which the executable gets",
            )
            .with_hint("add it to the credentials file"));
        };
        let exact = self.client.0.exact;
        let mut variables = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", &*account.audience),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", kind),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0"),
            ("GOOGLE_EXTERNAL_ACCOUNT_REVOKE", "0"),
        ];
        // google-auth says nothing of it, against AIP-4117.
        let target = account.impersonation.as_ref().filter(|_| !exact);
        let target = target.map(|it| &*it.target);
        variables.push(("GOOGLE_EXTERNAL_ACCOUNT_ID", target.unwrap_or_default()));
        if let Some(target) = target {
            variables.push(("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", target));
        }
        if let Some(file) = &program.output_file {
            variables.push(("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", file));
        }
        // google-auth reads it as if it were printed.
        let errors = if exact { Errors::Read } else { Errors::Dropped };
        // The operation that it is a part of may have less time than it.
        let clock = &self.client.0.clock;
        let limit = program.timeout.min(budget.left(clock.now()));
        let run = process::run(&program.command, &variables, limit, errors).map_err(|error| {
            if limit < program.timeout && budget.left(clock.now()).is_zero() {
                let what = "the executable did not end within the budget of the operation";
                Error::new(ErrorKind::Timeout, what)
            } else {
                error
            }
        })?;
        let mut answer = printed(&run)?;
        if executable::is_nothing(&answer) {
            if let Some(written) = cached.map(files::read_own).transpose()?.flatten() {
                answer = printed(&written)?;
            }
        }
        match executable::answer(object(answer)?, now)? {
            Answer::Token { token, .. } => Ok(token),
            Answer::Nothing(error) => Err(error),
        }
    }

    fn signed(&self, settings: &Aws, budget: &Budget) -> Result<SecretText, Error> {
        let environment = FederationEnvironment::read();
        let region = match self.region() {
            Some(region) => region,
            None => match environment.aws_region.clone() {
                Some(region) => region,
                None => self.ask_region(settings, budget)?,
            },
        };
        // google-auth keeps whatever it was told.
        if self.client.0.exact {
            self.keep_region(Some(region.clone()));
        }
        let keys = match environment.aws_keys {
            Some(keys) => keys,
            None => self.ask_keys(settings, budget)?,
        };
        let now = self.client.0.clock.now().wall;
        let url = &settings.verification_url;
        let audience = &self.account.audience;
        let token = aws::subject_token(url, &region, &keys, audience, now, HASHES)?;
        self.keep_region(Some(region));
        Ok(token)
    }

    fn region(&self) -> Option<String> {
        let region = self.region.lock();
        region.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_region(&self, region: Option<String>) {
        *self.region.lock().unwrap_or_else(PoisonError::into_inner) = region;
    }

    /// Forgets what the last token was made with, which was refused.
    pub(crate) fn forget(&self) {
        if !self.client.0.exact {
            self.keep_region(None);
        }
    }

    fn ask_region(&self, settings: &Aws, budget: &Budget) -> Result<String, Error> {
        let Some(url) = &settings.region_url else {
            return Err(lacks("AWS_REGION", "region_url"));
        };
        let session = self.ask_session(settings, budget)?;
        let make = || aws::ask(url, session.as_ref());
        let zone = self.ask_text("zone", budget, make)?;
        Ok(aws::region_of(&zone).to_owned())
    }

    fn ask_keys(&self, settings: &Aws, budget: &Budget) -> Result<Keys, Error> {
        let session = self.ask_session(settings, budget)?;
        let Some(url) = &settings.keys_url else {
            return Err(lacks("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "url"));
        };
        let role = self.ask_text("role", budget, || aws::ask(url, session.as_ref()))?;
        let url = aws::keys_url(url, &role);
        let make = || aws::ask(&url, session.as_ref());
        grants::subject(&self.client.0, budget, make, aws::keys)
    }

    fn ask_session(&self, settings: &Aws, budget: &Budget) -> Result<Option<SecretText>, Error> {
        let Some(url) = &settings.session_token_url else {
            return Ok(None);
        };
        let token = self.ask_text("session token", budget, || aws::session(url))?;
        Ok(Some(SecretText::new(&token)))
    }

    /// Asks the metadata server of AWS for a text.
    fn ask_text(
        &self,
        what: &'static str,
        budget: &Budget,
        make: impl FnMut() -> Result<Request<Vec<u8>>, Error>,
    ) -> Result<Zeroizing<String>, Error> {
        let config = &*self.client.0;
        // google-auth takes any text.
        let is_usable = |text: &str| config.exact || aws::is_word(text);
        let read = |body: &[u8]| match std::str::from_utf8(body) {
            Ok(text) if is_usable(text) => Ok(Zeroizing::new(text.to_owned())),
            _ => {
                let what = format!("the metadata server of AWS answers with an unusable {what}");
                Err(unusable(what).with_hint("see that `credential_source` in the file names it"))
            }
        };
        grants::subject(config, budget, make, read)
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
    let Ok(answer) = serde_json::from_slice(&bytes) else {
        return Ok(None);
    };
    match executable::answer(object(answer)?, now)? {
        Answer::Token {
            token,
            expires: Some(_),
        } => Ok(Some(token)),
        Answer::Token { expires: None, .. } | Answer::Nothing(_) => Ok(None),
    }
}

/// The JSON that an executable printed, or wrote into its output file.
fn printed(bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|_| no_object())
}

fn object(answer: Value) -> Result<Map<String, Value>, Error> {
    match answer {
        Value::Object(fields) => Ok(fields),
        _ => Err(no_object()),
    }
}

fn no_object() -> Error {
    unusable("the executable printed no JSON object")
        .with_hint("run the executable of the credentials file by hand")
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
