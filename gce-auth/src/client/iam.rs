//! IAM Service Account Credentials: where it is, the certificate for it, and
//! one way to send requests.

use http::{HeaderValue, Request, Response};

use crate::{
    client::{api::Api, config::Config},
    io::{threads::LaneKey, transport::Limits},
    values::{
        budget::Budget,
        error::{Error, ErrorKind},
        universe::DEFAULT_UNIVERSE,
    },
    wire::{
        api::Refusal,
        boundary,
        iam::IamEndpoint,
        retry::{RetryPolicy, server::Server},
    },
};

/// Puts an access token onto requests.
pub(crate) trait Authorize {
    fn authorize(&mut self, request: &mut Request<Vec<u8>>) -> Result<(), Error>;

    /// Drops the token that was put onto the last request: it was rejected.
    fn reject(&mut self);
}

/// IAM, as one program asks it.
pub(crate) struct Iam<'a> {
    pub(crate) config: &'a Config,
    pub(crate) policy: &'a RetryPolicy,
    pub(crate) limits: Limits,
}

impl<'a> Iam<'a> {
    /// With the client's policy, and the limits of Google's APIs.
    pub(crate) fn new(config: &'a Config) -> Self {
        Self {
            config,
            policy: &config.retry,
            limits: config.api_limits.clone(),
        }
    }

    /// Has IAM sign what `request` holds, with a token of the moment at each
    /// attempt.
    pub(crate) fn sign<T>(
        &self,
        budget: &mut Budget,
        request: &Request<Vec<u8>>,
        authorize: &mut dyn Authorize,
        read: impl Fn(Response<Vec<u8>>) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let signed = self.api(Server::Signing).send(
            budget,
            || {
                let mut request = request.clone();
                authorize.authorize(&mut request)?;
                identified(self.config, request)
            },
            |response, _| read(response),
        );
        // google-auth goes on with a token that IAM rejected.
        if let Err(error) = &signed {
            if error.status() == Some(401) && !self.policy.is_google_auth() {
                authorize.reject();
            }
        }
        signed
    }

    /// The regional access boundary of the resource with this name, encoded;
    /// `None` where it has none.
    pub(crate) fn allowed_locations(
        &self,
        budget: &mut Budget,
        name: &str,
        authorization: &HeaderValue,
    ) -> Result<Option<HeaderValue>, Error> {
        let host = host(self.config, DEFAULT_UNIVERSE);
        self.api(Server::Boundary).send(
            budget,
            || {
                let request = boundary::lookup(&host, name, authorization.clone())?;
                identified(self.config, request)
            },
            |response, _| boundary::found(&response),
        )
    }

    fn api(&self, server: Server) -> Api<'_> {
        Api {
            config: self.config,
            server,
            policy: self.policy,
            limits: &self.limits,
        }
    }
}

/// The host of the API in a universe.
fn host(config: &Config, universe: &str) -> String {
    if config.workload.uses_client_certificate(&config.environment) {
        format!("iamcredentials.mtls.{universe}")
    } else {
        format!("iamcredentials.{universe}")
    }
}

/// Where the API is, unless the program says so.
pub(crate) fn endpoint(config: &Config, universe: &str) -> Result<IamEndpoint, Error> {
    IamEndpoint::parse(&format!("https://{}", host(config, universe)))
}

/// Returns the lane of work for that API; the default universe's, as long as
/// another is not known.
pub(crate) fn lane(config: &Config, endpoint: Option<&IamEndpoint>) -> LaneKey {
    match endpoint {
        Some(endpoint) => LaneKey::of(endpoint.url(), &config.transport),
        None => LaneKey::new(
            format!("https://{}", host(config, DEFAULT_UNIVERSE)),
            &config.transport,
        ),
    }
}

/// The request as it is, or with the certificate that its host wants.
pub(crate) fn identified(
    config: &Config,
    mut request: Request<Vec<u8>>,
) -> Result<Request<Vec<u8>>, Error> {
    let mutual = |host: &str| host.starts_with("iamcredentials.mtls.");
    if request.uri().host().is_some_and(mutual) {
        let identity = config
            .workload
            .client_identity(&config.environment)
            .map_err(|error| {
                Error::new(ErrorKind::Tls, error.message()).with_hint(
                    "look at the file that GOOGLE_API_CERTIFICATE_CONFIG names, or set \
                     GOOGLE_API_USE_CLIENT_CERTIFICATE=false",
                )
            })?;
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
    }
    Ok(request)
}
