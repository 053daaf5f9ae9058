//! Which host of the IAM API is asked, and with which certificate.

use http::Request;

use crate::{
    client::settings::Settings,
    values::error::{Error, ErrorKind},
    wire::iam::IamEndpoint,
};

/// The host of the IAM Service Account Credentials API in a universe.
pub(crate) fn host(settings: &Settings, universe: &str) -> String {
    if settings
        .workload
        .uses_client_certificate(&settings.environment)
    {
        format!("iamcredentials.mtls.{universe}")
    } else {
        format!("iamcredentials.{universe}")
    }
}

/// Where that API is, unless somebody said so.
pub(crate) fn endpoint(settings: &Settings, universe: &str) -> Result<IamEndpoint, Error> {
    IamEndpoint::parse(&format!("https://{}", host(settings, universe)))
}

/// The request as it is, or with the certificate that its host wants.
pub(crate) fn identified(
    settings: &Settings,
    mut request: Request<Vec<u8>>,
) -> Result<Request<Vec<u8>>, Error> {
    let mutual = |host: &str| host.starts_with("iamcredentials.mtls.");
    if request.uri().host().is_some_and(mutual) {
        let identity = settings
            .workload
            .client_identity(&settings.environment)
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
