//! Configures a verifier; does nothing else.

use std::{sync::Arc, time::Duration};

use crate::{
    client::config::MetadataClient,
    values::error::{Error, ErrorKind},
    verifier::{
        claims::Expected,
        keys::{Keys, Origin},
        verify::{IdTokenVerifier, Inner},
    },
    wire::jwks::{self, Form, KeySet},
};

/// Both forms in which Google names itself (OpenID Connect at Google).
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// Google, "Get the user's identity with IAP".
const IAP_ISSUER: &str = "https://cloud.google.com/iap";
const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
/// Firebase, "Verify ID tokens".
const FIREBASE_ISSUER: &str = "https://securetoken.google.com/";
const FIREBASE_KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
/// Google, "Agent identity": tokens of an agent are issued by its pool.
const AGENTS_ISSUER: &str = "https://sts.googleapis.com/v1/";

/// Covers clocks that NTP keeps and tokens that were made a moment ago.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(10);
/// RFC 8725 and RFC 7519, 4.1.4: "usually no more than a few minutes".
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

impl IdTokenVerifier {
    /// Returns a builder. A verifier needs an audience.
    pub fn builder() -> IdTokenVerifierBuilder {
        IdTokenVerifierBuilder::default()
    }
}

/// Configures an [`IdTokenVerifier`].
///
/// # Examples
/// Tokens of one caller for this service:
/// ```
/// use gce_auth::IdTokenVerifier;
///
/// # fn main() -> Result<(), gce_auth::Error> {
/// let verifier = IdTokenVerifier::builder()
///     .audience("https://service.example")
///     .email("caller@project.iam.gserviceaccount.com")
///     .build()?;
/// # Ok(())
/// # }
/// ```
/// Requests that came through Identity-Aware Proxy
/// (`x-goog-iap-jwt-assertion`):
/// ```
/// # use gce_auth::IdTokenVerifier;
/// # fn main() -> Result<(), gce_auth::Error> {
/// let verifier = IdTokenVerifier::builder()
///     .iap()
///     .audience("/projects/123456789/global/backendServices/987654321")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct IdTokenVerifierBuilder {
    audiences: Vec<String>,
    preset_issuers: Vec<String>,
    issuers: Vec<String>,
    email: Option<String>,
    email_vouched: bool,
    leeway: Duration,
    keys: Wanted,
    client: Option<MetadataClient>,
}

/// Where keys are to come from.
#[derive(Clone, Debug)]
enum Wanted {
    At(String, Form),
    Given(String),
}

impl Default for IdTokenVerifierBuilder {
    fn default() -> Self {
        Self {
            audiences: Vec::new(),
            preset_issuers: GOOGLE_ISSUERS.map(str::to_owned).to_vec(),
            issuers: Vec::new(),
            email: None,
            email_vouched: true,
            leeway: DEFAULT_LEEWAY,
            keys: Wanted::At(GOOGLE_KEYS.to_owned(), Form::Jwks),
            client: None,
        }
    }
}

impl IdTokenVerifierBuilder {
    /// Accepts this audience (`aud`). Call again to accept more.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts any of these audiences (`aud`).
    pub fn audiences<I>(mut self, audiences: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Accepts tokens of Google accounts, service accounts and metadata servers.
    /// This is the default.
    pub fn google(self) -> Self {
        self.preset(
            GOOGLE_ISSUERS.map(str::to_owned).to_vec(),
            GOOGLE_KEYS,
            true,
        )
    }

    /// Accepts tokens of Identity-Aware Proxy, signed with ES256. The audience is
    /// the path of the backend service or of the application (Google, "Get the
    /// user's identity with IAP").
    pub fn iap(self) -> Self {
        // IAP speaks of addresses that it has verified, and does not say so.
        self.preset(vec![IAP_ISSUER.to_owned()], IAP_KEYS, false)
    }

    /// Accepts tokens of Firebase Authentication in `project`, which is added to
    /// the audiences (Firebase, "Verify ID tokens").
    pub fn firebase(self, project: impl Into<String>) -> Self {
        let project = project.into();
        let issuer = format!("{FIREBASE_ISSUER}{project}");
        self.preset(vec![issuer], FIREBASE_KEYS, true)
            .audience(project)
    }

    /// Accepts ID tokens of agents of this trust domain,
    /// `agents.global.proj-NUMBER.system.id.goog` or
    /// `agents.global.org-NUMBER.system.id.goog`. Their subject is the agent's
    /// SPIFFE id; they name no email address.
    pub fn agents(self, trust_domain: impl Into<String>) -> Self {
        // No issuer is none that a token can have: building refuses it.
        let issuer = agents_issuer(&trust_domain.into()).unwrap_or_default();
        let keys = format!("{issuer}/openid/jwks");
        self.preset(vec![issuer], &keys, true)
    }

    /// Accepts this issuer (`iss`), in place of those of the preset. Call again to
    /// accept more.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Fetches the keys from this URL, as a JWK set (RFC 7517). Of this,
    /// [`certs_url`](Self::certs_url), [`keys`](Self::keys) and the presets,
    /// the last call counts.
    ///
    /// Plain HTTP is for emulators: anyone on the path can replace the keys.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.keys = Wanted::At(url.into(), Form::Jwks);
        self
    }

    /// Fetches the keys from this URL, as X.509 certificates: a JSON object of
    /// PEM by key id, as at `https://www.googleapis.com/oauth2/v1/certs`. Reads
    /// nothing of a certificate but its key.
    pub fn certs_url(mut self, url: impl Into<String>) -> Self {
        self.keys = Wanted::At(url.into(), Form::Certificates);
        self
    }

    /// Sets the keys: a JWK set, or an object of certificates, as JSON. No keys
    /// are fetched.
    pub fn keys(mut self, json: impl Into<String>) -> Self {
        self.keys = Wanted::Given(json.into());
        self
    }

    /// Sets the allowed clock skew, at most 5 minutes. Default: 10 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Requires this email address (`email`), verified by the issuer
    /// (`email_verified`). Default: any caller.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Sets the client whose transport, clock, executor and limits fetch the
    /// keys. The metadata server is not asked. Default: a new client.
    pub fn client(mut self, client: MetadataClient) -> Self {
        self.client = Some(client);
        self
    }

    /// Builds the verifier; does no I/O.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if there is no audience, the leeway exceeds
    /// 5 minutes, or another setting makes no sense.
    pub fn build(self) -> Result<IdTokenVerifier, Error> {
        let issuers = if self.issuers.is_empty() {
            self.preset_issuers
        } else {
            self.issuers
        };
        let needed = |what: &str| {
            Error::new(ErrorKind::Config, format!("a verifier needs {what}")).with_hint(
                "a token for another audience, or from another issuer, must not be accepted",
            )
        };
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(needed("an audience that is not empty"));
        }
        if issuers.iter().any(String::is_empty) {
            return Err(needed(
                "an issuer that is not empty, or a trust domain of agents",
            ));
        }
        if self.email.as_deref() == Some("") {
            return Err(needed("an email address that is not empty"));
        }
        if self.leeway > LONGEST_LEEWAY {
            return Err(Error::new(
                ErrorKind::Config,
                "the leeway of a verifier is longer than 5 minutes",
            )
            .with_hint("set the clocks right, and allow what is left: 10 s is the default"));
        }
        let origin = match self.keys {
            Wanted::At(url, form) => Origin::Published(jwks::url(&url)?, form),
            Wanted::Given(json) => Origin::Given(Arc::new(given(&json)?)),
        };
        let client = self.client.unwrap_or_default();
        Ok(IdTokenVerifier(Arc::new(Inner {
            expected: Expected {
                audiences: self.audiences,
                issuers,
                email: self.email,
                email_vouched: self.email_vouched,
                leeway: self.leeway,
            },
            clock: Arc::clone(&client.0.clock),
            keys: Arc::new(Keys::new(origin, client)),
        })))
    }

    fn preset(mut self, issuers: Vec<String>, keys: &str, email_vouched: bool) -> Self {
        self.preset_issuers = issuers;
        self.keys = Wanted::At(keys.to_owned(), Form::Jwks);
        self.email_vouched = email_vouched;
        self
    }
}

/// The issuer of the pool of a trust domain, whose number is that of an
/// organization or a project.
fn agents_issuer(trust_domain: &str) -> Option<String> {
    let rest = trust_domain
        .strip_prefix("agents.global.")
        .or_else(|| trust_domain.strip_prefix("agents-nonprod.global."))?;
    let (kind, number) = rest.strip_suffix(".system.id.goog")?.split_once('-')?;
    let parent = match kind {
        "org" => "organizations",
        "proj" | "project" => "projects",
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let pool = format!("{parent}/{number}/locations/global/workloadIdentityPools/{trust_domain}");
    digits.then(|| format!("{AGENTS_ISSUER}{pool}"))
}

/// Keys in either form.
fn given(json: &str) -> Result<KeySet, Error> {
    let jwks = KeySet::read(Form::Jwks, json.as_bytes());
    let read =
        jwks.or_else(|error| KeySet::read(Form::Certificates, json.as_bytes()).map_err(|_| error));
    read.map_err(|error| Error::new(ErrorKind::Config, format!("the given keys: {error}")))
}
