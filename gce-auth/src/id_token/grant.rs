//! ID tokens from the OAuth 2.0 token endpoint, for an assertion that IAM, or
//! a signer of the program's, has signed.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::Method;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    client::{
        config::Config,
        iam::{endpoint, identified},
        tries::{self, Judged},
    },
    credentials::Credentials,
    io::{threads::LaneKey, transport::Limits},
    values::{
        error::{Error, ErrorKind},
        token::Bearer,
    },
    wire::{
        grant::{self, Assertion},
        iam::{self, IamEndpoint, Signatory},
    },
};

/// Attempts to sign, and to exchange; 1 s and 2 s between them.
const ATTEMPTS: u32 = 3;

/// The algorithm of a [`JwtSigner`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256; the signature in fixed form, 64 bytes.
    Es256,
}

impl JwtAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Signs assertions with a key of the program's, in place of IAM.
///
/// Called on one of the library's threads, which have 512 KiB of stack and where
/// it may block, or on the caller's in a `blocking_` call.
pub trait JwtSigner: Send + Sync + fmt::Debug {
    /// A signature over `bytes`.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>>;

    /// How it signs: RS256 unless said otherwise.
    fn algorithm(&self) -> JwtAlgorithm {
        JwtAlgorithm::default()
    }

    /// The id of the key, which becomes `kid`; none unless said otherwise.
    fn key_id(&self) -> Option<String> {
        None
    }
}

/// What an assertion is made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantWish {
    pub(crate) token_uri: String,
    /// A JSON object.
    pub(crate) claims: String,
    /// The account that signs, where it was named.
    pub(crate) email: Option<String>,
}

/// Who signs assertions.
#[derive(Debug)]
pub(crate) struct Grantor {
    pub(crate) credentials: Credentials,
    pub(crate) signer: Option<Arc<dyn JwtSigner>>,
    /// Where IAM is, where somebody said so.
    pub(crate) endpoint: Option<IamEndpoint>,
    /// The server that is asked first.
    pub(crate) lane: LaneKey,
}

/// Reads what is to be claimed besides.
pub(crate) fn claims(text: &str) -> Result<Map<String, Value>, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(
            Error::new(ErrorKind::Config, "additional claims are not a JSON object")
                .with_hint("write them like {\"role\":\"reader\"}"),
        ),
    }
}

impl Grantor {
    /// An ID token for `audience`, in the name of `email`.
    pub(crate) fn id_token(
        &self,
        settings: &Config,
        wish: &GrantWish,
        email: &str,
        audience: &str,
    ) -> Result<Bearer, Error> {
        let key_id = self.signer.as_ref().and_then(|signer| signer.key_id());
        let algorithm = self.signer.as_ref().map(|signer| signer.algorithm());
        let claims = claims(&wish.claims)?;
        let assertion = Assertion {
            issuer: email,
            token_uri: &wish.token_uri,
            audience,
            additional: &claims,
            algorithm: algorithm.unwrap_or_default().name(),
            key_id: key_id.as_deref(),
        };
        let to_sign = assertion.to_sign(settings.clock.now());
        let signature = Zeroizing::new(self.sign(settings, email, to_sign.as_bytes())?);
        let mut request = grant::request(&wish.token_uri, &to_sign, &signature)?;
        let granted = tries::repeat(
            settings,
            &limits(settings),
            ATTEMPTS,
            || Ok(request.clone()),
            |response, sent| match grant::id_token(response, assertion.audience(), sent) {
                Ok(bearer) => Judged::Good(bearer),
                Err(refused) if refused.transient => Judged::Transient(refused.error),
                Err(refused) => Judged::Final(refused.error),
            },
        );
        request.body_mut().zeroize();
        granted
    }

    /// A signature over `bytes` in the name of `email`.
    pub(crate) fn sign(
        &self,
        settings: &Config,
        email: &str,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if let Some(signer) = &self.signer {
            return signer.sign(bytes).map_err(|cause| {
                Error::new(ErrorKind::Signing, format!("the signer failed: {cause}"))
                    .with_source(cause.into())
            });
        }
        let endpoint = self.endpoint(settings)?;
        let blob = iam::sign_blob(&endpoint, Signatory::alone(email), bytes)?;
        tries::repeat(
            settings,
            &limits(settings),
            ATTEMPTS,
            || {
                let mut request = blob.clone();
                let uri = request.uri().clone();
                let headers = request.headers_mut();
                self.credentials
                    .blocking_before_request(&Method::POST, &uri, headers)?;
                identified(settings, request)
            },
            |response, _| match iam::signature(response) {
                Ok(signature) => Judged::Good(signature),
                Err(refusal) => match refusal.error.status() {
                    Some(500 | 502 | 503 | 504) => Judged::Transient(refusal.error),
                    _ => Judged::Final(refusal.error),
                },
            },
        )
    }

    fn endpoint(&self, settings: &Config) -> Result<IamEndpoint, Error> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => endpoint(settings, &self.credentials.blocking_universe_domain()?),
        }
    }
}

fn limits(settings: &Config) -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(15),
        attempt: Duration::from_secs(15),
        ..settings.limits.clone()
    }
}
