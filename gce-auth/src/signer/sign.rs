//! Signs bytes and JWTs, with IAM or with a private key at hand.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Request, Response};

use crate::{
    client::{self, iam::Iam},
    io::{threads::WorkKind, transport::Limits},
    signer::signature::{Signature, SignedJwt},
    task::{background::Background, under_way},
    tokens::{
        credentials::Credentials, iam_caller::IamCaller, info::CredentialsKind, source::Sign,
    },
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
    },
    wire::{
        api::Refusal,
        iam::{self, IamEndpoint, Signatory},
        retry::{RetryPolicy, server::Server},
    },
};

/// Signs as a service account with the private key that Google keeps: `signBlob`
/// and `signJwt` of the IAM Service Account Credentials API.
///
/// Cheap to clone. Building one does no I/O. The requests carry the access token
/// of a caller, who needs `roles/iam.serviceAccountTokenCreator` on the signing
/// account, also if that is the caller's own, and the scope `cloud-platform` or
/// `iam`. The API `iamcredentials.googleapis.com` must be enabled.
///
/// A request that gets no answer, or status 408, 429 or 5xx other than 501, is
/// repeated: 3 attempts by default, 1 s and 2 s apart, within 60 s
/// ([`SignerBuilder::retry`](crate::SignerBuilder::retry)).
///
/// # Examples
/// ```no_run
/// # async fn call() -> Result<(), gce_auth::Error> {
/// use gce_auth::{Credentials, Signer};
///
/// let signer = Signer::new(Credentials::new());
/// let signature = signer.sign_bytes(b"bytes of any kind").await?;
/// println!("{} bytes by key {}", signature.bytes().len(), signature.key_id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Signer(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) credentials: Credentials,
    /// The account that signs, where it was named.
    pub(super) account: Option<String>,
    /// The accounts on the way to it.
    pub(super) delegates: Vec<String>,
    /// Where the API is, if that was set.
    pub(super) endpoint: Option<IamEndpoint>,
    pub(super) limits: Limits,
    pub(super) retry: RetryPolicy,
    /// The email behind the account of the credentials, asked for once.
    pub(super) resolved: OnceLock<String>,
}

impl Signer {
    /// Signs `bytes`: RSASSA-PKCS1-v1_5 with SHA-256, as IAM does.
    ///
    /// # Errors
    /// [`Refused`](ErrorKind::Refused) if IAM refuses; the hint names the role, the
    /// API or the scope that is missing. Else the error of the access token, or of
    /// the connection to IAM.
    ///
    /// # Cancel safety
    /// Dropping the future is safe; a request that was sent ends by itself.
    pub async fn sign_bytes(&self, bytes: &[u8]) -> Result<Signature, Error> {
        let (signer, bytes) = (self.clone(), bytes.to_vec());
        self.background(move |budget| signer.sign_bytes_within(budget, &bytes))
            .await
    }

    /// [`sign_bytes`](Self::sign_bytes), waiting on this thread.
    ///
    /// # Errors
    /// As for [`sign_bytes`](Self::sign_bytes).
    pub fn blocking_sign_bytes(&self, bytes: &[u8]) -> Result<Signature, Error> {
        self.sign_bytes_within(self.budget(), bytes)
    }

    pub(super) fn sign_bytes_within(
        &self,
        budget: Budget,
        bytes: &[u8],
    ) -> Result<Signature, Error> {
        if let Some(key) = self.local() {
            let (key_id, bytes) = key.sign(bytes)?;
            let key_id = key_id.unwrap_or_default();
            return Ok(Signature { key_id, bytes });
        }
        let (key_id, bytes) = self.call(
            budget,
            |endpoint, who| iam::sign_blob(endpoint, who, bytes),
            iam::signed_blob,
        )?;
        Ok(Signature { key_id, bytes })
    }

    /// Signs a JWT with these claims, a JSON object. IAM writes the header, with
    /// the id of the key.
    ///
    /// An `exp` among the claims must be a whole number, in the future and at
    /// most 12 hours away (Google, "projects.serviceAccounts.signJwt").
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if `claims` is not a JSON object; else as for
    /// [`sign_bytes`](Self::sign_bytes).
    ///
    /// # Cancel safety
    /// As for [`sign_bytes`](Self::sign_bytes).
    ///
    /// # Examples
    /// ```no_run
    /// # async fn call(signer: gce_auth::Signer, now: u64) -> Result<(), gce_auth::Error> {
    /// let claims = format!(r#"{{"aud":"https://service.example","exp":{}}}"#, now + 600);
    /// let jwt = signer.sign_jwt(&claims).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sign_jwt(&self, claims: &str) -> Result<SignedJwt, Error> {
        let (signer, claims) = (self.clone(), claims.to_owned());
        self.background(move |budget| signer.sign_jwt_within(budget, &claims))
            .await
    }

    /// [`sign_jwt`](Self::sign_jwt), waiting on this thread.
    ///
    /// # Errors
    /// As for [`sign_jwt`](Self::sign_jwt).
    pub fn blocking_sign_jwt(&self, claims: &str) -> Result<SignedJwt, Error> {
        self.sign_jwt_within(self.budget(), claims)
    }

    fn sign_jwt_within(&self, budget: Budget, claims: &str) -> Result<SignedJwt, Error> {
        iam::check_claims(claims)?;
        if let (Some(key), Ok(claims)) = (self.local(), serde_json::from_str(claims)) {
            let (key_id, jwt) = key.sign_jwt(&claims)?;
            let key_id = key_id.unwrap_or_default();
            return Ok(SignedJwt { key_id, jwt });
        }
        let (key_id, jwt) = self.call(
            budget,
            |endpoint, who| iam::sign_jwt(endpoint, who, claims),
            iam::signed_jwt,
        )?;
        Ok(SignedJwt { key_id, jwt })
    }

    /// Fetches the email address of the account that signs, if it is not known:
    /// the one that was named, else that of the credentials, which the metadata
    /// server is asked for once.
    ///
    /// # Errors
    /// The error of the request to the metadata server;
    /// [`InvalidOperation`](ErrorKind::InvalidOperation) where the workload
    /// has no service account with an email address.
    pub async fn fetch_service_account_email(&self) -> Result<String, Error> {
        if let Some(known) = self.known_email() {
            return Ok(known);
        }
        let signer = self.clone();
        let client = self.0.credentials.client();
        client
            .background(WorkKind::Other, move |_| {
                signer.blocking_fetch_service_account_email()
            })
            .await
    }

    /// [`fetch_service_account_email`](Self::fetch_service_account_email), waiting
    /// on this thread.
    ///
    /// # Errors
    /// As for [`fetch_service_account_email`](Self::fetch_service_account_email).
    pub fn blocking_fetch_service_account_email(&self) -> Result<String, Error> {
        if let Some(known) = self.known_email() {
            return Ok(known);
        }
        let credentials = &self.0.credentials;
        let email = match self.own_email() {
            Some(known) => known,
            None if credentials.is_of_metadata_server() => {
                let named = credentials.info().principal;
                credentials.client().blocking_email(&named)?
            }
            None => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "these credentials are of no service account that could sign",
                )
                .with_hint(
                    "act as a service account (`impersonate`; --as EMAIL of the command), or name \
                     the account that signs with service_account",
                ));
            }
        };
        iam::check_account(&email).map_err(|_| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("the account of this workload, {email:?}, cannot sign"),
            )
            .with_hint(
                "link a Google service account to the workload, or name the one that signs \
                 with service_account",
            )
        })?;
        Ok(self.0.resolved.get_or_init(|| email).clone())
    }

    /// Returns the credentials whose token the requests carry.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The private key of the account, if it is at hand.
    fn local(&self) -> Option<&dyn Sign> {
        let source = &self.0.credentials.0.inner.source;
        let email = source.email();
        let other = self.0.account.is_some() && self.0.account != email;
        let key = source
            .signs()
            .filter(|_| !other && self.0.delegates.is_empty());
        key.filter(|key| key.is_local())
    }

    /// The service account of the credentials, if it is known. A person has an
    /// address, too, which IAM knows no key of.
    fn own_email(&self) -> Option<String> {
        let mut source = &self.0.credentials.0.inner.source;
        // Narrowed credentials have the address of those that they are made of.
        while source.credentials_kind() == CredentialsKind::Downscoped {
            source = &source.made_of()?.0.inner.source;
        }
        let is_user = source.credentials_kind() == CredentialsKind::AuthorizedUser;
        source.email().filter(|_| !is_user)
    }

    /// The account that signs, if that is known: what the credentials know of
    /// their account since a refresh goes before what was asked for earlier.
    fn known_email(&self) -> Option<String> {
        let known = || {
            let email = self.own_email();
            email.filter(|email| iam::check_account(email).is_ok())
        };
        let named = self.0.account.clone();
        named
            .or_else(known)
            .or_else(|| self.0.resolved.get().cloned())
    }

    fn endpoint(&self) -> Result<IamEndpoint, Error> {
        match &self.0.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => {
                let credentials = &self.0.credentials;
                let universe = credentials.blocking_universe_domain()?;
                client::iam::endpoint(&credentials.client().0, &universe)
            }
        }
    }

    /// One call of the API, with the headers of the moment at each attempt.
    fn call<T>(
        &self,
        mut budget: Budget,
        make: impl Fn(&IamEndpoint, Signatory<'_>) -> Result<Request<Vec<u8>>, Error>,
        read: impl Fn(Response<Vec<u8>>) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let credentials = &self.0.credentials;
        let asked = || {
            Ok((
                self.blocking_fetch_service_account_email()?,
                self.endpoint()?,
            ))
        };
        let (email, endpoint) = under_way::within(&budget, asked)?;
        let who = Signatory {
            email: &email,
            delegates: Some(&self.0.delegates),
        };
        let request = make(&endpoint, who)?;
        let iam = Iam {
            config: &credentials.client().0,
            policy: &self.0.retry,
            limits: self.0.limits.clone(),
        };
        let mut caller = IamCaller::new(&self.0.credentials);
        iam.sign(&mut budget, &request, &mut caller, read)
    }

    fn total(&self) -> Duration {
        self.0.retry.total_of(&[Server::Signing])
    }

    pub(super) fn budget(&self) -> Budget {
        let now = self.0.credentials.client().0.clock.now();
        Budget::new(now, self.total())
    }

    /// Does blocking work in the lane of IAM.
    pub(super) async fn background<T: Clone + Send + 'static>(
        &self,
        work: impl FnOnce(Budget) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let config = &self.0.credentials.client().0;
        let source = self.0.credentials.0.inner.source.lane();
        let background = Background {
            kind: WorkKind::Other,
            lane: &client::iam::lane(config, self.0.endpoint.as_ref()).after(source),
            executor: &*config.executor,
            clock: &*config.clock,
            budget: self.total(),
        };
        background.run(work).await
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("service_account", &self.known_email())
            .field("delegates", &self.0.delegates)
            .field("iam_endpoint", &self.0.endpoint)
            .field("credentials", &self.0.credentials)
            .finish()
    }
}
