//! Logins to PostgreSQL with tokens as passwords, by each client.

#![cfg(all(
    feature = "bb8-0_9",
    feature = "deadpool-postgres-0_14",
    feature = "sqlx-0_9"
))]
#![allow(clippy::unwrap_used, reason = "a test says with it what it expects")]

mod support;

use std::{error::Error, sync::Mutex, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use gce_auth_adapters::{
    bb8_0_9::IamManager, deadpool_postgres_0_14::IamConnect, sqlx_0_9, tokio_postgres_0_7::login,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{
    Scene,
    example::{example, run},
    postgres::Postgres,
};
use tokio_postgres::{Config, NoTls};

const WHO: &str = "SELECT current_user::text";
const LOGIN_ALONE: [&str; 1] = ["https://www.googleapis.com/auth/sqlservice.login"];

/// A scene whose account may log in, and the name of its user there.
async fn admitted(server: &Postgres) -> (Scene, String) {
    let scene = Scene::new();
    let email = scene.ours.account().await.unwrap().email().to_owned();
    server.admit(scene.emulator.addr(), &email);
    let user = email
        .strip_suffix(".gserviceaccount.com")
        .unwrap()
        .to_owned();
    (scene, user)
}

fn config(server: &Postgres) -> Config {
    format!("host=127.0.0.1 port={} dbname=postgres", server.port)
        .parse()
        .unwrap()
}

/// The error and all of its causes.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Each connection is a login, and the logins have one token.
#[tokio::test]
async fn logins_share_a_token() {
    let scoped = Scene::new();
    for (scene, ours) in [
        (&Scene::shared(), None),
        (&scoped, Some(scoped.ours.with_scopes(LOGIN_ALONE))),
    ] {
        let ours = ours.as_ref().unwrap_or(&scene.ours);
        for _ in 0..20 {
            let mut config = Config::new();
            login(&mut config, ours).await.unwrap();
            let options = PgConnectOptions::new_without_pgpass();
            sqlx_0_9::login(options, ours).await.unwrap();
        }
        assert_eq!(scene.token_requests(), 1);
    }
}

/// One server for all: what starts it takes longer than the tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_passwords() {
    let Some(server) = Postgres::start() else {
        return;
    };
    by_tokio_postgres(&server).await;
    by_deadpool(&server).await;
    by_bb8(&server).await;
    by_sqlx(&server).await;
    by_the_examples(&server).await;
}

/// The examples, run as a user runs them.
async fn by_the_examples(server: &Postgres) {
    let (scene, user) = admitted(server).await;
    let config = format!("host=127.0.0.1 port={} dbname=postgres", server.port);
    for (name, arguments) in [
        ("tokio_postgres", &[&*config][..]),
        ("deadpool_postgres", &[&config]),
        ("bb8", &[&config]),
        ("sqlx", &["127.0.0.1", "postgres"]),
    ] {
        let mut command = example(name, scene.emulator.addr());
        command
            .args(arguments)
            .env("PGPORT", server.port.to_string());
        let said = tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap();
        assert_eq!(said, format!("logged in as {user}\n"), "{name}");
    }
}

async fn by_tokio_postgres(server: &Postgres) {
    let (scene, user) = admitted(server).await;
    let mut config = config(server);
    login(&mut config, &scene.ours).await.unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one(WHO, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), user);
    let scoped = |path: &str| path.contains("sqlservice.login");
    let asked = scene.emulator.requests();
    assert!(
        asked.iter().any(|request| scoped(&format!("{request:?}"))),
        "{asked:?}"
    );

    let mut other = config.clone();
    other.password("ya29.invented");
    assert!(other.connect(NoTls).await.is_err());
    scene.expire();
    assert!(
        config.connect(NoTls).await.is_err(),
        "an expired token logged in"
    );
    login(&mut config, &scene.ours).await.unwrap();
    assert!(config.connect(NoTls).await.is_ok());

    // The program reports a token that the server rejects.
    let ours = scene.ours.with_scopes(LOGIN_ALONE);
    login(&mut config, &ours).await.unwrap();
    scene.revoke();
    assert!(config.connect(NoTls).await.is_err());
    assert!(ours.invalidate(&ours.cached_token().unwrap()));
    login(&mut config, &ours).await.unwrap();
    assert!(config.connect(NoTls).await.is_ok());
    scene.break_down();
    login(&mut config, &ours).await.unwrap();
    scene.expire();
    let error = login(&mut config, &ours).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "{error}");
    scene.heal();
    login(&mut config, &ours).await.unwrap();
    assert!(config.connect(NoTls).await.is_ok());
}

async fn by_deadpool(server: &Postgres) {
    let (scene, user) = admitted(server).await;
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Verified,
    };
    let manager = Manager::from_connect(
        config(server),
        IamConnect::new(&scene.ours, NoTls),
        recycling,
    );
    let pool = Pool::builder(manager).max_size(4).build().unwrap();
    let who = async || {
        let client = pool.get().await?;
        let row = client.query_one(WHO, &[]).await?;
        Ok::<String, deadpool_postgres::PoolError>(row.get(0))
    };
    assert_eq!(who().await.unwrap(), user);
    scene.expire();
    assert_eq!(who().await.unwrap(), user, "an open connection stays");
    server.cut();
    assert_eq!(who().await.unwrap(), user);

    // A rejected token is dropped, so that the next connection has another.
    scene.revoke();
    server.cut();
    let error = whole(&who().await.unwrap_err());
    assert!(error.contains("authentication failed"), "{error}");
    assert_eq!(who().await.unwrap(), user);

    scene.break_down();
    scene.expire();
    server.cut();
    let error = whole(&who().await.unwrap_err());
    assert!(error.contains("503"), "{error}");
    scene.heal();
    assert_eq!(who().await.unwrap(), user);
}

async fn by_bb8(server: &Postgres) {
    let (scene, user) = admitted(server).await;
    let manager = IamManager::new(config(server), &scene.ours, NoTls);
    let pool = bb8::Pool::builder().max_size(4).test_on_check_out(true);
    let pool = pool
        .connection_timeout(Duration::from_secs(60))
        .build(manager)
        .await
        .unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        clients.spawn(async move {
            let client = pool.get().await.unwrap();
            client
                .query_one(WHO, &[])
                .await
                .unwrap()
                .get::<_, String>(0)
        });
    }
    assert!(clients.join_all().await.iter().all(|name| *name == user));
    let asked = scene.token_requests();
    assert_eq!(asked, 1, "one token for all connections");
    let who = async || {
        let client = pool.get().await.unwrap();
        let row = client.query_one(WHO, &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    scene.expire();
    server.cut();
    assert_eq!(who().await, user);

    // bb8 tries again by itself: a rejected token is dropped, and the next connection has another.
    scene.revoke();
    server.cut();
    assert_eq!(who().await, user);

    scene.break_down();
    scene.expire();
    server.cut();
    let asked = scene.token_requests();
    let outage = async {
        while scene.token_requests() == asked {
            tokio::task::yield_now().await;
        }
        scene.heal();
    };
    let (name, ()) = tokio::join!(who(), outage);
    assert_eq!(name, user);
}

async fn by_sqlx(server: &Postgres) {
    let (scene, user) = admitted(server).await;
    let options = PgConnectOptions::new_without_pgpass();
    let options = options
        .host("127.0.0.1")
        .port(server.port)
        .database("postgres");
    let ours = scene.ours.with_scopes(LOGIN_ALONE);
    let pool = sqlx_0_9::connect(PgPoolOptions::new(), options.clone(), &ours)
        .await
        .unwrap();
    let who = async || sqlx::query_scalar::<_, String>(WHO).fetch_one(&pool).await;
    assert_eq!(who().await.unwrap(), user);

    // What the task does every 20 s, it does when it begins, too.
    let tasks = Mutex::new(Vec::new());
    let renew = async || {
        let asked = scene.token_requests();
        let task = tokio::spawn(sqlx_0_9::keep_logged_in(pool.clone(), ours.clone()));
        let renewed = async {
            while scene.token_requests() == asked {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), renewed)
            .await
            .unwrap();
        // The cut connections are found out one by one, and the password follows the token's
        // arrival.
        let mut outcome = who().await;
        for _ in 0..100 {
            if outcome.is_ok() {
                break;
            }
            outcome = who().await;
        }
        assert_eq!(outcome.unwrap(), user);
        tasks.lock().unwrap().push(task);
    };
    scene.expire();
    server.cut();
    renew().await;

    // sqlx does not say that a login failed: the program reports the token.
    scene.revoke();
    server.cut();
    assert!(who().await.is_err());
    assert!(ours.invalidate(&ours.cached_token().unwrap()));
    renew().await;
    pool.close().await;
    for task in tasks.into_inner().unwrap() {
        task.await.unwrap();
    }

    scene.break_down();
    scene.expire();
    let error = sqlx_0_9::connect(PgPoolOptions::new(), options, &ours)
        .await
        .unwrap_err();
    assert!(whole(&error).contains("503"), "{}", whole(&error));
}
