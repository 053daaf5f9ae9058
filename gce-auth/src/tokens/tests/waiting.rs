//! Requests that wait for a token, as futures.

use std::{
    future::Future,
    task::{Context, Poll, Waker},
};

use http::{HeaderMap, Method, Uri};

use super::access::world;
use crate::{io::fake::Reply, world::account as info};

#[test]
fn many_requests_that_wait_for_a_token_hold_one_thread() {
    let world = world([info(), Reply::token("one", 3600)], |builder| builder);
    let (method, uri) = (Method::GET, Uri::from_static("https://x/"));
    let mut maps = vec![HeaderMap::new(); 20];
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = maps
        .iter_mut()
        .map(|map| Box::pin(world.credentials.before_request(&method, &uri, map)))
        .collect();
    for request in &mut waiting {
        assert!(request.as_mut().poll(&mut context).is_pending());
    }
    // One of them leaves, and takes nothing from the others.
    drop(waiting.remove(0));
    assert_eq!(world.queue.run_all(), 1);
    for request in &mut waiting {
        assert!(matches!(
            request.as_mut().poll(&mut context),
            Poll::Ready(Ok(()))
        ));
    }
    drop(waiting);
    assert_eq!(world.asked().len(), 2);
    assert!(maps[0].is_empty());
    assert!(
        maps[1..]
            .iter()
            .all(|map| map["authorization"] == "Bearer one")
    );
}

#[test]
fn an_async_request_makes_good_what_failed_in_the_background() {
    let world = world([info(), Reply::token("one", 3600)], |builder| builder);
    world.before("https://x/").unwrap();
    world.advance(3400);
    let ask = || {
        let mut headers = HeaderMap::new();
        let (method, uri) = (Method::GET, Uri::from_static("https://x/"));
        let mut request = Box::pin(
            world
                .credentials
                .before_request(&method, &uri, &mut headers),
        );
        let mut context = Context::from_waker(Waker::noop());
        let waited = request.as_mut().poll(&mut context).is_pending();
        if waited {
            world.queue.run_all();
            assert!(request.as_mut().poll(&mut context).is_ready());
        }
        drop(request);
        (
            waited,
            headers["authorization"].to_str().unwrap().to_owned(),
        )
    };
    world.transport.script([Reply::status(403)]);
    assert_eq!(ask(), (false, "Bearer one".to_owned()));
    world.queue.run_all();
    world.advance(10);
    // It waits, and the token that is good is not given up.
    assert_eq!(ask(), (true, "Bearer one".to_owned()));
    world.advance(60);
    world.transport.script([info(), Reply::token("two", 3600)]);
    assert_eq!(ask(), (true, "Bearer two".to_owned()));
    assert_eq!(ask(), (false, "Bearer two".to_owned()));
}
