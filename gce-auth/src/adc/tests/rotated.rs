//! Refresh tokens that a server puts in the place of the one in the file.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use serde_json::Value;

use crate::{
    adc::tests::{
        files::{load, user},
        saved::workforce_user,
    },
    io::{
        fake::{HandQueue, Reply, ScriptedTransport},
        transport::{Limits, Transport, TransportError},
    },
    tokens::credentials::Credentials,
    world::World,
};

fn rotating(next: &str) -> Reply {
    let json = r#"{"access_token":"t","expires_in":3600,"scope":"a""#;
    Reply::text(&format!(r#"{json},"refresh_token":"{next}"}}"#))
}

/// The refresh token that each request carried.
fn sent(transport: &ScriptedTransport) -> Vec<String> {
    let sent = |request: &Request<Vec<u8>>| {
        let fields = form_urlencoded(request.body());
        let token = fields.into_iter().find(|(name, _)| name == "refresh_token");
        token.map(|(_, token)| token)
    };
    transport.requests().iter().filter_map(sent).collect()
}

fn form_urlencoded(body: &[u8]) -> Vec<(String, String)> {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let field = |field: &str| {
        let (name, value) = field.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    body.split('&').map(field).collect()
}

/// The refresh token that a file would hold by now.
fn newest(credentials: &Credentials) -> String {
    let file = credentials.file().unwrap().to_json();
    let file: Value = serde_json::from_str(file.secret()).unwrap();
    file["refresh_token"].as_str().unwrap().to_owned()
}

#[test]
fn all_who_loaded_one_file_know_its_newest_refresh_token() {
    for file in [user(), workforce_user()] {
        let world = World::new([rotating("r2"), rotating("r3")]);
        let one = load(&world, &file, &["a"]);
        let two = load(&world, &file, &["a"]);
        let apart = load(&world, &file, &["a"]).unshared();
        one.blocking_refresh().unwrap();
        for other in [&one, &two, &apart] {
            assert_eq!(newest(other), "r2");
        }
        two.blocking_refresh().unwrap();
        assert_eq!(newest(&one), "r3");
        apart.blocking_refresh().unwrap();
        assert_eq!(sent(&world.transport), ["r1", "r2", "r3"]);
        // It outlives them, as their token does.
        drop((one, two, apart));
        assert_eq!(newest(&load(&world, &file, &["a"])), "r3");
        // Another login is another token.
        let mut other = file;
        other["refresh_token"] = "r0".into();
        assert_eq!(newest(&load(&world, &other, &["a"])), "r0");
    }
}

#[test]
fn all_who_share_a_token_know_the_scopes_that_it_has() {
    let world = World::new([rotating("r2")]);
    let one = load(&world, &user(), &["a", "b"]);
    let two = load(&world, &user(), &["a", "b"]);
    one.blocking_refresh().unwrap();
    assert_eq!(two.granted_scopes().unwrap(), ["a"]);
    assert_eq!(load(&world, &user(), &["a"]).granted_scopes(), None);
}

/// Refreshes other credentials while the first request is on its way.
#[derive(Debug)]
struct Meanwhile {
    inner: Arc<ScriptedTransport>,
    others: Mutex<Option<Credentials>>,
}

impl Transport for Meanwhile {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let others = self.others.lock().unwrap().take();
        // Sent first, answered last.
        let answer = self.inner.send(request, limits);
        if let Some(others) = others {
            others.blocking_refresh().unwrap();
        }
        answer
    }
}

#[test]
fn an_overtaken_fetch_does_not_bring_an_older_refresh_token_back() {
    for file in [user(), workforce_user()] {
        let replies = [rotating("r2"), rotating("r3"), rotating("r4")];
        let transport = Arc::new(Meanwhile {
            inner: Arc::new(ScriptedTransport::new(replies)),
            others: Mutex::default(),
        });
        let carries = Arc::clone(&transport) as Arc<dyn Transport>;
        let world = World::with([], HandQueue::new(), |it| it.transport(carries));
        let first = load(&world, &file, &[]).unshared();
        let second = load(&world, &file, &[]).unshared();
        *transport.others.lock().unwrap() = Some(second.clone());
        first.blocking_refresh().unwrap();
        assert_eq!(newest(&first), "r3");
        second.blocking_refresh().unwrap();
        assert_eq!(sent(&transport.inner), ["r1", "r1", "r3"]);
        assert_eq!(newest(&first), "r4");
    }
}

#[test]
fn a_refused_older_refresh_token_is_followed_by_the_newest() {
    for file in [user(), workforce_user()] {
        let refused = Reply::Answer(400, r#"{"error":"invalid_grant"}"#.to_owned());
        let transport = Arc::new(Meanwhile {
            inner: Arc::new(ScriptedTransport::new([
                refused.clone(),
                rotating("r2"),
                rotating("r3"),
                refused,
            ])),
            others: Mutex::default(),
        });
        let carries = Arc::clone(&transport) as Arc<dyn Transport>;
        let world = World::with([], HandQueue::new(), |it| it.transport(carries));
        let first = load(&world, &file, &[]).unshared();
        let second = load(&world, &file, &[]).unshared();
        *transport.others.lock().unwrap() = Some(second);
        first.blocking_refresh().unwrap();
        assert_eq!(sent(&transport.inner), ["r1", "r1", "r2"]);
        assert_eq!(newest(&first), "r3");
        // The newest is refused once: there is none to go on with.
        let error = first.blocking_refresh().unwrap_err();
        assert!(error.to_string().contains("invalid_grant"), "{error}");
        assert_eq!(sent(&transport.inner), ["r1", "r1", "r2", "r3"]);
    }
}
