//! [bb8] 0.9: a pool of tokio-postgres connections that log in to Cloud SQL with IAM.
//!
//! ```no_run
//! use gce_auth_adapters::bb8_0_9::IamManager;
//! use tokio_postgres::NoTls;
//!
//! # async fn pool() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = gce_auth::Credentials::new();
//! let manager = IamManager::new("host=10.0.0.3 dbname=app".parse()?, &credentials, NoTls);
//! let pool = bb8::Pool::builder().build(manager).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [bb8]: https://docs.rs/bb8

use bb8::ManageConnection;
use gce_auth::Credentials;
use tokio_postgres::{
    Client, Config, Error, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use crate::{cloud_sql::for_login, cloud_sql_connect::connect};

/// Opens each connection of a pool with a fresh token: see
/// [`login`](crate::tokio_postgres_0_7::login). Drops a token that the server rejects.
#[derive(Clone, Debug)]
pub struct IamManager<T> {
    config: Config,
    ours: Credentials,
    tls: T,
}

impl<T> IamManager<T> {
    /// Returns a manager of connections to the server of `config`, as the account of `ours`, over
    /// `tls`.
    pub fn new(config: Config, ours: &Credentials, tls: T) -> Self {
        Self {
            config,
            ours: for_login(ours),
            tls,
        }
    }
}

impl<T> ManageConnection for IamManager<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Connection = Client;
    type Error = Error;

    async fn connect(&self) -> Result<Client, Error> {
        let connected = connect(self.config.clone(), &self.ours, self.tls.clone()).await;
        connected.map(|(client, _)| client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<(), Error> {
        client.simple_query("").await.map(drop)
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        client.is_closed()
    }
}
