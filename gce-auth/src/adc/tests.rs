use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    adc::{
        DefaultCredentials, DefaultOptions, DefaultSource, blocking_default_credentials,
        blocking_fetch_id_token_credentials, default_credentials,
    },
    client::{config::MetadataClient, residency::Detection},
    io::fake::{HandClock, HandQueue, Reply, ScriptedTransport},
    values::error::ErrorKind,
    wire::retry::RetryPolicy,
    world::Folder,
};

#[cfg(feature = "adc")]
mod copies;
#[cfg(feature = "adc")]
mod files;
#[cfg(feature = "adc")]
mod kinds;
#[cfg(feature = "adc")]
mod lanes;
#[cfg(feature = "adc")]
mod over_others;
#[cfg(feature = "adc")]
mod rotated;
#[cfg(feature = "adc")]
mod saved;
#[cfg(feature = "adc")]
mod shared;
#[cfg(feature = "adc")]
mod told;

fn client(replies: impl IntoIterator<Item = Reply>) -> MetadataClient {
    MetadataClient::builder()
        .transport(Arc::new(ScriptedTransport::new(replies)))
        .clock(Arc::new(HandClock::at(1)))
        .endpoint("metadata")
        .dmi_product_name_file("/nonexistent")
        .build()
        .unwrap()
}

#[test]
fn on_google_cloud_there_are_credentials_and_a_project() {
    let client = client([Reply::text(""), Reply::text("project-one")]);
    let options = DefaultOptions::new()
        .client(client)
        .scopes(["s"])
        .default_scopes(["d"])
        .quota_project_id("billed");
    let found: DefaultCredentials = blocking_default_credentials(options).unwrap();
    assert_eq!(found.source, DefaultSource::MetadataServer);
    assert_eq!(found.credentials.scopes().unwrap(), ["s"]);
    assert_eq!(found.credentials.default_scopes().unwrap(), ["d"]);
    assert_eq!(found.credentials.quota_project_id(), Some("billed"));
    assert!(found.project_id.is_some());
}

#[test]
fn elsewhere_the_error_says_what_was_looked_for() {
    let broken = crate::transport::TransportErrorKind::Connect;
    let options = DefaultOptions::new().client(client([Reply::Broken(broken)]));
    let error = blocking_default_credentials(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOnGce);
    let said = error.to_string();
    assert!(said.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{said}");
    assert!(
        said.contains("gcloud auth application-default login"),
        "{said}"
    );
}

#[test]
fn google_auth_believes_the_firmware_in_the_search_for_access_tokens_alone() {
    let broken = crate::transport::TransportErrorKind::Connect;
    let folder = Folder::new();
    let firmware = folder.join("product");
    std::fs::write(&firmware, "Google\n").unwrap();
    let client = MetadataClient::builder()
        .transport(Arc::new(ScriptedTransport::new([Reply::Broken(broken)])))
        .clock(Arc::new(HandClock::at(1)))
        .endpoint("metadata")
        .dmi_product_name_file(&firmware)
        .build()
        .unwrap();
    let options = DefaultOptions::new()
        .client(client)
        .detection(Detection::GoogleAuth);
    assert!(blocking_default_credentials(options.clone()).is_ok());
    let error = blocking_fetch_id_token_credentials("a", options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotOnGce);
}

#[test]
fn id_tokens_of_unshared_options_are_shared_with_none() {
    let found = |options: DefaultOptions| {
        let options = options.client(client([Reply::text("")]));
        blocking_fetch_id_token_credentials("https://unshared.example", options).unwrap()
    };
    for (options, shared) in [
        (DefaultOptions::new(), true),
        (DefaultOptions::new().shared(false), false),
    ] {
        assert_eq!(found(options).0.inner.options.shared, shared);
    }
}

#[test]
fn a_search_has_executor_clock_and_budget_of_its_client() {
    let (queue, clock) = (Arc::new(HandQueue::new()), Arc::new(HandClock::at(1)));
    let replies = [Reply::text(""), Reply::text("project-one")];
    let client = MetadataClient::builder()
        .transport(Arc::new(ScriptedTransport::new(replies)))
        .clock(Arc::clone(&clock) as _)
        .executor(Arc::clone(&queue) as _)
        .retry(RetryPolicy::new().budget(Duration::from_secs(60)))
        .endpoint("metadata")
        .dmi_product_name_file("/nonexistent")
        .build()
        .unwrap();
    let mut found = pin!(default_credentials(DefaultOptions::new().client(client)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(found.as_mut().poll(&mut context).is_pending());
    clock.advance(Duration::from_secs(50));
    assert_eq!(queue.run_all(), 1);
    let found = found.as_mut().poll(&mut context);
    assert!(matches!(found, Poll::Ready(Ok(_))), "{found:?}");
}
