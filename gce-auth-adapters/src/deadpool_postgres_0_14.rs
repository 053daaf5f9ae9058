//! [deadpool-postgres] 0.14: a pool whose connections log in to Cloud SQL with IAM.
//!
//! ```no_run
//! use deadpool_postgres::{Manager, ManagerConfig, Pool};
//! use gce_auth_adapters::deadpool_postgres_0_14::IamConnect;
//! use tokio_postgres::NoTls;
//!
//! # fn pool() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = gce_auth::Credentials::new();
//! let manager = Manager::from_connect("host=10.0.0.3 dbname=app".parse()?, IamConnect::new(&credentials, NoTls), ManagerConfig::default());
//! let pool = Pool::builder(manager).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! [deadpool-postgres]: https://docs.rs/deadpool-postgres

use std::{future::Future, pin::Pin};

use deadpool_postgres::Connect;
use gce_auth::Credentials;
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Error, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use crate::{cloud_sql::for_login, cloud_sql_connect::connect};

type Connected<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

/// Opens each connection of a pool with a fresh token: see
/// [`login`](crate::tokio_postgres_0_7::login). Drops a token that the server rejects.
#[derive(Clone, Debug)]
pub struct IamConnect<T> {
    ours: Credentials,
    tls: T,
}

impl<T> IamConnect<T> {
    /// Returns a way to connect as the account of `ours`, over `tls`.
    pub fn new(ours: &Credentials, tls: T) -> Self {
        Self {
            ours: for_login(ours),
            tls,
        }
    }
}

impl<T> Connect for IamConnect<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self, config: &Config) -> Connected<'_> {
        Box::pin(connect(config.clone(), &self.ours, self.tls.clone()))
    }
}
