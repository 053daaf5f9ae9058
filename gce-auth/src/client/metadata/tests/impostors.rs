//! Servers that are no metadata server, and metadata servers whose answers lack the flavor.

use super::scripted::world;
use crate::{io::fake::Reply, values::error::ErrorKind};

/// An answer without a flavor, which comes with these headers.
fn plain(status: u16, headers: &[(&str, &str)]) -> Reply {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Reply::Raw(
        status,
        headers.iter().map(owned).collect(),
        "no such page".into(),
    )
}

#[test]
fn a_refusal_counts_only_if_a_metadata_server_says_it() {
    let root = plain(200, &[("Metadata-Flavor", "Google")]);
    for status in [400, 401, 403, 404, 405, 412] {
        let impostor = world([plain(status, &[("Server", "nginx")])]);
        let error = impostor.ask("universe/universe-domain").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{status}");
        assert_eq!((error.status(), error.attempts()), (Some(status), 1));
        assert!(error.request().unwrap().ends_with("/universe-domain"));
        let asked = impostor.transport.requests();
        assert_eq!((asked.len(), asked[1].uri().path()), (2, "/"));

        // Behind a proxy that hides all but what it lets through.
        let concealed = world([plain(status, &[]), root.clone(), plain(404, &[])]);
        let error = concealed.ask("instance/name").unwrap_err();
        assert_ne!(error.kind(), ErrorKind::NotMetadataServer, "{status}");
        assert_eq!((error.status(), error.attempts()), (Some(status), 1));
        let error = concealed.ask("instance/name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(concealed.asked(), 3, "it has proven what it is");

        for server in [
            "Metadata Server for VM",
            "GKE Metadata Server",
            "Metadata Server for Serverless",
        ] {
            let google = world([plain(status, &[("Server", server)])]);
            let error = google.ask("instance/name").unwrap_err();
            assert_ne!(error.kind(), ErrorKind::NotMetadataServer, "{server}");
            assert_eq!(google.asked(), 1);
        }
    }
}

#[test]
fn an_impostor_has_no_missing_value() {
    let impostor = world([plain(404, &[])]);
    let client = &impostor.client;
    for error in [
        client.blocking_universe_domain().unwrap_err(),
        client
            .request("instance/attributes/x")
            .blocking_send_optional()
            .unwrap_err(),
        client.blocking_account_info("default").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotMetadataServer, "{error}");
    }
}

#[test]
fn whoever_says_that_it_passes_is_asked_again() {
    for status in [408, 429, 500, 503] {
        let world = world([plain(status, &[]), Reply::text("v")]);
        assert_eq!(world.ask("instance/name").unwrap(), "v", "{status}");
        assert_eq!(world.asked(), 2);
    }
    // Also where it is to prove what it is.
    let root = plain(200, &[("Metadata-Flavor", "Google")]);
    let busy = world([plain(404, &[]), plain(503, &[]), root]);
    let error = busy.ask("instance/name").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(busy.asked(), 3);
}
