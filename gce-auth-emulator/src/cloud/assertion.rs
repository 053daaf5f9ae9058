//! Assertions: JSON Web Tokens that service accounts sign.

use serde_json::Value;

use crate::{
    cloud::lookup,
    identity::jwt::{self, Unverified},
    state::State,
};

/// The claims of a token, if the account that it names as its issuer signed it: here, or with a key
/// that was uploaded for it.
pub(crate) async fn verified(state: &State, token: &str) -> Option<Value> {
    let unverified = Unverified::parse(token)?;
    let issuer = unverified.claims["iss"].as_str().unwrap_or_default();
    let key = match lookup::account(state, issuer) {
        Some(account) => state.key_of(&account).await?,
        // Of an account that there is not any key counts: what is wrong is the account.
        None if state
            .account_keys
            .verify(unverified.message, &unverified.signature) =>
        {
            return Some(unverified.claims);
        }
        None => state.key().await?,
    };
    jwt::verify(&key, token)
        .map(|(_, claims)| claims)
        .or_else(|| jwt::verify_assertion(state.accounts(), token))
}
