//! Logins to PostgreSQL on another host: over TLS, or not at all.

#![cfg(all(
    feature = "bb8-0_9",
    feature = "deadpool-postgres-0_14",
    feature = "sqlx-0_9"
))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{error::Error, sync::Arc};

use deadpool_postgres::{Manager, ManagerConfig, Pool};
use gce_auth_adapters::{
    bb8_0_9::IamManager, deadpool_postgres_0_14::IamConnect, sqlx_0_9, tokio_postgres_0_7::login,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use support::{
    Scene,
    postgres::{ANOTHER_HOST, Postgres},
};
use tokio_postgres::{
    Config, NoTls, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The user, and whether this connection has TLS.
const WHO: &str = "SELECT current_user::text, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

type Outcome = Result<(String, bool), Box<dyn Error>>;

fn config(server: &Postgres) -> Config {
    let text = format!("host={ANOTHER_HOST} port={} dbname=postgres", server.port);
    text.parse().unwrap()
}

/// A connector that trusts these CAs alone.
fn trusting(cas: &[&str]) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
            .unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

async fn by_tokio_postgres<T>(server: &Postgres, scene: &Scene, tls: T) -> Outcome
where
    T: MakeTlsConnect<Socket> + 'static,
    T::Stream: Send,
{
    let mut config = config(server);
    login(&mut config, &scene.ours).await?;
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(connection);
    let row = client.query_one(WHO, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn by_deadpool<T>(server: &Postgres, scene: &Scene, tls: T) -> Outcome
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let connect = IamConnect::new(&scene.ours, tls);
    let manager = Manager::from_connect(config(server), connect, ManagerConfig::default());
    let pool = Pool::builder(manager).max_size(1).build()?;
    let row = pool.get().await?.query_one(WHO, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn by_bb8<T>(server: &Postgres, scene: &Scene, tls: T) -> Outcome
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let manager = IamManager::new(config(server), &scene.ours, tls);
    let pool = bb8::Pool::builder().max_size(1).retry_connection(false);
    let pool = pool.build(manager).await?;
    let row = pool.dedicated_connection().await?;
    let row = row.query_one(WHO, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn by_sqlx(server: &Postgres, scene: &Scene, mode: Option<PgSslMode>) -> Outcome {
    let options = PgConnectOptions::new_without_pgpass();
    let options = options
        .host(ANOTHER_HOST)
        .port(server.port)
        .database("postgres");
    let options = match mode {
        Some(mode) => options.ssl_mode(mode).ssl_root_cert(server.ca_file()),
        None => options,
    };
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = sqlx_0_9::connect(pool, options, &scene.ours).await?;
    let row = sqlx::query_as::<_, (String, bool)>(WHO).fetch_one(&pool);
    let row = row.await;
    pool.close().await;
    Ok(row?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_leaves_the_machine_over_tls_alone() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let scene = Scene::new();
    let email = scene.ours.account().await.unwrap().email().to_owned();
    server.admit(scene.emulator.addr(), &email);
    let user = email.strip_suffix(".gserviceaccount.com").unwrap();
    let secured = (user.to_owned(), true);
    let tls = trusting(&[&server.ca]);
    let connected = by_tokio_postgres(&server, &scene, tls.clone()).await;
    assert_eq!(connected.unwrap(), secured);
    let connected = by_deadpool(&server, &scene, tls.clone()).await;
    assert_eq!(connected.unwrap(), secured);
    let connected = by_bb8(&server, &scene, tls.clone()).await;
    assert_eq!(connected.unwrap(), secured);
    for mode in [None, Some(PgSslMode::VerifyCa), Some(PgSslMode::VerifyFull)] {
        let connected = by_sqlx(&server, &scene, mode).await;
        assert_eq!(connected.unwrap(), secured, "{mode:?}");
    }

    // Neither a server of another CA nor one without TLS gets the token.
    let shown = || scene.emulator.request_count("/tokeninfo");
    let before = shown();
    assert!(before > 0);
    let distrusted = trusting(&[]);
    let refused = [
        by_tokio_postgres(&server, &scene, distrusted.clone()).await,
        by_deadpool(&server, &scene, distrusted.clone()).await,
        by_bb8(&server, &scene, distrusted).await,
        by_tokio_postgres(&server, &scene, NoTls).await,
        by_deadpool(&server, &scene, NoTls).await,
        by_bb8(&server, &scene, NoTls).await,
    ];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    server.without_tls();
    let refused = [
        by_tokio_postgres(&server, &scene, tls.clone()).await,
        by_deadpool(&server, &scene, tls.clone()).await,
        by_bb8(&server, &scene, tls).await,
        by_sqlx(&server, &scene, None).await,
        by_sqlx(&server, &scene, Some(PgSslMode::Disable)).await,
    ];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    assert_eq!(shown(), before);
}
