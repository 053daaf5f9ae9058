//! How Cloud SQL for PostgreSQL logs accounts in with IAM.
//!
//! Source: Cloud SQL for PostgreSQL, "Log in using IAM database authentication".

use std::net::IpAddr;

use gce_auth::{Credentials, Error};

/// The scope of a token that can log in and do nothing else.
const LOGIN: &str = "https://www.googleapis.com/auth/sqlservice.login";

/// Returns credentials whose tokens can log in and do nothing else, where `ours` have a choice of
/// scopes: `ours` themselves if they are. Their tokens are passwords.
pub(crate) fn for_login(ours: &Credentials) -> Credentials {
    match ours.scopes() {
        Some(scopes) if scopes == [LOGIN] => ours.clone(),
        _ => ours.with_scopes([LOGIN]),
    }
}

/// Returns the account as Cloud SQL names its user. Asks the metadata server for the e-mail address
/// if it is not known.
pub(crate) async fn user(ours: &Credentials) -> Result<String, Error> {
    let email = match ours.service_account_email() {
        Some(known) => known,
        None => ours.account().await?.email().to_owned(),
    };
    Ok(user_name(&email).to_owned())
}

/// Returns the user of a service account: its e-mail address without `.gserviceaccount.com`. The
/// address of a person stays as it is.
fn user_name(email: &str) -> &str {
    email.strip_suffix(".gserviceaccount.com").unwrap_or(email)
}

/// Returns whether a connection to `host` stays on this machine, where the Cloud SQL Auth Proxy
/// listens without TLS.
pub(crate) fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.starts_with('/')
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_local, user_name};

    #[test]
    fn a_service_account_loses_its_last_labels() {
        assert_eq!(user_name("me@p.iam.gserviceaccount.com"), "me@p.iam");
        assert_eq!(
            user_name("1-compute@developer.gserviceaccount.com"),
            "1-compute@developer"
        );
        assert_eq!(user_name("ann@example.com"), "ann@example.com");
        assert_eq!(
            user_name("x.gserviceaccount.com@example.com"),
            "x.gserviceaccount.com@example.com"
        );
    }

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "[::1]",
            "/run/postgresql",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "10.0.0.3",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "db",
            "",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
