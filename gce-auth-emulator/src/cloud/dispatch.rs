//! Which API answers a call.

use gce_auth_server::protocol::Reply;

use crate::{
    cloud::{call::CloudCall, endpoint::Endpoint, iam, oauth, oidc, project, sts, tokeninfo},
    state::State,
};

/// Answers a call to a Google API.
pub(crate) async fn answer(state: &State, call: &CloudCall) -> Reply {
    match &call.endpoint {
        Endpoint::Token => oauth::token(state, call).await,
        Endpoint::Revoke => oauth::revoke(state, call),
        Endpoint::TokenInfo => tokeninfo::answer(state, call).await,
        Endpoint::Sts(what) => sts::answer(state, *what, call).await,
        Endpoint::Iam { account, method } => iam::answer(state, account, method, call).await,
        Endpoint::PoolLocations => iam::pool_locations(state, call).await,
        Endpoint::Project(name) => project::answer(state, name, call).await,
        Endpoint::Jwks
        | Endpoint::Certificates
        | Endpoint::AccountKeys { .. }
        | Endpoint::Discovery
        | Endpoint::Agents { .. } => oidc::answer(state, call).await,
    }
}
