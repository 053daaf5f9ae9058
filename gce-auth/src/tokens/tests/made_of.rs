//! Credentials made of others.

use crate::{
    io::fake::Reply,
    tokens::credentials::Credentials,
    values::access_boundary::{AccessBoundaryRule, CredentialAccessBoundary},
    world::World,
};

fn narrow(credentials: &Credentials) -> Credentials {
    let bucket = "//storage.googleapis.com/projects/_/buckets/b";
    let rule = AccessBoundaryRule::new(bucket, ["inRole:roles/storage.objectViewer"]).unwrap();
    let boundary = CredentialAccessBoundary::new([rule]).unwrap();
    credentials.downscope(&boundary).unwrap()
}

fn acting(credentials: &Credentials) -> Credentials {
    credentials.impersonate("t@x").build().unwrap()
}

fn made_of(credentials: &Credentials) -> [Credentials; 3] {
    let acting = acting(credentials);
    let chain = acting.impersonate("u@x").build().unwrap();
    let narrow = narrow(&chain);
    [acting, chain, narrow]
}

#[test]
fn what_is_made_of_others_is_in_their_universe() {
    let world = World::new([]);
    let credentials = Credentials::builder()
        .client(world.client.clone())
        .universe_domain("u.example")
        .build()
        .unwrap();
    for made in made_of(&credentials) {
        assert_eq!(made.blocking_universe_domain().unwrap(), "u.example");
        let moved = made.with_universe_domain("v.example");
        assert_eq!(moved.blocking_universe_domain().unwrap(), "v.example");
    }
    assert!(world.transport.requests().is_empty());
}

#[test]
fn a_universe_that_is_not_known_is_asked_for_once() {
    let world = World::new([Reply::text("u.example"), Reply::text("other.example")]);
    let client = world.client.clone();
    let credentials = Credentials::builder().client(client).build().unwrap();
    let [acting, _, _] = made_of(&credentials);
    for _ in 0..2 {
        assert_eq!(acting.blocking_universe_domain().unwrap(), "u.example");
    }
    assert_eq!(world.transport.requests().len(), 1);
    let copy = acting.with_quota_project("q").unwrap();
    assert_eq!(copy.blocking_universe_domain().unwrap(), "u.example");
    assert_eq!(world.transport.requests().len(), 1);
}

#[test]
fn what_is_made_of_others_is_billed_by_its_own_settings() {
    let world = World::new([]);
    let builder = Credentials::builder().client(world.client);
    let credentials = builder.quota_project_id("billed").build().unwrap();
    for made in [narrow(&credentials), acting(&credentials)] {
        assert_eq!(made.quota_project_id(), None);
        let billed = made.with_quota_project("own").unwrap();
        assert_eq!(billed.quota_project_id(), Some("own"));
    }
    let acting = credentials.impersonate("t@x").quota_project_id("own");
    assert_eq!(acting.build().unwrap().quota_project_id(), Some("own"));
}
