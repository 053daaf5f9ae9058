//! OAuth 2.0 token endpoints: one way to ask them.

use http::{Request, Response};
use zeroize::Zeroize as _;

use crate::{
    client::{api::Api, config::Config},
    values::{budget::Budget, error::Error, token::Now},
    wire::{api::Refusal, retry::server::Server},
};

/// Sends a grant until the endpoint answers it, or plainly refuses. The grant
/// is wiped: its body is as good as the token.
pub(crate) fn grant<T, E: Into<Refusal>>(
    config: &Config,
    budget: &mut Budget,
    mut request: Request<Vec<u8>>,
    read: impl Fn(Response<Vec<u8>>, Now) -> Result<T, E>,
) -> Result<T, Error> {
    let api = Api {
        config,
        server: Server::TokenEndpoint,
        policy: &config.retry,
        limits: &config.api_limits,
    };
    let granted = api.send(budget, || Ok(request.clone()), read);
    request.body_mut().zeroize();
    granted
}
