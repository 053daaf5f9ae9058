//! Service accounts and the universe.

use super::get::{getter, none_where_missing};
use crate::{
    client::config::MetadataClient,
    values::{error::Error, universe::DEFAULT_UNIVERSE},
    wire::{
        account::{AccountInfo, account_info},
        request::{self, MetadataPath},
        response,
    },
};

impl MetadataClient {
    getter! {
        /// Fetches what the server knows of `account`, an email address or `default`:
        /// email, aliases and scopes, in one request.
        account_info / blocking_account_info(account) -> AccountInfo,
        |client, account| {
            let request = request::account_info(client.0.endpoint()?, account)?;
            client.ask(&request, |answer, _| account_info(answer))
        }
    }

    getter! {
        /// Fetches the email address of `account`; on GKE without a Google service
        /// account, the name of the workload identity pool.
        email / blocking_email(account) -> String,
        |client, account| client.trimmed(MetadataPath::account(account, "email")?.as_str())
    }

    getter! {
        /// Fetches the OAuth 2.0 scopes granted to `account`.
        scopes / blocking_scopes(account) -> Vec<String>,
        |client, account| client.listed(MetadataPath::account(account, "scopes")?.as_str())
    }

    getter! {
        /// Fetches the other names of `account` in paths.
        aliases / blocking_aliases(account) -> Vec<String>,
        |client, account| client.listed(MetadataPath::account(account, "aliases")?.as_str())
    }

    getter! {
        /// Fetches the names that service accounts have in paths: `default`, and each
        /// email address.
        service_accounts / blocking_service_accounts() -> Vec<String>,
        |client| {
            let listed = client.listed("instance/service-accounts/")?;
            Ok(listed.iter().map(|name| name.trim_end_matches('/').to_owned()).collect())
        }
    }

    getter! {
        /// Fetches the universe domain: `googleapis.com`, unless the server, which must
        /// have answered, names another.
        universe_domain / blocking_universe_domain() -> String,
        |client| universe_domain(client)
    }
}

/// A server that does not know the path is of the default universe; one that
/// cannot be asked is of none.
fn universe_domain(client: &MetadataClient) -> Result<String, Error> {
    let path = MetadataPath::new("universe/universe-domain")?;
    let request = request::value(client.0.endpoint()?, &path, &request::Query::default())?;
    let found = client.ask(&request, |answer, _| {
        response::universe_domain(answer.text()?)
    });
    Ok(none_where_missing(found)?.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned()))
}
