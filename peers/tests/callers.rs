//! Whatever the machine does: ten thousand callers cost one request.

use gce_auth_peers::{
    contestants::{floor, gce_auth},
    sections::{
        callers::{CALLERS, Seen, cold},
        runtime,
    },
    server::Server,
    stub,
};

#[test]
fn ten_thousand_callers_of_new_credentials_cost_one_request() {
    let address = stub::start().unwrap();
    let (server, runtime) = (Server { address }, runtime().unwrap());
    let of = |seen: Seen| (seen.served.len(), seen.errors, seen.requests);
    let ours = runtime.block_on(cold::<gce_auth::Async>(server)).unwrap();
    assert_eq!(of(ours), (CALLERS, 0, 1));
    let floor = runtime.block_on(cold::<floor::Shared>(server)).unwrap();
    assert_eq!(of(floor), (CALLERS, 0, 1));
}
