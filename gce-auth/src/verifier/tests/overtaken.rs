//! A fetch that a newer one took the place of, and that ends after it.

use std::sync::OnceLock;

use http::{Request, Response};

use super::*;
use crate::io::transport::{Limits, Transport, TransportError};

/// Reads its second answer only after the machine was suspended, and after a
/// token with another key had the keys fetched again.
#[derive(Debug)]
struct Suspended {
    script: ScriptedTransport,
    clock: Arc<HandClock>,
    verifier: OnceLock<IdTokenVerifier>,
}

impl Transport for Suspended {
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let asked = self.script.requests().len();
        let answer = self.script.send(request, limits);
        if asked == 1 {
            self.clock.advance(Duration::from_secs(120));
            let token = token("b", self.clock.now().wall.as_secs());
            let verifier = self.verifier.get().unwrap();
            verifier.blocking_verify(&token).unwrap();
        }
        answer
    }
}

#[test]
fn an_overtaken_fetch_does_not_bring_older_keys_back() {
    let older = published(&["a"], "max-age=3600");
    let clock = Arc::new(HandClock::at(NOW));
    let transport = Arc::new(Suspended {
        script: ScriptedTransport::new([
            older.clone(),
            older,
            published(&["a", "b"], "max-age=3600"),
        ]),
        clock: Arc::clone(&clock),
        verifier: OnceLock::new(),
    });
    let queue = Arc::new(HandQueue::new());
    let client = MetadataClient::builder()
        .transport(Arc::clone(&transport) as _)
        .clock(Arc::clone(&clock) as _)
        .executor(Arc::clone(&queue) as _)
        .build_without_environment();
    let verifier = IdTokenVerifier::builder().audience("me").client(client);
    let verifier = verifier.build().unwrap();
    transport.verifier.set(verifier.clone()).unwrap();
    let verify = |id| verifier.blocking_verify(&token(id, clock.now().wall.as_secs()));
    verify("a").unwrap();
    clock.advance(HOUR);
    verify("a").unwrap();
    queue.run_all();
    assert_eq!(transport.script.requests().len(), 3);
    for id in ["b", "a", "b"] {
        verify(id).unwrap();
    }
    assert_eq!(transport.script.requests().len(), 3, "newer keys are held");
}
