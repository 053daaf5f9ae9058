//! [sqlx] 0.9: a pool whose connections log in to Cloud SQL for PostgreSQL with IAM.
//!
//! ```no_run
//! use gce_auth_adapters::sqlx_0_9::connect;
//! use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
//!
//! # async fn pool() -> sqlx::Result<()> {
//! let credentials = gce_auth::Credentials::new();
//! let options = PgConnectOptions::new().host("10.0.0.3").database("app");
//! let pool = connect(PgPoolOptions::new(), options, &credentials).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A pool of sqlx opens connections with the password that it holds, and asks for no other. So
//! [`connect`] starts a task that gives it each new token, until the pool is closed. The task holds
//! the pool: end it with `pool.close().await`.
//!
//! [sqlx]: https://docs.rs/sqlx

use std::time::Duration;

use gce_auth::{AccessToken, Credentials, Error, ErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use crate::cloud_sql;

/// How often the password of a pool is compared with the token. Tokens are renewed minutes before
/// they expire, so a password this old still works.
const INTERVAL: Duration = Duration::from_secs(20);

/// Opens a pool that logs in as the account of `ours`, with a token as the password of each
/// connection. Needs tokio.
///
/// # Errors
/// [`sqlx::Error::Configuration`] around the error of `ours`, as for [`login`]; that of
/// `connect_with` otherwise.
pub async fn connect(
    pool: PgPoolOptions,
    options: PgConnectOptions,
    ours: &Credentials,
) -> sqlx::Result<PgPool> {
    let options = login(options, ours).await;
    let options = options.map_err(|error| sqlx::Error::Configuration(error.into()))?;
    let pool = pool.connect_with(options).await?;
    tokio::spawn(keep_logged_in(pool.clone(), ours.clone()));
    Ok(pool)
}

/// Returns `options` with a token of `ours` as the password, limited to logging in where the
/// credentials have a choice of scopes. The user becomes the account as Cloud SQL names it; it
/// stays if the credentials name no account.
///
/// Requires TLS unless the host is this machine: the token is sent as it is. `Require`, the mode
/// that is set then, does not verify the server. Where others can reach the path to it, set
/// `VerifyCa` and the certificate of the instance's CA (`ssl_root_cert`): a stricter mode stays as
/// it is.
///
/// # Errors
/// As for `token` of the credentials; as for `account` if the account has to be looked up.
pub async fn login(
    options: PgConnectOptions,
    ours: &Credentials,
) -> Result<PgConnectOptions, Error> {
    let ours = cloud_sql::for_login(ours);
    let options = match cloud_sql::user(&ours).await {
        Ok(user) => options.username(&user),
        Err(error) if error.kind() == ErrorKind::InvalidOperation => options,
        Err(error) => return Err(error),
    };
    let local = options.get_socket().is_some() || cloud_sql::is_local(options.get_host());
    let plain = matches!(
        options.get_ssl_mode(),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
    );
    let options = match plain && !local {
        true => options.ssl_mode(PgSslMode::Require),
        false => options,
    };
    let token = ours.token().await?;
    Ok(options.password(token.secret()))
}

/// Keeps the password of the pool's next connections current, until the pool is closed.
///
/// If a token cannot be fetched, the password stays, and the next attempt is 20 s later. sqlx does
/// not say that a login failed: give credentials with the scope
/// [`sqlservice.login`](https://www.googleapis.com/auth/sqlservice.login) alone, and after a
/// rejection [`invalidate`](Credentials::invalidate) their token.
pub async fn keep_logged_in(pool: PgPool, ours: Credentials) {
    let ours = cloud_sql::for_login(&ours);
    let closed = pool.close_event();
    let renew = async {
        let mut last: Option<AccessToken> = None;
        loop {
            if let Ok(token) = ours.token().await {
                if last
                    .as_ref()
                    .is_none_or(|last| last.secret() != token.secret())
                {
                    let options = (*pool.connect_options()).clone();
                    pool.set_connect_options(options.password(token.secret()));
                    last = Some(token);
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = closed => {}
        () = renew => {}
    }
}
