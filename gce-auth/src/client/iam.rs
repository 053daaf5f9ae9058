//! Which host of the IAM API is asked, and with which certificate.

use http::Request;

use crate::{
    client::config::Config,
    io::threads::LaneKey,
    values::error::{Error, ErrorKind},
    wire::{iam::IamEndpoint, response::DEFAULT_UNIVERSE},
};

/// The host of the IAM Service Account Credentials API in a universe.
pub(crate) fn host(config: &Config, universe: &str) -> String {
    if config.workload.uses_client_certificate(&config.environment) {
        format!("iamcredentials.mtls.{universe}")
    } else {
        format!("iamcredentials.{universe}")
    }
}

/// Where that API is, unless somebody said so.
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
