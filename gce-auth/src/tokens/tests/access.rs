use std::{ops::Deref, time::Duration};

use http::{HeaderMap, Method, Uri};

use crate::{
    Credentials, CredentialsBuilder, Error, RefreshMode, TokenState,
    io::fake::Reply,
    values::error::ErrorKind,
    world::{self, account as info},
};

/// Credentials in a world of their own.
pub(super) struct World {
    pub(super) credentials: Credentials,
    world: world::World,
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.world
    }
}

pub(super) fn world(
    replies: impl IntoIterator<Item = Reply>,
    set: impl FnOnce(CredentialsBuilder) -> CredentialsBuilder,
) -> World {
    let world = world::World::new(replies);
    let builder = Credentials::builder();
    let builder = builder.client(world.client.clone()).shared(false);
    World {
        credentials: set(builder).build().unwrap(),
        world,
    }
}

impl World {
    pub(super) fn before(&self, uri: &str) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let uri: Uri = uri.parse().unwrap();
        self.credentials
            .blocking_before_request(&Method::GET, &uri, &mut headers)?;
        Ok(headers)
    }
}

#[test]
fn a_refresh_asks_for_the_account_and_names_what_it_learnt() {
    let world = world(
        [
            info(),
            Reply::token("one", 3600),
            info(),
            Reply::token("two", 3600),
        ],
        |builder| builder,
    );
    let credentials = &world.credentials;
    assert_eq!(credentials.scopes(), None);
    assert!(credentials.requires_scopes());
    assert_eq!(credentials.info().principal, "default");
    credentials.blocking_refresh().unwrap();
    assert_eq!(credentials.scopes().unwrap(), ["s", "t"]);
    assert!(credentials.has_scopes(&["t"]) && !credentials.has_scopes(&["t", "u"]));
    assert!(!credentials.requires_scopes());
    assert_eq!(
        credentials.info().to_string(),
        "VM credentials of a@p.iam.gserviceaccount.com from the metadata server"
    );
    credentials.blocking_refresh().unwrap();
    assert_eq!(credentials.held_token().unwrap().secret(), "two");
    assert_eq!(
        world.asked(),
        [
            "default/?recursive=true",
            "default/token?scopes=s%2Ct",
            "a@p.iam.gserviceaccount.com/?recursive=true",
            "default/token?scopes=s%2Ct"
        ]
    );
}

#[test]
fn default_scopes_are_for_accounts_without_any() {
    let bare = || Reply::Answer(200, r#"{"email":"a@x"}"#.to_owned());
    let world = world([bare(), Reply::token("t", 60)], |builder| {
        builder.default_scopes(["d"])
    });
    world.credentials.blocking_refresh().unwrap();
    assert_eq!(world.asked()[1], "default/token?scopes=d");
    assert!(world.credentials.requires_scopes() && world.credentials.has_scopes(&["d"]));
    let copy = world.credentials.with_scopes_if_required(["x"]);
    assert_eq!(
        (copy.scopes().unwrap().len(), copy.default_scopes()),
        (1, None)
    );
    let same = copy
        .with_scopes_if_required(["y"])
        .with_default_scopes(["z"]);
    assert_eq!(same.scopes().unwrap(), ["x"]);
    assert_eq!(same.default_scopes().unwrap(), ["z"]);
    assert_eq!(same.without_scopes().scopes(), None);
}

#[test]
fn states_are_google_auths_to_the_second() {
    let world = world([Reply::token("t", 3600)], |builder| builder);
    let credentials = &world.credentials;
    assert_eq!(credentials.token_state(), TokenState::Invalid);
    assert!(!credentials.is_valid() && !credentials.is_expired());
    credentials.blocking_token().unwrap();
    for (advance, state) in [
        (3374, TokenState::Fresh),
        (1, TokenState::Stale),
        (224, TokenState::Stale),
        (1, TokenState::Invalid),
    ] {
        world.advance(advance);
        assert_eq!(credentials.token_state(), state);
        assert_eq!(credentials.is_valid(), state == TokenState::Fresh);
        assert_eq!(credentials.is_expired(), state != TokenState::Fresh);
    }
    // It is still held, though no longer handed out.
    assert_eq!(credentials.held_token().unwrap().secret(), "t");
    assert!(credentials.cached_token().is_none() && credentials.expires_at().is_some());
}

#[test]
fn a_request_gets_token_metric_and_project() {
    let world = world([info(), Reply::token("t", 3600)], |builder| {
        builder.quota_project_id("billed")
    });
    let credentials = &world.credentials;
    let mut headers = HeaderMap::new();
    let error = credentials.apply(&mut headers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOperation);
    headers.insert("x-goog-api-client", "gccl/1".parse().unwrap());
    let uri = Uri::from_static("https://storage.googleapis.com/");
    credentials
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    assert_eq!(headers["authorization"], "Bearer t");
    assert_eq!(headers["x-goog-api-client"], "gccl/1 cred-type/mds");
    assert_eq!(headers["x-goog-user-project"], "billed");
    let headers = world.before("https://x/").unwrap();
    assert_eq!(headers["x-goog-api-client"], "cred-type/mds");
    assert_eq!(world.asked().len(), 2, "a valid token costs no request");
    let mut headers = HeaderMap::new();
    credentials.apply_token(&mut headers, "other").unwrap();
    assert_eq!(headers["authorization"], "Bearer other");
    assert!(credentials.apply_token(&mut headers, "a b").is_err());
}

#[test]
fn a_failed_request_leaves_the_headers_alone() {
    let world = world([Reply::status(404)], |builder| builder);
    let mut headers = HeaderMap::new();
    headers.insert("accept", "x".parse().unwrap());
    let before = headers.clone();
    let uri = Uri::default();
    let credentials = &world.credentials;
    assert!(
        credentials
            .blocking_before_request(&Method::GET, &uri, &mut headers)
            .is_err()
    );
    assert_eq!(headers, before);
}

#[test]
fn in_the_background_one_renewal_runs_and_its_failure_is_made_good() {
    let world = world([info(), Reply::token("one", 3600)], |builder| builder);
    world.before("https://x/").unwrap();
    world.advance(3400);
    world.transport.script([Reply::status(403)]);
    for _ in 0..3 {
        assert_eq!(
            world.before("https://x/").unwrap()["authorization"],
            "Bearer one"
        );
    }
    assert_eq!((world.queue.run_all(), world.asked().len()), (1, 3));
    // Right after a failure nobody tries, and then whoever needs it waits.
    assert_eq!(
        world.before("https://x/").unwrap()["authorization"],
        "Bearer one"
    );
    assert_eq!(world.asked().len(), 3);
    world.advance(10);
    world.transport.script([info(), Reply::token("two", 3600)]);
    assert_eq!(
        world.before("https://x/").unwrap()["authorization"],
        "Bearer two"
    );
    assert!(world.queue.is_empty());
}

#[test]
fn in_blocking_mode_a_good_token_outlives_a_failed_refresh() {
    let world = world([info(), Reply::token("one", 3600)], |builder| {
        builder.refresh_mode(RefreshMode::Blocking)
    });
    world.before("https://x/").unwrap();
    world.advance(3500);
    world.transport.script([Reply::status(403)]);
    assert_eq!(
        world.before("https://x/").unwrap()["authorization"],
        "Bearer one"
    );
    world.advance(200);
    assert!(world.before("https://x/").is_err());
}

#[test]
fn a_refresh_that_a_caller_waited_for_and_that_failed_keeps_the_next_in_the_background() {
    let world = world([info(), Reply::token("one", 3600)], |builder| {
        builder.refresh_mode(RefreshMode::Blocking)
    });
    world.before("https://x/").unwrap();
    world.advance(3400);
    world.transport.script([Reply::status(403)]);
    world.before("https://x/").unwrap();
    world.credentials.set_refresh_mode(RefreshMode::Background);
    world.advance(10);
    let asked = world.asked().len();
    assert_eq!(
        world.before("https://x/").unwrap()["authorization"],
        "Bearer one"
    );
    assert_eq!(world.asked().len(), asked, "the caller waits for nothing");
    world.transport.script([info(), Reply::token("two", 3600)]);
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(
        world.before("https://x/").unwrap()["authorization"],
        "Bearer two"
    );
}

#[test]
fn a_mode_changes_while_the_token_stays_and_copies_keep_that_of_the_builder() {
    let world = world([Reply::token("one", 3600)], |builder| builder);
    let credentials = &world.credentials;
    let shown = |credentials: &Credentials| {
        let headers = credentials.blocking_headers().unwrap();
        headers
            .authorization()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(shown(credentials), "Bearer one");
    credentials.set_refresh_mode(RefreshMode::Blocking);
    assert_eq!(credentials.held_token().unwrap().secret(), "one");
    assert_eq!(
        (shown(credentials), world.asked().len()),
        ("Bearer one".into(), 1)
    );
    world.advance(3500);
    world.transport.script([Reply::token("two", 3600)]);
    assert_eq!(
        shown(credentials),
        "Bearer two",
        "whoever finds it stale waits"
    );

    let copy = credentials.with_quota_project("q").unwrap();
    world.transport.script([Reply::token("three", 3600)]);
    assert_eq!(shown(&copy), "Bearer three");
    world.advance(3500);
    assert_eq!(shown(&copy), "Bearer three", "nobody waits");
    assert_eq!(world.queue.len(), 1);
}

#[test]
fn headers_that_are_handed_out_carry_no_metric() {
    let world = world([info(), Reply::token("one", 3600)], |builder| {
        builder.quota_project_id("q")
    });
    assert!(
        world
            .before("https://x/")
            .unwrap()
            .contains_key("x-goog-api-client")
    );
    let headers = world.credentials.blocking_headers().unwrap();
    let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization", "x-goog-user-project"]);
}

#[test]
fn copies_know_what_was_learnt_and_hold_no_token() {
    let world = world(
        [info(), Reply::token("one", 3600), Reply::text("u.example")],
        |builder| builder,
    );
    let credentials = &world.credentials;
    credentials.blocking_refresh().unwrap();
    assert_eq!(credentials.blocking_universe_domain().unwrap(), "u.example");
    let copy = credentials.with_quota_project("q").unwrap();
    assert!(copy.held_token().is_none());
    assert_eq!(
        copy.service_account_email().as_deref(),
        Some("a@p.iam.gserviceaccount.com")
    );
    assert_eq!(copy.scopes().unwrap(), ["s", "t"]);
    assert_eq!(copy.blocking_universe_domain().unwrap(), "u.example");
    assert_eq!(
        copy.with_quota_project(None).unwrap().quota_project_id(),
        None
    );
    let other = copy.with_service_account("b@x").unwrap();
    assert_eq!(
        (other.service_account_email().as_deref(), other.scopes()),
        (Some("b@x"), None)
    );
    let moved = other.with_universe_domain("v.example");
    assert_eq!(moved.blocking_universe_domain().unwrap(), "v.example");
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn unchanged_headers_are_not_built_again() {
    let world = world(
        [Reply::token("one", 3600), Reply::token("one", 3600)],
        |builder| builder,
    );
    let credentials = &world.credentials;
    let headers = credentials.blocking_headers().unwrap();
    let tag = headers.tag();
    assert!(
        credentials
            .blocking_headers_if_changed(&tag)
            .unwrap()
            .is_none()
    );
    // The same token again is no change.
    world.advance(3590);
    world.transport.script([info(), Reply::token("one", 3600)]);
    credentials.blocking_refresh().unwrap();
    assert!(
        credentials
            .blocking_headers_if_changed(&tag)
            .unwrap()
            .is_none()
    );
    world.transport.script([info(), Reply::token("two", 3600)]);
    credentials.blocking_refresh().unwrap();
    let changed = credentials
        .blocking_headers_if_changed(&tag)
        .unwrap()
        .unwrap();
    assert_eq!(changed.authorization().unwrap(), "Bearer two");
}

#[test]
fn an_account_that_was_exchanged_is_found_again() {
    let other = || {
        let info = r#"{"email":"b@p.iam.gserviceaccount.com","aliases":[],"scopes":[]}"#;
        Reply::Answer(200, info.to_owned())
    };
    let world = world(
        [
            info(),
            Reply::token("one", 3600),
            Reply::status(404),
            other(),
            Reply::token("two", 3600),
        ],
        |builder| builder,
    );
    world.credentials.blocking_refresh().unwrap();
    world.credentials.blocking_refresh().unwrap();
    let email = "b@p.iam.gserviceaccount.com";
    assert_eq!(
        world.credentials.service_account_email().as_deref(),
        Some(email)
    );
    assert_eq!(world.credentials.blocking_token().unwrap().secret(), "two");
    assert_eq!(
        world.asked()[2],
        "a@p.iam.gserviceaccount.com/?recursive=true"
    );
    assert_eq!(world.asked()[3], "default/?recursive=true");
}

#[test]
fn an_account_that_is_not_the_expected_one_is_not_learned() {
    let world = world(
        [
            Reply::Answer(200, r#"{"email":"evil@p","scopes":[]}"#.to_owned()),
            info(),
            Reply::token("good", 3600),
            Reply::text("a@p.iam.gserviceaccount.com"),
        ],
        |builder| builder.expect_account("a@p.iam.gserviceaccount.com"),
    );
    let error = world.credentials.blocking_refresh().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert_eq!(world.credentials.service_account_email(), None);
    world.credentials.blocking_refresh().unwrap();
    assert_eq!(world.asked()[1], "default/?recursive=true");
}

#[test]
fn what_was_waited_in_vain_is_not_waited_for_again_until_a_token_comes() {
    let world = world([Reply::status(503)], |builder| builder);
    world.credentials.blocking_token().unwrap_err();
    let first = world.clock.take_sleeps();
    assert!(first.len() >= 6 && first[0] < Duration::from_millis(200));

    world.advance(2);
    world.credentials.blocking_token().unwrap_err();
    let second = world.clock.take_sleeps();
    assert!((2..=4).contains(&second.len()), "{second:?}");
    let long = Duration::from_millis(2400);
    assert!(second.iter().all(|wait| *wait >= long), "{second:?}");

    world.advance(2);
    world.transport.script([Reply::token("t", 3600)]);
    let token = world.credentials.blocking_token().unwrap();
    world.credentials.invalidate(&token);
    let replies = [Reply::status(503), Reply::token("u", 3600)];
    world.transport.script(replies);
    world.credentials.blocking_token().unwrap();
    let third = world.clock.take_sleeps();
    assert!(third.len() == 1 && third[0] < first[1], "{third:?}");
}

#[test]
fn what_a_copy_learns_of_its_account_stays_its_own_where_nothing_is_shared() {
    const EMAIL: &str = "a@p.iam.gserviceaccount.com";
    let world = world([info()], |it| it);
    let universe = world.credentials.with_universe_domain("u.example");
    let billed = world.credentials.with_quota_project("q").unwrap();
    assert_eq!(universe.blocking_account().unwrap().email, EMAIL);
    assert_eq!(universe.service_account_email().as_deref(), Some(EMAIL));
    assert_eq!(world.credentials.service_account_email(), None);
    assert_eq!(billed.service_account_email(), None);
    // What was known before the copy is known to it.
    let copy = universe.with_quota_project("q").unwrap();
    assert_eq!(copy.service_account_email().as_deref(), Some(EMAIL));
}
