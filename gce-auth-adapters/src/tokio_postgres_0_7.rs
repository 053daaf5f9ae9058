//! [tokio-postgres] 0.7: a login to Cloud SQL with IAM.
//!
//! ```no_run
//! use gce_auth_adapters::tokio_postgres_0_7::login;
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = gce_auth::Credentials::new();
//! let mut config: tokio_postgres::Config = "host=10.0.0.3 dbname=app".parse()?;
//! login(&mut config, &credentials).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The token is the password of the next connection: log in again for each. Logins share one token
//! while it is valid. Of `unshared` credentials each login fetches one, unless their scopes are
//! [`sqlservice.login`](https://www.googleapis.com/auth/sqlservice.login) alone. For pools,
//! `deadpool_postgres_0_14` and `bb8_0_9` log in.
//!
//! [tokio-postgres]: https://docs.rs/tokio-postgres

use gce_auth::{AccessToken, Credentials, Error};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::cloud_sql;

/// Sets the password of `config` to a token of `ours`, limited to logging in where the credentials
/// have a choice of scopes. Sets the user, if there is none, to the account as Cloud SQL names it.
///
/// Requires TLS unless every host is this machine: the token is sent as it is.
///
/// # Errors
/// As for `token` of the credentials; as for `account` if the user has to be looked up.
pub async fn login(config: &mut Config, ours: &Credentials) -> Result<(), Error> {
    let ours = cloud_sql::for_login(ours);
    login_token(config, &ours).await.map(drop)
}

/// [`login`] with credentials for logins. Returns the token that is the password.
pub(crate) async fn login_token(
    config: &mut Config,
    ours: &Credentials,
) -> Result<AccessToken, Error> {
    if config.get_user().is_none() {
        config.user(cloud_sql::user(ours).await?);
    }
    if !is_local(config) {
        config.ssl_mode(SslMode::Require);
    }
    let token = ours.token().await?;
    config.password(token.secret());
    Ok(token)
}

fn is_local(config: &Config) -> bool {
    // An address stands for the name beside it.
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(|addr| addr.is_loopback());
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => cloud_sql::is_local(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn logged_in(config: &str) -> Config {
        let ours = Credentials::fixed("ya29.t", None);
        let mut config = config
            .parse()
            .unwrap_or_else(|error| panic!("{config}: {error}"));
        login(&mut config, &ours.unwrap_or_default())
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        config
    }

    #[tokio::test]
    async fn a_token_leaves_the_machine_over_tls_only() {
        for remote in [
            "host=10.0.0.3 user=a sslmode=disable",
            "host=localhost,db user=a",
            "host=localhost hostaddr=10.0.0.3 user=a",
        ] {
            assert_eq!(
                logged_in(remote).await.get_ssl_mode(),
                SslMode::Require,
                "{remote}"
            );
        }
        for local in [
            "host=127.0.0.1 user=a",
            "host=/run/sql user=a",
            "host=db hostaddr=::1 user=a",
        ] {
            assert_eq!(
                logged_in(local).await.get_ssl_mode(),
                SslMode::Prefer,
                "{local}"
            );
        }
    }

    #[tokio::test]
    async fn a_user_that_is_set_stays() {
        let config = logged_in("host=localhost user=app").await;
        assert_eq!(config.get_user(), Some("app"));
        assert_eq!(config.get_password(), Some(&b"ya29.t"[..]));
    }
}
