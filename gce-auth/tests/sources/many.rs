//! Many credentials at once: one server's trouble is nobody else's.

use std::{sync::mpsc, thread, time::Duration};

use gce_auth::{Credentials, ErrorKind};
use gce_auth_emulator::{Emulator, Fault};

use crate::files::Files;

#[test]
fn fifty_credentials_are_not_delayed_by_a_source_that_hangs() {
    let files = Files::new(Emulator::builder().start().unwrap());
    let hanging = Files::new(Emulator::builder().start().unwrap());
    let stuck: Vec<_> = hanging
        .all()
        .iter()
        .map(|file| hanging.load(file))
        .collect();
    for path in ["/token", "/v1/", "/computeMetadata/"] {
        hanging
            .emulator
            .fail_for(path, Duration::from_secs(600), Fault::Hang);
    }
    let good: Vec<Credentials> = files.all().iter().map(|file| files.load(file)).collect();
    let (sender, done) = mpsc::channel();
    thread::scope(|scope| {
        for credentials in &stuck {
            scope.spawn(|| {
                let error = credentials.blocking_token().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            });
        }
        for number in 0..50 {
            let credentials = good[number % good.len()].unshared();
            let sender = sender.clone();
            scope.spawn(move || {
                let ready = futures_executor::block_on(credentials.token());
                sender.send(ready.map(|_| ())).unwrap();
            });
        }
        for _ in 0..50 {
            // Sooner than the first of those that hang gives up.
            let ready = done.recv_timeout(Duration::from_secs(8));
            ready.expect("a token while others hang").unwrap();
        }
    });
}
