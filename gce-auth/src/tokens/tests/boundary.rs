mod waits;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Uri};

use super::access::{World, world};
use crate::{
    Credentials, MetadataClient,
    io::fake::{HandQueue, Reply},
    task::under_way,
    values::budget::Budget,
    world::{self, account as info},
};

fn found(encoded: &str) -> Reply {
    Reply::Answer(200, format!(r#"{{"encodedLocations":"{encoded}"}}"#))
}

/// A world with a token and a known universe.
fn bounded() -> World {
    let world = world([info(), Reply::token("t", 90_000)], |builder| {
        builder
            .universe_domain("googleapis.com")
            .regional_access_boundary(true)
    });
    world.credentials.blocking_refresh().unwrap();
    world
}

fn locations(world: &World) -> Option<String> {
    let headers = world.before("https://storage.googleapis.com/").unwrap();
    let value = headers.get("x-allowed-locations")?;
    Some(value.to_str().unwrap().to_owned())
}

/// Credentials with a token, whose requests do not wait for the look-up.
fn unblocked(client: &MetadataClient) -> Credentials {
    let credentials = Credentials::builder()
        .client(client.clone())
        .service_account("a@p.iam.gserviceaccount.com")
        .universe_domain("googleapis.com")
        .regional_access_boundary(true)
        .shared(false)
        .build()
        .unwrap();
    credentials.set_token(Some("t"), None).unwrap();
    credentials
}

#[test]
fn it_is_looked_up_beside_the_request_and_sent_while_it_holds() {
    let world = bounded();
    world.transport.script([Reply::status(503), found("0xA")]);
    assert_eq!(locations(&world), None);
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
    let headers = world.credentials.blocking_headers().unwrap();
    assert_eq!(HeaderMap::from(headers)["x-allowed-locations"], "0xA");
    let request = world.transport.requests().pop().unwrap();
    assert_eq!(
        request.uri(),
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
         a@p.iam.gserviceaccount.com/allowedLocations"
    );
    assert_eq!(request.headers()["authorization"], "Bearer t");
    let copy = world.credentials.with_quota_project("q").unwrap();
    assert_eq!(copy.regional_access_boundary().as_deref(), Some("0xA"));
    // An hour before its end it is looked up again; a failure keeps it.
    world.advance(5 * 3600);
    world.transport.script([Reply::status(404)]);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
    world.queue.run_all();
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
    world.advance(3600);
    assert_eq!(locations(&world), None);
}

#[test]
fn after_an_idle_night_it_is_looked_up_with_a_token_that_is_good() {
    let world = bounded();
    world.transport.script([found("0xA")]);
    assert_eq!(locations(&world), None);
    world.queue.run_all();
    world.advance(90_000);
    world
        .transport
        .script([Reply::token("u", 3600), found("0xB")]);
    assert!(world.credentials.cached_headers().is_none());
    world.queue.run_all();
    let request = world.transport.requests().pop().unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer u");
    assert_eq!(locations(&world).as_deref(), Some("0xB"));
}

#[test]
fn a_universe_that_cannot_be_told_is_asked_for_at_each_request_as_google_auth_does() {
    let world = world([info(), Reply::token("t", 90_000)], |builder| {
        builder.regional_access_boundary(true)
    });
    world.credentials.blocking_refresh().unwrap();
    world.transport.script([Reply::status(403)]);
    let asked = world.transport.requests().len();
    assert_eq!(locations(&world), None);
    assert_eq!(locations(&world), None);
    assert_eq!(world.transport.requests().len(), asked + 2);
    world
        .transport
        .script([Reply::text("googleapis.com"), found("0xA")]);
    assert_eq!(locations(&world), None);
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
}

#[test]
fn failures_pause_it_longer_and_longer() {
    let world = bounded();
    world.transport.script([Reply::status(404)]);
    for pause in [900, 1800, 3600] {
        assert_eq!(locations(&world), None);
        assert_eq!(world.queue.run_all(), 1, "{pause}");
        world.advance(pause - 1);
        assert_eq!(locations(&world), None);
        assert_eq!(world.queue.run_all(), 0, "{pause}");
        world.advance(1);
    }
}

#[test]
fn some_requests_universes_and_accounts_have_none() {
    let world = bounded();
    world
        .before("https://x.us-east1.rep.googleapis.com/")
        .unwrap();
    assert!(world.queue.is_empty());
    let foreign = world.credentials.with_universe_domain("u.example");
    foreign.set_token(Some("t"), None).unwrap();
    let uri = Uri::from_static("https://x/");
    let mut headers = HeaderMap::new();
    foreign
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    let human = world
        .credentials
        .with_service_account("me@example.com")
        .unwrap();
    human.set_token(Some("t"), None).unwrap();
    human
        .blocking_before_request(&Method::GET, &uri, &mut headers)
        .unwrap();
    assert!(world.queue.is_empty());
}

#[test]
fn it_may_be_seeded_and_waited_for() {
    let world = bounded();
    let in_an_hour = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_007_000);
    let seed = Some(HeaderValue::from_static("0xS"));
    world
        .credentials
        .set_regional_access_boundary(seed, Some(in_an_hour));
    assert_eq!(locations(&world).as_deref(), Some("0xS"));
    world.credentials.block_on_regional_access_boundary();
    world.advance(6000);
    world.transport.script([found("0xB")]);
    assert_eq!(locations(&world).as_deref(), Some("0xB"));
    assert!(
        world
            .credentials
            .regional_access_boundary_expires_at()
            .is_some()
    );
    // The next time it is due, a request waits for it again.
    world.advance(6 * 3600);
    world.transport.script([found("0xC")]);
    assert_eq!(locations(&world).as_deref(), Some("0xC"));
}

#[test]
fn no_request_waits_where_there_can_be_none() {
    let world = bounded();
    let person = world.credentials.with_service_account("me@example.com");
    let person = person.unwrap();
    person.set_token(Some("t"), None).unwrap();
    person.block_on_regional_access_boundary();
    let asked = world.transport.requests().len();
    let uri = Uri::from_static("https://storage.googleapis.com/");
    person.0.blocking_ready_boundary(&uri);
    // Nor where no time is left to the operation.
    world.credentials.block_on_regional_access_boundary();
    let nothing = Budget::new(world.credentials.0.now(), Duration::ZERO);
    under_way::within(&nothing, || {
        world.credentials.0.blocking_ready_boundary(&uri);
    });
    // Nor in a universe without boundaries.
    let foreign = world.credentials.with_universe_domain("u.example");
    foreign.set_token(Some("t"), None).unwrap();
    foreign.block_on_regional_access_boundary();
    foreign.0.blocking_ready_boundary(&uri);
    assert_eq!(world.transport.requests().len(), asked);
    // What there was no time for is no failure: the next request looks it up.
    world.transport.script([found("0xA")]);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
}

#[test]
fn requests_at_the_same_time_have_it_looked_up_once() {
    let world = bounded();
    world.transport.script([found("0xA")]);
    for _ in 0..3 {
        assert_eq!(locations(&world), None);
    }
    assert_eq!(world.queue.run_all(), 1);
    assert_eq!(locations(&world).as_deref(), Some("0xA"));
}

#[test]
fn an_account_without_one_is_asked_about_with_each_request_as_google_auth_does() {
    let world = bounded();
    let none = Reply::Answer(200, r#"{"encodedLocations":null}"#.to_owned());
    world.transport.script([none]);
    for _ in 0..3 {
        assert_eq!(locations(&world), None);
        assert_eq!(locations(&world), None, "one look-up at a time");
        assert_eq!(world.queue.run_all(), 1);
    }
}

#[test]
fn a_copy_begins_with_the_pause_of_its_original_and_then_goes_its_own_way() {
    let world = bounded();
    world.transport.script([Reply::status(404)]);
    locations(&world);
    assert_eq!(world.queue.run_all(), 1);
    let copy = world.credentials.with_quota_project("q").unwrap();
    copy.set_token(Some("t"), None).unwrap();
    let looks_up = |credentials: &Credentials| {
        credentials.blocking_headers().unwrap();
        world.queue.run_all() == 1
    };
    assert!(!looks_up(&copy), "the pause is its as well");
    world.advance(900);
    assert!(looks_up(&copy));
    world.advance(1799);
    assert!(!looks_up(&copy), "the second failure in a row");
    assert!(
        looks_up(&world.credentials),
        "whose look-up did not fail again"
    );
    // What the program sets ends a pause.
    copy.set_regional_access_boundary(None, None);
    assert!(looks_up(&copy));
    world.advance(900);
    assert!(looks_up(&copy), "the first failure in a row");
}

#[test]
fn a_look_up_that_no_thread_takes_is_made_by_the_next_request() {
    for queue in [HandQueue::dropping(), HandQueue::refusing()] {
        let world = world::World::with([found("0xA")], queue, |it| it);
        let credentials = unblocked(&world.client);
        let boundary = credentials.0.inner.boundary.as_ref().unwrap();
        for _ in 0..3 {
            assert!(boundary.is_due(credentials.0.now()));
            credentials.blocking_headers().unwrap();
        }
        assert!(world.transport.requests().is_empty(), "nor here");
    }
}

#[test]
fn what_has_expired_by_either_clock_goes_when_no_other_is_found() {
    let after = |turn: fn(&World)| {
        let world = bounded();
        let ends = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(world::START + 60);
        let known = Some(HeaderValue::from_static("0xS"));
        world
            .credentials
            .set_regional_access_boundary(known, Some(ends));
        turn(&world);
        world.transport.script([Reply::status(404)]);
        locations(&world);
        world.queue.run_all();
        world.credentials.regional_access_boundary()
    };
    let kept = Some("0xS".to_owned());
    assert_eq!(after(|world| world.advance(60)), kept, "it ends just now");
    assert_eq!(after(|world| world.advance(61)), None);
    assert_eq!(after(|world| world.clock.set_wall(world::START + 61)), None);
    let boot = |world: &World| world.clock.advance_boot(Duration::from_secs(61));
    assert_eq!(after(boot), None);
}

#[test]
fn it_is_sent_along_with_the_quota_project_of_each_copy() {
    let world = bounded();
    let billed = world.credentials.with_quota_project("one").unwrap();
    let known = Some(HeaderValue::from_static("0xS"));
    let ends = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(world::START + 7200);
    billed.set_regional_access_boundary(known, Some(ends));
    let other = billed.with_quota_project("two").unwrap();
    for (credentials, project) in [(&billed, "one"), (&other, "two")] {
        credentials.set_token(Some("t"), None).unwrap();
        let headers = HeaderMap::from(credentials.blocking_headers().unwrap());
        assert_eq!(headers["x-goog-user-project"], project);
        assert_eq!(headers["x-allowed-locations"], "0xS");
    }
}
